/*
 * The load generator: many WebSocket connections on one thread with epoll, so that one core is enough to keep a server
 * busy and its own time does not disturb what is measured. Linux only (epoll, /proc).
 *
 * It speaks heddle's protocol (`--protocol heddle`), or to a plain WebSocket server the same messages without hello and
 * join (`--protocol raw`), and believes nothing: every reply must carry the reference that is due, and every event the
 * offset after the last one. A single mismatch makes the run invalid.
 *
 * The result is one line of JSON on standard output; what went wrong is told on standard error.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---------------------------------------------------------------- options */

enum mode { ECHO, FANOUT, IDLE };

static struct {
  enum mode mode;
  bool heddle;
  int port;
  const char *path;
  int connections; /* echo, idle: all of them; fan-out: the members, the publisher comes on top */
  int base;        /* idle: connections made before the first look at the server's memory */
  int in_flight;   /* echo: requests on each connection; fan-out: bursts */
  int burst;       /* fan-out: events sent together */
  pid_t server;
  double warm, seconds;
} options = {.mode = ECHO, .heddle = true, .path = "/", .connections = 100, .in_flight = 1, .burst = 1,
             .warm = 2.5, .seconds = 4};

static void usage(const char *problem) {
  fprintf(stderr, "loadgen: %s\n", problem);
  exit(2);
}

static void read_options(int argc, char **argv) {
  static const struct option names[] = {
      {"mode", 1, 0, 'm'},      {"protocol", 1, 0, 'q'}, {"port", 1, 0, 'p'},   {"path", 1, 0, 'u'},
      {"connections", 1, 0, 'c'}, {"base", 1, 0, 'b'},   {"in-flight", 1, 0, 'f'}, {"burst", 1, 0, 'B'},
      {"server", 1, 0, 's'},    {"warm", 1, 0, 'w'},     {"seconds", 1, 0, 'd'}, {0, 0, 0, 0}};
  for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    switch (name) {
      case 'm':
        options.mode = !strcmp(optarg, "echo") ? ECHO : !strcmp(optarg, "fanout") ? FANOUT : IDLE;
        break;
      case 'q': options.heddle = !strcmp(optarg, "heddle"); break;
      case 'p': options.port = atoi(optarg); break;
      case 'u': options.path = optarg; break;
      case 'c': options.connections = atoi(optarg); break;
      case 'b': options.base = atoi(optarg); break;
      case 'f': options.in_flight = atoi(optarg); break;
      case 'B': options.burst = atoi(optarg); break;
      case 's': options.server = atoi(optarg); break;
      case 'w': options.warm = atof(optarg); break;
      case 'd': options.seconds = atof(optarg); break;
      default: exit(2);
    }
  }
  if (options.port == 0 || options.server == 0) usage("--port and --server (its process id) are needed");
  if (options.connections < 1 || options.in_flight < 1 || options.burst < 1) usage("counts start at 1");
}

/* ------------------------------------------------------------ measurement */

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000ull + time.tv_nsec;
}

static uint64_t in_seconds(double seconds) { return now() + (uint64_t)(seconds * 1e9); }

/* Latencies: buckets of 1 µs below 20 ms, of 100 µs below 2 s, of 10 ms above. */
enum { FINE = 20000, MIDDLE = FINE + 19800, BUCKETS = MIDDLE + 10200 };
static uint32_t latencies[BUCKETS];
static uint64_t latency_count;

static void record_latency(uint64_t nanoseconds) {
  uint64_t micros = nanoseconds / 1000;
  uint64_t bucket = micros < 20000     ? micros
                    : micros < 2000000 ? FINE + (micros - 20000) / 100
                                       : MIDDLE + (micros - 2000000) / 10000;
  latencies[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
  latency_count++;
}

static double percentile(double share) {
  uint64_t wanted = (uint64_t)(share * latency_count), seen = 0;
  int bucket = 0;
  while (bucket < BUCKETS - 1 && (seen += latencies[bucket]) <= wanted) bucket++;
  if (bucket < FINE) return bucket + 0.5;
  if (bucket < MIDDLE) return 20000 + (bucket - FINE) * 100.0 + 50;
  return 2000000 + (bucket - MIDDLE) * 10000.0 + 5000;
}

/* Seconds of processor time the server's process has used, all threads together; negative when it is gone. */
static double server_cpu(void) {
  char name[64], text[2048];
  snprintf(name, sizeof name, "/proc/%d/stat", options.server);
  FILE *file = fopen(name, "r");
  if (!file) return -1;
  size_t size = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[size] = 0;
  /* The second field is the program's name, which may hold spaces; fields are counted from its closing bracket. */
  const char *rest = strrchr(text, ')');
  unsigned long user, system;
  if (!rest || sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) return -1;
  return (double)(user + system) / sysconf(_SC_CLK_TCK);
}

/* Seconds the server's main thread was ready to run while another program had the core; 0 where Linux does not tell. */
static double server_waiting(void) {
  char name[64];
  unsigned long long ran, waited = 0;
  snprintf(name, sizeof name, "/proc/%d/schedstat", options.server);
  FILE *file = fopen(name, "r");
  if (!file) return 0;
  if (fscanf(file, "%llu %llu", &ran, &waited) != 2) waited = 0;
  fclose(file);
  return waited / 1e9;
}

static double own_cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static long server_rss_kb(void) {
  char name[64], line[256];
  snprintf(name, sizeof name, "/proc/%d/status", options.server);
  FILE *file = fopen(name, "r");
  long kilobytes = 0;
  while (file && fgets(line, sizeof line, file)) {
    if (sscanf(line, "VmRSS: %ld", &kilobytes) == 1) break;
  }
  if (file) fclose(file);
  return kilobytes;
}

/* ------------------------------------------------------------ connections */

enum state { CONNECTING, UPGRADING, GREETING, JOINING, READY, DEAD };

typedef struct {
  int fd, index;
  enum state state;
  bool wants_write;
  uint8_t *held; /* the beginning of a WebSocket frame that has not arrived whole */
  size_t held_size, held_capacity;
  uint8_t *out; /* what the socket did not take yet */
  size_t out_size, out_capacity;
  uint64_t channel, next_offset, events;
  uint64_t sent, answered; /* requests; sequence numbers start at 1, so `answered` is also the acknowledgement */
  uint64_t *sent_at;       /* echo: when the requests in flight were sent, a ring */
} connection;

static connection *connections;
static int epoll, started, pending, ready, dead;

/* Warm-up and measurement send; draining only waits for what is still due. */
static enum { SETTING_UP, WARMING, MEASURING, DRAINING } phase;
static uint64_t received, measured; /* echo: replies; fan-out: events at the members */
static uint64_t errors;

enum { SHOWN_ERRORS = 3, SHOWN_BYTES = 160 };

static void fault(const connection *c, const char *problem, const void *text, size_t size) {
  if (errors++ >= SHOWN_ERRORS) return;
  int shown = size > SHOWN_BYTES ? SHOWN_BYTES : (int)size;
  fprintf(stderr, "connection %d: %s%s%.*s\n", c->index, problem, size > 0 ? ": " : "", shown, (const char *)text);
}

static void drop(connection *c, const char *problem) {
  if (c->state == DEAD) return;
  fault(c, problem, "", 0);
  if (c->state < READY) pending--;
  c->state = DEAD;
  dead++;
  close(c->fd);
}

static void reserve(uint8_t **buffer, size_t *capacity, size_t size) {
  if (*capacity >= size) return;
  *capacity = size * 2;
  *buffer = realloc(*buffer, *capacity);
  if (!*buffer) usage("out of memory");
}

static void flush_out(connection *c) {
  size_t done = 0;
  while (done < c->out_size) {
    ssize_t count = send(c->fd, c->out + done, c->out_size - done, MSG_NOSIGNAL);
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) return drop(c, strerror(errno));
    done += count;
  }
  memmove(c->out, c->out + done, c->out_size - done);
  c->out_size -= done;
  bool wants_write = c->out_size > 0;
  if (wants_write == c->wants_write) return;
  c->wants_write = wants_write;
  struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void send_bytes(connection *c, const uint8_t *bytes, size_t size) {
  if (c->state == DEAD) return;
  reserve(&c->out, &c->out_capacity, c->out_size + size);
  memcpy(c->out + c->out_size, bytes, size);
  c->out_size += size;
  flush_out(c);
}

/* -------------------------------------------------------- WebSocket frames */

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10, MAX_FRAME = 65535, FRAME_HEADER = 8 };

/* Writes one masked client frame (RFC 6455 section 5.2) and returns its size. The mask need not be random here. */
static size_t write_frame(uint8_t *to, int opcode, const void *payload, size_t size) {
  static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
  size_t at = 0;
  to[at++] = 0x80 | opcode;
  if (size < 126) {
    to[at++] = 0x80 | size;
  } else {
    to[at++] = 0x80 | 126;
    to[at++] = size >> 8;
    to[at++] = size & 255;
  }
  memcpy(to + at, mask, 4);
  at += 4;
  for (size_t i = 0; i < size; i++) to[at + i] = ((const uint8_t *)payload)[i] ^ mask[i & 3];
  return at + size;
}

static void send_text(connection *c, const char *text) {
  uint8_t frame[512];
  send_bytes(c, frame, write_frame(frame, TEXT, text, strlen(text)));
}

/* ----------------------------------------------------- messages of the test */

static char *put_text(char *to, const char *text) { return stpcpy(to, text); }

/* Several times faster than snprintf, and this is the generator's hottest work. */
static char *put_number(char *to, uint64_t number) {
  char digits[20];
  int count = 0;
  do digits[count++] = '0' + number % 10;
  while (number /= 10);
  while (count > 0) *to++ = digits[--count];
  return to;
}

/* The request of the echo is about 110 bytes, the event about 100. */
#define BODY_TAIL ",\"from\":\"member-0042\",\"text\":\"Shall we meet at eight?\"}"
#define EVENT_TAIL " and some more text, as people write it to each other\"}"
enum { STAMP = 16 };

static char *put_body(char *to, uint64_t id) { return put_text(put_number(put_text(to, "{\"id\":"), id), BODY_TAIL); }

/* When the event was sent, so that each receiver can tell its latency. */
static char *put_stamped_text(char *to) {
  to = put_text(to, "{\"text\":\"");
  to += sprintf(to, "%0*llx", STAMP, (unsigned long long)now());
  return put_text(to, EVENT_TAIL);
}

/* A request up to its payload: reference and sequence are one number, the join having reference 0. */
static char *put_request(char *to, connection *c, const char *name) {
  uint64_t seq = ++c->sent;
  to = put_number(put_text(to, "[\"request\","), seq);
  to = put_number(put_text(to, ","), c->channel);
  to = put_number(put_text(to, ","), seq);
  to = put_number(put_text(to, ","), c->answered);
  return put_text(put_text(put_text(to, ",\""), name), "\",");
}

static void send_echoes(connection *c, int count) {
  static uint8_t out[65536];
  uint64_t sent_at = now();
  size_t size = 0;
  char text[512];
  for (int i = 0; i < count; i++) {
    char *end = put_request(text, c, "Echo");
    end = put_text(put_body(end, c->sent), "]");
    c->sent_at[c->sent % options.in_flight] = sent_at;
    if (size + (end - text) + FRAME_HEADER > sizeof out) {
      send_bytes(c, out, size);
      size = 0;
    }
    size += write_frame(out + size, TEXT, text, end - text);
  }
  send_bytes(c, out, size);
}

static uint64_t published;

/* To heddle a request to publish; to a plain server the event itself, which it passes on as it is. */
static void publish_burst(connection *c) {
  static uint8_t out[1 << 20];
  size_t size = 0;
  char text[512];
  for (int i = 0; i < options.burst && size + sizeof text < sizeof out; i++) {
    char *end = text;
    published++;
    if (options.heddle) {
      end = put_request(end, c, "Publish");
    } else {
      end = put_text(put_number(put_text(end, "[\"event\",0,"), published), ",\"Said\",");
    }
    end = put_text(put_stamped_text(end), "]");
    size += write_frame(out + size, TEXT, text, end - text);
  }
  send_bytes(c, out, size);
}

/* ------------------------------------------------------- frames of heddle */

typedef struct {
  const char *at, *end;
} cursor;

static bool take(cursor *from, const char *text) {
  size_t size = strlen(text);
  if ((size_t)(from->end - from->at) < size || memcmp(from->at, text, size)) return false;
  from->at += size;
  return true;
}

static bool take_number(cursor *from, uint64_t *number) {
  const char *begin = from->at;
  *number = 0;
  while (from->at < from->end && *from->at >= '0' && *from->at <= '9') *number = *number * 10 + (*from->at++ - '0');
  return from->at > begin;
}

static bool take_stamp(cursor *from, uint64_t *stamp) {
  if (from->end - from->at < STAMP) return false;
  *stamp = 0;
  for (int i = 0; i < STAMP; i++) {
    char digit = *from->at++;
    *stamp = *stamp << 4 | (digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  return true;
}

static void become_ready(connection *c) {
  c->state = READY;
  pending--;
  ready++;
}

/* What receives a frame returns what is wrong with it, NULL if nothing is. */
typedef const char *fault_text;
static const fault_text no_fault = NULL, unexpected = "a frame that is not expected here";

/* `["joined", ref, channel, memberId, [epoch, term, offset], …]`: events follow from the next offset on. */
static fault_text on_joined(connection *c, cursor frame) {
  uint64_t term, offset;
  if (c->state != JOINING || !take(&frame, "0,") || !take_number(&frame, &c->channel)) return unexpected;
  frame.at = memchr(frame.at, '[', frame.end - frame.at);
  frame.at = frame.at ? memchr(frame.at, ',', frame.end - frame.at) : NULL;
  if (!frame.at || !take(&frame, ",") || !take_number(&frame, &term) || !take(&frame, ",")) return unexpected;
  if (!take_number(&frame, &offset) || !take(&frame, "]")) return unexpected;
  c->next_offset = offset + 1;
  become_ready(c);
  return no_fault;
}

/* `["event", channel, offset, name, payload]` */
static fault_text on_event(connection *c, cursor frame, uint64_t arrived) {
  uint64_t channel, offset, stamp;
  if (c->state != READY || !take_number(&frame, &channel) || channel != c->channel) return "an event of no channel";
  if (!take(&frame, ",") || !take_number(&frame, &offset)) return "an event without offset";
  bool contiguous = offset == c->next_offset;
  c->next_offset = offset + 1;
  c->events++;
  if (!take(&frame, ",\"Said\",{\"text\":\"") || !take_stamp(&frame, &stamp) || !take(&frame, EVENT_TAIL)) {
    return "another event than was published";
  }
  bool audience = c->index < options.connections; /* the publisher is a member too, but not counted */
  if (audience) received++;
  if (audience && phase == MEASURING) {
    measured++;
    record_latency(arrived - stamp);
  }
  return contiguous ? no_fault : "not the next offset";
}

/* The reply to the oldest open request, after its kind; from a plain server the request itself comes back. */
static fault_text on_reply(connection *c, cursor frame, uint64_t arrived) {
  uint64_t ref;
  if (!take_number(&frame, &ref) || ref != c->answered + 1 || ref > c->sent) return "not the reply that is due";
  c->answered++;
  if (options.mode == FANOUT) return c->events >= c->answered ? no_fault : "the reply came before the event";
  char body[128];
  size_t size = put_body(body, ref) - body;
  if (!memmem(frame.at, frame.end - frame.at, body, size)) return "another body than was sent";
  received++;
  if (phase == MEASURING) {
    measured++;
    record_latency(arrived - c->sent_at[ref % options.in_flight]);
  }
  return no_fault;
}

/* Presence of other members is none of the test's business; anything else must be due. */
static fault_text on_frame(connection *c, cursor frame, uint64_t arrived) {
  if (take(&frame, "[\"event\",")) return on_event(c, frame, arrived);
  if (!options.heddle) return take(&frame, "[\"request\",") ? on_reply(c, frame, arrived) : unexpected;
  if (take(&frame, "[\"ok\",")) return on_reply(c, frame, arrived);
  if (take(&frame, "[\"joined\",")) return on_joined(c, frame);
  if (take(&frame, "[\"ping\"]")) {
    send_text(c, "[\"pong\"]");
    return no_fault;
  }
  if (take(&frame, "[\"welcome\",") && c->state == GREETING) {
    c->state = JOINING;
    send_text(c, "[\"join\",0,\"bench\",\"room\",null,null]");
    return no_fault;
  }
  return take(&frame, "[\"present\",") || take(&frame, "[\"absent\",") ? no_fault : unexpected;
}

/* A message carries one or more frames, separated by newlines. */
static void on_message(connection *c, const char *text, size_t size, uint64_t arrived) {
  const char *end = text + size;
  while (text <= end && c->state != DEAD) {
    const char *newline = memchr(text, '\n', end - text);
    cursor frame = {text, newline ? newline : end};
    fault_text problem = on_frame(c, frame, arrived);
    if (problem) fault(c, problem, text, frame.end - text);
    text = frame.end + 1;
  }
}

/* ---------------------------------------------------------------- reading */

enum { READ_BUFFER = 4 << 20 };
static uint8_t *read_buffer;

/* Takes the whole WebSocket frames that `size` bytes hold and returns how many bytes they were. */
static size_t read_frames(connection *c, const uint8_t *bytes, size_t size, uint64_t arrived) {
  size_t at = 0;
  while (size - at >= 2 && c->state != DEAD) {
    int opcode = bytes[at] & 15;
    uint64_t length = bytes[at + 1] & 127;
    size_t header = length == 126 ? 4 : length == 127 ? 10 : 2;
    if (size - at < header) break;
    if (header > 2) {
      length = 0;
      for (size_t i = 2; i < header; i++) length = length << 8 | bytes[at + i];
    }
    if (size - at - header < length) break;
    const uint8_t *payload = bytes + at + header;
    if (!(bytes[at] & 0x80)) drop(c, "the server split a message, which this generator does not read");
    else if (opcode == TEXT) on_message(c, (const char *)payload, length, arrived);
    else if (opcode == PING) {
      uint8_t pong[160];
      send_bytes(c, pong, write_frame(pong, PONG, payload, length > 125 ? 125 : length));
    } else if (opcode == CLOSE) {
      int code = length >= 2 ? payload[0] << 8 | payload[1] : 0;
      char problem[160];
      snprintf(problem, sizeof problem, "closed by the server with %d %.*s", code, length > 2 ? (int)length - 2 : 0,
               (const char *)payload + 2);
      drop(c, problem);
    } else drop(c, "a frame that is neither text nor control");
    at += header + length;
  }
  return at;
}

/* Returns how many bytes of `bytes` the HTTP response took, 0 while it is incomplete. */
static size_t read_upgrade(connection *c, const uint8_t *bytes, size_t size) {
  const uint8_t *end = memmem(bytes, size, "\r\n\r\n", 4);
  if (!end) return 0;
  char head[1024];
  size_t length = end + 4 - bytes < 1023 ? end + 4 - bytes : 1023;
  memcpy(head, bytes, length);
  head[length] = 0;
  if (memcmp(head, "HTTP/1.1 101", 12)) return drop(c, "the upgrade was refused"), 0;
  if (options.heddle && !strcasestr(head, "\r\nSec-WebSocket-Protocol: heddle.v1+json\r\n")) {
    return drop(c, "the server did not take the subprotocol"), 0;
  }
  if (options.heddle) {
    c->state = GREETING;
    send_text(c, "[\"hello\",null,null]");
  } else {
    c->next_offset = 1;
    become_ready(c);
  }
  return end + 4 - bytes;
}

static void on_readable(connection *c) {
  memcpy(read_buffer, c->held, c->held_size);
  ssize_t count = recv(c->fd, read_buffer + c->held_size, READ_BUFFER - c->held_size, 0);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) return drop(c, count == 0 ? "ended by the server" : strerror(errno));
  uint64_t arrived = now(), answered = c->answered;
  size_t size = c->held_size + count, at = 0;
  if (c->state == UPGRADING) at = read_upgrade(c, read_buffer, size);
  if (c->state != UPGRADING) at += read_frames(c, read_buffer + at, size - at, arrived);
  c->held_size = size - at;
  reserve(&c->held, &c->held_capacity, c->held_size);
  memcpy(c->held, read_buffer + at, c->held_size);
  bool keep_going = options.mode == ECHO && (phase == WARMING || phase == MEASURING);
  if (keep_going && c->answered > answered) send_echoes(c, c->answered - answered);
}

/* ------------------------------------------------------------- connecting */

static void start_connection(connection *c) {
  int on = 1;
  /* Close with a reset: no connection of this run may linger into the next. */
  struct linger reset = {1, 0};
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(options.port)};
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->index = c - connections;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) usage("no more sockets; raise the limit of open files");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  c->state = CONNECTING;
  c->wants_write = true;
  if (options.mode == ECHO) c->sent_at = calloc(options.in_flight, sizeof *c->sent_at);
  reserve(&c->held, &c->held_capacity, 1);
  pending++;
  started++;
  if (connect(c->fd, (void *)&server, sizeof server) && errno != EINPROGRESS) return drop(c, strerror(errno));
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void on_connected(connection *c) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) return drop(c, strerror(error));
  char request[1024];
  int length = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                        options.path, options.port,
                        options.heddle ? "Sec-WebSocket-Protocol: heddle.v1+json\r\n" : "");
  c->state = UPGRADING;
  send_bytes(c, (uint8_t *)request, length);
}

static void poll_events(int milliseconds) {
  static struct epoll_event events[1024];
  int count = epoll_wait(epoll, events, 1024, milliseconds);
  for (int i = 0; i < count; i++) {
    connection *c = events[i].data.ptr;
    if (c->state == DEAD) continue;
    if (c->state == CONNECTING) {
      on_connected(c);
      continue;
    }
    if (events[i].events & EPOLLOUT) flush_out(c);
    if (c->state != DEAD && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(c);
  }
}

static void wait_seconds(double seconds) {
  for (uint64_t end = in_seconds(seconds); now() < end;) poll_events(20);
}

/* Not all at once: a server's accept queue holds a few hundred. */
enum { MOST_PENDING = 128 };

static bool connect_all(int count) {
  uint64_t deadline = in_seconds(30);
  while (ready < count && dead == 0 && now() < deadline) {
    while (started < count && pending < MOST_PENDING) start_connection(&connections[started]);
    poll_events(50);
  }
  if (ready < count) fprintf(stderr, "only %d of %d connections were ready\n", ready, count);
  return ready == count;
}

/* -------------------------------------------------------------------- runs */

static bool valid(void) { return errors == 0 && dead == 0; }

/* Memory a connection takes is the slope between two counts, so that what a server needs once does not blur it. */
static void run_idle(void) {
  long kilobytes[2] = {0, 0};
  for (int look = 0; look < 2; look++) {
    if (!connect_all(options.base + look * options.connections)) errors++;
    wait_seconds(0.5);
    kill(options.server, SIGUSR2);
    wait_seconds(1.5);
    kilobytes[look] = server_rss_kb();
  }
  printf("{\"valid\":%s,\"errors\":%llu,\"connections\":%d,\"base_rss_kb\":%ld,\"rss_kb\":%ld,"
         "\"bytes_per_connection\":%.0f}\n",
         valid() ? "true" : "false", (unsigned long long)errors, ready, kilobytes[0], kilobytes[1],
         (kilobytes[1] - kilobytes[0]) * 1024.0 / options.connections);
}

/* Replies or events that everything sent so far leads to. */
static uint64_t due(void) {
  if (options.mode == FANOUT) return published * options.connections;
  uint64_t sent = 0;
  for (int i = 0; i < options.connections; i++) sent += connections[i].sent;
  return sent;
}

static void start_load(void) {
  for (int i = 0; options.mode == ECHO && i < options.connections; i++) send_echoes(&connections[i], options.in_flight);
}

/* The next burst leaves when everyone, the publisher too, has all events but those that may be in flight. */
static void keep_publishing(void) {
  uint64_t may_lack = (uint64_t)(options.in_flight - 1) * options.burst;
  connection *publisher = &connections[options.connections];
  while (publisher->state == READY) {
    uint64_t needed = published < may_lack ? 0 : published - may_lack;
    if (received < needed * options.connections || publisher->events < needed) return;
    publish_burst(publisher);
  }
}

static bool everything_arrived(void) {
  const connection *publisher = &connections[options.connections];
  if (received != due()) return false;
  return options.mode == ECHO || (publisher->events == published && publisher->answered == publisher->sent);
}

/* Runs for so long; ends early, with an error, when something broke or nothing arrives any more. */
static void run_phase(double seconds) {
  uint64_t end = in_seconds(seconds), last_progress = now(), last_received = received;
  while (now() < end && dead == 0) {
    if (options.mode == FANOUT && phase != DRAINING) keep_publishing();
    if (phase == DRAINING && everything_arrived()) return;
    poll_events(5);
    if (received != last_received) {
      last_received = received;
      last_progress = now();
    } else if (now() - last_progress > 5000000000ull) {
      break;
    }
  }
  if (dead > 0 || (phase != DRAINING && now() >= end)) return;
  errors++;
  fprintf(stderr, "%llu of %llu messages arrived\n", (unsigned long long)received, (unsigned long long)due());
}

static void run_load(void) {
  if (!connect_all(options.connections + (options.mode == FANOUT))) errors++;
  wait_seconds(0.3);
  double server = 0, waiting = 0, own = 0, wall = 1;
  if (valid()) {
    phase = WARMING;
    start_load();
    run_phase(options.warm);
    phase = MEASURING;
    uint64_t begin = now();
    server = -server_cpu();
    waiting = -server_waiting();
    own = -own_cpu();
    run_phase(options.seconds);
    wall = (now() - begin) / 1e9;
    server += server_cpu();
    waiting += server_waiting();
    own += own_cpu();
    phase = DRAINING;
    run_phase(2);
  }
  if (measured == 0) errors++;
  printf("{\"valid\":%s,\"errors\":%llu,\"connections\":%d,\"seconds\":%.3f,\"messages\":%llu,\"per_second\":%.0f,"
         "\"p50_us\":%.1f,\"p99_us\":%.1f,\"server_us_per_message\":%.3f,\"server_cpu\":%.3f,\"server_waiting\":%.3f,"
         "\"generator_cpu\":%.3f,\"rss_kb\":%ld}\n",
         valid() ? "true" : "false", (unsigned long long)errors, ready, wall, (unsigned long long)measured,
         measured / wall, percentile(0.5), percentile(0.99), measured ? server * 1e6 / measured : 0, server / wall,
         waiting / wall, own / wall, server_rss_kb());
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlive the script that started the run */
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  connections = calloc(options.base + options.connections + 1, sizeof *connections);
  read_buffer = malloc(READ_BUFFER);
  epoll = epoll_create1(0);
  if (options.mode == IDLE) run_idle();
  else run_load();
  return valid() ? 0 : 1;
}
