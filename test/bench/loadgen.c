/*
 * The load generator: many WebSocket connections on one thread with epoll, so that one core is enough to keep a server
 * busy and its own time does not disturb what is measured. Linux only (epoll, /proc).
 *
 * It speaks heddle's protocol in JSON or MessagePack (`--protocol heddle`, `msgpack`), that of Socket.IO (`socketio`), or
 * to a plain WebSocket server heddle's messages without hello and join (`raw`). It believes nothing: every reply must carry
 * the reference that is due and the body that was sent, every event the number after the last one. A single mismatch
 * makes the run invalid.
 *
 * With `-DTLS`, and OpenSSL to link with, it can also do so over TLS (`--tls`).
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
#include <sys/timerfd.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/ssl.h>
#endif

/* ---------------------------------------------------------------- options */

/*
 * ECHO: requests and replies, so many in flight. LATENCY: the same at half of the rate that one in flight reaches.
 * FANOUT: events to all members of a room. OPEN: connections opened and joined. IDLE: the memory of such connections.
 */
enum mode { ECHO, LATENCY, FANOUT, OPEN, IDLE, MODES };
static const char *const mode_names[MODES] = {"echo", "latency", "fanout", "open", "idle"};

enum protocol { RAW, HEDDLE, MSGPACK, SOCKETIO, PROTOCOLS };
static const char *const protocol_names[PROTOCOLS] = {"raw", "heddle", "msgpack", "socketio"};

static struct {
  enum mode mode;
  enum protocol protocol;
  bool tls;
  int port;
  const char *path;
  int connections; /* all of them; idle: those that come on top of the base; open: those opened at a time */
  int base;        /* idle: connections made before the first look at the server's memory */
  int rooms;       /* the connections are spread over them; fan-out: the first connection of each publishes, in turn */
  int in_flight;   /* echo: requests on each connection; fan-out: bursts */
  int burst;       /* fan-out: events sent together */
  pid_t server;
  double warm, seconds;
} options = {.mode = ECHO, .protocol = HEDDLE, .path = "/", .connections = 100, .rooms = 1, .in_flight = 1, .burst = 1,
             .warm = 2.5, .seconds = 4};

static void usage(const char *problem) {
  fprintf(stderr, "loadgen: %s\n", problem);
  exit(2);
}

static int index_of(const char *const *names, int count, const char *name) {
  for (int i = 0; i < count; i++) {
    if (!strcmp(names[i], name)) return i;
  }
  usage("an unknown mode or protocol");
  return 0;
}

static void read_options(int argc, char **argv) {
  static const struct option names[] = {
      {"mode", 1, 0, 'm'},      {"protocol", 1, 0, 'q'}, {"port", 1, 0, 'p'},   {"path", 1, 0, 'u'},
      {"connections", 1, 0, 'c'}, {"base", 1, 0, 'b'},   {"in-flight", 1, 0, 'f'}, {"burst", 1, 0, 'B'},
      {"server", 1, 0, 's'},    {"warm", 1, 0, 'w'},     {"seconds", 1, 0, 'd'}, {"rooms", 1, 0, 'r'},
      {"tls", 0, 0, 't'},       {0, 0, 0, 0}};
  for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    switch (name) {
      case 'm': options.mode = index_of(mode_names, MODES, optarg); break;
      case 'q': options.protocol = index_of(protocol_names, PROTOCOLS, optarg); break;
      case 't': options.tls = true; break;
      case 'r': options.rooms = atoi(optarg); break;
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
  if (options.rooms < 1 || options.connections % options.rooms) usage("the rooms must be of one size");
#ifndef TLS
  if (options.tls) usage("compiled without TLS");
#endif
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

/* heddle's hello and join go with the upgrade: GREETING until the welcome, then JOINING. */
enum state { CONNECTING, SECURING, UPGRADING, OPENING, GREETING, JOINING, READY, DEAD };

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
  uint64_t started_at;
#ifdef TLS
  SSL *tls;
#endif
} connection;

static connection *connections;
static int epoll, started, pending, ready, dead;

/* Warm-up and measurement send; draining only waits for what is still due. */
static enum { SETTING_UP, WARMING, MEASURING, DRAINING } phase;
static uint64_t received, measured; /* echo: replies; fan-out: events at the members; open: connections that joined */
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

static void await_write(connection *c, bool wants_write) {
  if (wants_write == c->wants_write) return;
  c->wants_write = wants_write;
  struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

#ifdef TLS
static SSL_CTX *tls_context;

/* As `send` and `recv` answer. */
static ssize_t tls_outcome(connection *c, int result) {
  if (result > 0) return result;
  int error = SSL_get_error(c->tls, result);
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
  return -1;
}
#endif

static ssize_t put_bytes(connection *c, const uint8_t *bytes, size_t size) {
#ifdef TLS
  if (c->tls) return tls_outcome(c, SSL_write(c->tls, bytes, size));
#endif
  return send(c->fd, bytes, size, MSG_NOSIGNAL);
}

static ssize_t get_bytes(connection *c, uint8_t *bytes, size_t size) {
#ifdef TLS
  /* What OpenSSL has decrypted already, epoll does not know of: everything there is is taken. */
  size_t had = 0;
  while (c->tls && had < size) {
    ssize_t count = tls_outcome(c, SSL_read(c->tls, bytes + had, size - had));
    if (count <= 0) return had > 0 ? (ssize_t)had : count;
    had += count;
  }
  if (c->tls) return had;
#endif
  return recv(c->fd, bytes, size, 0);
}

static void flush_out(connection *c) {
  size_t done = 0;
  while (done < c->out_size) {
    ssize_t count = put_bytes(c, c->out + done, c->out_size - done);
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) return drop(c, strerror(errno));
    done += count;
  }
  memmove(c->out, c->out + done, c->out_size - done);
  c->out_size -= done;
  await_write(c, c->out_size > 0);
}

static void send_bytes(connection *c, const uint8_t *bytes, size_t size) {
  if (c->state == DEAD) return;
  reserve(&c->out, &c->out_capacity, c->out_size + size);
  memcpy(c->out + c->out_size, bytes, size);
  c->out_size += size;
  flush_out(c);
}

/* -------------------------------------------------------- WebSocket frames */

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, FRAME_HEADER = 8 };

static int message_opcode(void) { return options.protocol == MSGPACK ? BINARY : TEXT; }

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

static void send_message(connection *c, const void *text, size_t size) {
  uint8_t frame[512];
  send_bytes(c, frame, write_frame(frame, message_opcode(), text, size));
}

static void send_text(connection *c, const char *text) { send_message(c, text, strlen(text)); }

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

static char *put_hex(char *to, uint64_t number, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) *to++ = "0123456789abcdef"[number >> shift & 15];
  return to;
}

/* MessagePack, always in the shortest form. */
static char *pack_head(char *to, int head) {
  *to = (char)head;
  return to + 1;
}

static char *pack_number(char *to, uint64_t number) {
  int bytes = number < 128 ? 0 : number < 1 << 8 ? 1 : number < 1 << 16 ? 2 : number >> 32 ? 8 : 4;
  if (bytes == 0) return pack_head(to, number);
  to = pack_head(to, bytes == 1 ? 0xcc : bytes == 2 ? 0xcd : bytes == 4 ? 0xce : 0xcf);
  while (bytes-- > 0) *to++ = (char)(number >> 8 * bytes);
  return to;
}

static char *pack_text(char *to, const char *text) {
  size_t size = strlen(text);
  if (size < 32) return put_text(pack_head(to, 0xa0 | size), text);
  return put_text(pack_head(pack_head(to, 0xd9), size), text);
}

/* The request of the echo is about 110 bytes, the event about 100. */
#define FROM "member-0042"
#define SAYING "Shall we meet at eight?"
#define EVENT_TAIL " and some more text, as people write it to each other"
enum { STAMP = 16, NUMBER = 8, MOST_BODY = 192 };

static char *put_body(char *to, uint64_t id) {
  if (options.protocol != MSGPACK) {
    to = put_number(put_text(to, "{\"id\":"), id);
    return put_text(to, ",\"from\":\"" FROM "\",\"text\":\"" SAYING "\"}");
  }
  to = pack_number(pack_text(pack_head(to, 0x83), "id"), id);
  return pack_text(pack_text(pack_text(pack_text(to, "from"), FROM), "text"), SAYING);
}

/* An event says when it was sent, so that each receiver can tell its latency, and which of its room's it is. */
static char *put_saying(char *to, uint64_t number) {
  char text[MOST_BODY];
  strcpy(put_hex(put_hex(text, now(), STAMP), number, NUMBER), EVENT_TAIL);
  if (options.protocol == MSGPACK) return pack_text(pack_text(pack_head(to, 0x81), "text"), text);
  return put_text(put_text(put_text(to, "{\"text\":\""), text), "\"}");
}

/* A request up to its payload: reference and sequence are one number, the join having reference 0. */
static char *put_request(char *to, connection *c, const char *name) {
  uint64_t seq = ++c->sent;
  if (options.protocol == MSGPACK) {
    to = pack_number(pack_text(pack_head(to, 0x97), "request"), seq);
    return pack_text(pack_number(pack_number(pack_number(to, c->channel), seq), c->answered), name);
  }
  to = put_number(put_text(to, "[\"request\","), seq);
  to = put_number(put_text(to, ","), c->channel);
  to = put_number(put_text(to, ","), seq);
  to = put_number(put_text(to, ","), c->answered);
  return put_text(put_text(put_text(to, ",\""), name), "\",");
}

static char *put_end(char *to) { return options.protocol == MSGPACK ? to : put_text(to, "]"); }

static char *put_echo(char *to, connection *c) {
  if (options.protocol != SOCKETIO) to = put_request(to, c, "Echo");
  else to = put_text(put_number(put_text(to, "42"), ++c->sent), "[\"echo\",");
  return put_end(put_body(to, c->sent));
}

/* To heddle a request to publish; to a plain server the event itself, which it passes on as it is. */
static char *put_publish(char *to, connection *c, uint64_t number) {
  if (options.protocol == SOCKETIO) to = put_text(to, "42[\"publish\",");
  else if (options.protocol == RAW) to = put_text(put_number(put_text(to, "[\"event\",0,"), number), ",\"Said\",");
  else to = put_request(to, c, "Publish");
  return put_end(put_saying(to, number));
}

enum { MOST_LATE = 1024 };

/* Requests that one connection may have open. */
static uint64_t most_open(void) { return options.mode == LATENCY ? MOST_LATE : options.in_flight; }

static void send_echoes(connection *c, int count, uint64_t sent_at) {
  static uint8_t out[65536];
  size_t size = 0;
  char text[512];
  for (int i = 0; i < count; i++) {
    char *end = put_echo(text, c);
    c->sent_at[c->sent % most_open()] = sent_at;
    if (size + (end - text) + FRAME_HEADER > sizeof out) {
      send_bytes(c, out, size);
      size = 0;
    }
    size += write_frame(out + size, message_opcode(), text, end - text);
  }
  send_bytes(c, out, size);
}

static uint64_t published;     /* in all rooms */
static uint64_t *published_in; /* in each */

static void publish_burst(connection *c) {
  static uint8_t out[1 << 20];
  size_t size = 0;
  char text[512];
  for (int i = 0; i < options.burst && size + sizeof text < sizeof out; i++) {
    published++;
    size += write_frame(out + size, message_opcode(), text, put_publish(text, c, ++published_in[c->index]) - text);
  }
  send_bytes(c, out, size);
}

/* -------------------------------------------------- reading what was sent */

typedef struct {
  const char *at, *end;
} cursor;

static bool take_bytes(cursor *from, const char *bytes, size_t size) {
  if ((size_t)(from->end - from->at) < size || memcmp(from->at, bytes, size)) return false;
  from->at += size;
  return true;
}

static bool take(cursor *from, const char *text) { return take_bytes(from, text, strlen(text)); }

static bool take_number(cursor *from, uint64_t *number) {
  const char *begin = from->at;
  *number = 0;
  while (from->at < from->end && *from->at >= '0' && *from->at <= '9') *number = *number * 10 + (*from->at++ - '0');
  return from->at > begin;
}

static bool take_hex(cursor *from, int digits, uint64_t *number) {
  if (from->end - from->at < digits) return false;
  *number = 0;
  for (int i = 0; i < digits; i++) {
    char digit = *from->at++;
    *number = *number << 4 | (digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  return true;
}

static bool unpack_bytes(cursor *from, int bytes, uint64_t *number) {
  if (from->end - from->at < bytes) return false;
  for (*number = 0; bytes > 0; bytes--) *number = *number << 8 | (uint8_t)*from->at++;
  return true;
}

static bool unpack_number(cursor *from, uint64_t *number) {
  uint64_t head;
  if (!unpack_bytes(from, 1, &head)) return false;
  if (head >= 0xcc && head <= 0xcf) return unpack_bytes(from, 1 << (head - 0xcc), number);
  *number = head;
  return head < 128;
}

static bool unpack_text(cursor *from, const char *text) {
  char packed[MOST_BODY];
  return take_bytes(from, packed, pack_text(packed, text) - packed);
}

/* Passes over any value that heddle sends. */
static bool unpack_any(cursor *from) {
  uint64_t head, size = 0, values = 0;
  if (!unpack_bytes(from, 1, &head)) return false;
  if (head < 0x80 || head >= 0xe0 || head == 0xc0 || head == 0xc2 || head == 0xc3) return true;
  if (head < 0x90) values = 2 * (head & 15);
  else if (head < 0xa0) values = head & 15;
  else if (head < 0xc0) size = head & 31;
  else if (head == 0xd9 || head == 0xc4) unpack_bytes(from, 1, &size);
  else if (head == 0xda || head == 0xc5) unpack_bytes(from, 2, &size);
  else if (head == 0xdc) unpack_bytes(from, 2, &values);
  else if (head == 0xde && unpack_bytes(from, 2, &values)) values *= 2;
  else if (head >= 0xcc && head <= 0xd3) size = 1 << ((head - 0xcc) & 3);
  else if (head == 0xca || head == 0xcb) size = head == 0xca ? 4 : 8;
  else return false;
  if ((uint64_t)(from->end - from->at) < size) return false;
  from->at += size;
  while (values-- > 0) {
    if (!unpack_any(from)) return false;
  }
  return true;
}

/* What receives a frame returns what is wrong with it, NULL if nothing is. */
typedef const char *fault_text;
static const fault_text no_fault = NULL, unexpected = "a frame that is not expected here";

static void become_ready(connection *c) {
  c->state = READY;
  pending--;
  ready++;
  received++;
  if (options.mode == OPEN && phase == MEASURING) {
    measured++;
    record_latency(now() - c->started_at);
  }
}

/* An event's payload from its first character on. */
static fault_text on_saying(connection *c, cursor text, uint64_t arrived) {
  uint64_t stamp, number;
  if (!take_hex(&text, STAMP, &stamp) || !take_hex(&text, NUMBER, &number) || !take(&text, EVENT_TAIL)) {
    return "another event than was published";
  }
  received++;
  if (phase == MEASURING) {
    measured++;
    record_latency(arrived - stamp);
  }
  return number == ++c->events ? no_fault : "not the next event";
}

/* The reply to the oldest open request, with its body somewhere in what follows the reference. */
static fault_text on_reply(connection *c, uint64_t ref, cursor rest, uint64_t arrived) {
  if (ref != c->answered + 1 || ref > c->sent) return "not the reply that is due";
  c->answered++;
  if (options.mode == FANOUT) return c->events >= c->answered ? no_fault : "the reply came before the event";
  char body[MOST_BODY];
  size_t size = put_body(body, ref) - body;
  if (!memmem(rest.at, rest.end - rest.at, body, size)) return "another body than was sent";
  received++;
  if (phase == MEASURING) {
    measured++;
    record_latency(arrived - c->sent_at[ref % most_open()]);
  }
  return no_fault;
}

static fault_text on_offset(connection *c, uint64_t channel, uint64_t offset) {
  if (c->state != READY || channel != c->channel) return "an event of no channel";
  if (offset != c->next_offset) return "not the next offset";
  c->next_offset++;
  return no_fault;
}

/* --------------------------------------------- heddle in JSON, and plain */

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
  uint64_t channel, offset;
  if (!take_number(&frame, &channel) || !take(&frame, ",") || !take_number(&frame, &offset)) return unexpected;
  fault_text problem = on_offset(c, channel, offset);
  if (!take(&frame, ",\"Said\",{\"text\":\"")) return "another event than was published";
  fault_text other = on_saying(c, frame, arrived);
  return problem ? problem : other;
}

/* Presence of other members is none of the test's business; anything else must be due. */
static fault_text on_json(connection *c, cursor frame, uint64_t arrived) {
  uint64_t ref;
  if (take(&frame, "[\"event\",")) return on_event(c, frame, arrived);
  if (take(&frame, options.protocol == RAW ? "[\"request\"," : "[\"ok\",")) {
    return take_number(&frame, &ref) ? on_reply(c, ref, frame, arrived) : unexpected;
  }
  if (options.protocol == RAW) return unexpected;
  if (take(&frame, "[\"joined\",")) return on_joined(c, frame);
  if (take(&frame, "[\"ping\"]")) {
    send_text(c, "[\"pong\"]");
    return no_fault;
  }
  if (take(&frame, "[\"welcome\",") && c->state == GREETING) {
    c->state = JOINING;
    return no_fault;
  }
  return take(&frame, "[\"present\",") || take(&frame, "[\"absent\",") ? no_fault : unexpected;
}

/* A message carries one or more frames, separated by newlines. */
static void on_json_message(connection *c, const char *text, size_t size, uint64_t arrived) {
  const char *end = text + size;
  while (text <= end && c->state != DEAD) {
    const char *newline = memchr(text, '\n', end - text);
    cursor frame = {text, newline ? newline : end};
    fault_text problem = on_json(c, frame, arrived);
    if (problem) fault(c, problem, text, frame.end - text);
    text = frame.end + 1;
  }
}

/* ------------------------------------------------- heddle in MessagePack */

static fault_text on_packed_event(connection *c, cursor frame, uint64_t arrived) {
  uint64_t channel, offset, size;
  if (!unpack_number(&frame, &channel) || !unpack_number(&frame, &offset)) return unexpected;
  fault_text problem = on_offset(c, channel, offset);
  if (!unpack_text(&frame, "Said") || !take(&frame, "\x81") || !unpack_text(&frame, "text") ||
      !take(&frame, "\xd9") || !unpack_bytes(&frame, 1, &size)) {
    return "another event than was published";
  }
  fault_text other = on_saying(c, frame, arrived);
  return problem ? problem : other;
}

static fault_text on_packed_joined(connection *c, cursor frame) {
  uint64_t ref, offset;
  if (c->state != JOINING || !unpack_number(&frame, &ref) || ref != 0) return unexpected;
  if (!unpack_number(&frame, &c->channel) || !unpack_any(&frame) || !take(&frame, "\x93")) return unexpected;
  if (!unpack_any(&frame) || !unpack_any(&frame) || !unpack_number(&frame, &offset)) return unexpected;
  c->next_offset = offset + 1;
  become_ready(c);
  return no_fault;
}

/* A frame without its length: an array whose first value is the kind. */
static fault_text on_packed(connection *c, cursor frame, uint64_t arrived) {
  uint64_t ref;
  if (unpack_text(&frame, "event")) return on_packed_event(c, frame, arrived);
  if (unpack_text(&frame, "ok")) return unpack_number(&frame, &ref) ? on_reply(c, ref, frame, arrived) : unexpected;
  if (unpack_text(&frame, "joined")) return on_packed_joined(c, frame);
  if (unpack_text(&frame, "ping")) return send_text(c, "\x91\xa4pong"), no_fault;
  if (unpack_text(&frame, "welcome") && c->state == GREETING) {
    c->state = JOINING;
    return no_fault;
  }
  return unpack_text(&frame, "present") || unpack_text(&frame, "absent") ? no_fault : unexpected;
}

/* A message carries one or more frames, one after another. */
static void on_packed_message(connection *c, const char *bytes, size_t size, uint64_t arrived) {
  cursor rest = {bytes, bytes + size};
  while (rest.at < rest.end && c->state != DEAD) {
    const char *begin = rest.at;
    if (!unpack_any(&rest)) return fault(c, "a frame that is not MessagePack", "", 0);
    bool array = ((uint8_t)*begin & 0xf0) == 0x90;
    fault_text problem = array ? on_packed(c, (cursor){begin + 1, rest.at}, arrived) : unexpected;
    if (problem) fault(c, problem, begin, rest.at - begin);
  }
}

/* -------------------------------------------------------------- Socket.IO */

/* Engine.IO 4 (the first character) with Socket.IO 5 inside its messages (`4`): connect `0`, event `2`, answer `3`. */
static fault_text on_packet(connection *c, cursor packet, uint64_t arrived) {
  uint64_t ref;
  if (take(&packet, "42[\"said\",{\"text\":\"")) return c->state == READY ? on_saying(c, packet, arrived) : unexpected;
  if (c->state == READY && take(&packet, "43") && take_number(&packet, &ref)) return on_reply(c, ref, packet, arrived);
  if (c->state == OPENING && take(&packet, "0{")) {
    c->state = GREETING;
    send_text(c, "40");
    return no_fault;
  }
  if (c->state == GREETING && take(&packet, "40{")) {
    char join[64];
    snprintf(join, sizeof join, "420[\"join\",\"room-%d\"]", c->index % options.rooms);
    c->state = JOINING;
    send_text(c, join);
    return no_fault;
  }
  if (c->state == JOINING && take(&packet, "430[")) return become_ready(c), no_fault;
  if (packet.end - packet.at == 1 && take(&packet, "2")) return send_text(c, "3"), no_fault;
  return unexpected;
}

static void on_message(connection *c, const char *text, size_t size, uint64_t arrived) {
  if (options.protocol == MSGPACK) return on_packed_message(c, text, size, arrived);
  if (options.protocol != SOCKETIO) return on_json_message(c, text, size, arrived);
  fault_text problem = on_packet(c, (cursor){text, text + size}, arrived);
  if (problem) fault(c, problem, text, size);
}

/* The header of the upgrade that names it. */
static const char *subprotocol(void) {
  if (options.protocol == HEDDLE) return "\r\nSec-WebSocket-Protocol: heddle.v1+json";
  return options.protocol == MSGPACK ? "\r\nSec-WebSocket-Protocol: heddle.v1+msgpack" : NULL;
}

static char *put_base64url(char *to, const uint8_t *bytes, size_t size) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  uint32_t bits = 0;
  int count = 0;
  for (size_t at = 0; at < size; at++) {
    bits = bits << 8 | bytes[at];
    for (count += 8; count >= 6; count -= 6) *to++ = digits[bits >> (count - 6) & 63];
  }
  if (count > 0) *to++ = digits[bits << (6 - count) & 63];
  return to;
}

/* Hello and join in one message among the subprotocols, as a client of heddle sends them that has no session. */
static char *put_greeting(char *to, const connection *c) {
  char message[128], key[32];
  snprintf(key, sizeof key, "room-%d", c->index % options.rooms);
  char *end = message;
  if (options.protocol == HEDDLE) {
    end = put_text(put_text(end, "[\"hello\",null,null]\n[\"join\",0,\"bench\",\""), key);
    end = put_text(end, "\",null,null]");
  } else {
    end = pack_head(pack_head(pack_text(pack_head(end, 0x93), "hello"), 0xc0), 0xc0);
    end = pack_number(pack_text(pack_head(end, 0x96), "join"), 0);
    end = pack_head(pack_head(pack_text(pack_text(end, "bench"), key), 0xc0), 0xc0);
  }
  return put_base64url(put_text(to, ", heddle.hello."), (const uint8_t *)message, end - message);
}

static void on_upgraded(connection *c) {
  c->state = GREETING;
  if (options.protocol == SOCKETIO) c->state = OPENING; /* the server begins */
  if (options.protocol != RAW) return;
  c->next_offset = 1;
  become_ready(c);
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
    else if (opcode == message_opcode()) on_message(c, (const char *)payload, length, arrived);
    else if (opcode == PING) {
      uint8_t pong[160];
      send_bytes(c, pong, write_frame(pong, PONG, payload, length > 125 ? 125 : length));
    } else if (opcode == CLOSE) {
      int code = length >= 2 ? payload[0] << 8 | payload[1] : 0;
      char problem[160];
      snprintf(problem, sizeof problem, "closed by the server with %d %.*s", code, length > 2 ? (int)length - 2 : 0,
               (const char *)payload + 2);
      drop(c, problem);
    } else drop(c, "a message that is text where binary is due, or the other way round");
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
  const char *wanted = subprotocol();
  const char *taken = wanted ? strcasestr(head, wanted) : NULL;
  if (wanted && (!taken || strncmp(taken + strlen(wanted), "\r\n", 2))) return drop(c, "the server did not take the subprotocol"), 0;
  on_upgraded(c);
  return end + 4 - bytes;
}

static void on_readable(connection *c) {
  memcpy(read_buffer, c->held, c->held_size);
  ssize_t count = get_bytes(c, read_buffer + c->held_size, READ_BUFFER - c->held_size);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) return drop(c, count == 0 ? "ended by the server" : strerror(errno));
  uint64_t arrived = now(), answered = c->answered;
  size_t size = c->held_size + count, at = 0;
  if (c->state == UPGRADING) at = read_upgrade(c, read_buffer, size);
  if (c->state != UPGRADING) at += read_frames(c, read_buffer + at, size - at, arrived);
  if (c->state == DEAD) return;
  c->held_size = size - at;
  reserve(&c->held, &c->held_capacity, c->held_size);
  memcpy(c->held, read_buffer + at, c->held_size);
  bool closed_loop = phase == WARMING ? options.mode <= LATENCY : phase == MEASURING && options.mode == ECHO;
  if (closed_loop && c->answered > answered) send_echoes(c, c->answered - answered, now());
}

/* ------------------------------------------------------------- connecting */

static void start_connection(connection *c) {
  int on = 1;
  /* Close with a reset: no connection of this run may linger into the next. */
  struct linger reset = {1, 0};
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(options.port)};
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->index = c - connections;
  c->started_at = now();
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) usage("no more sockets; raise the limit of open files");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  c->state = CONNECTING;
  c->wants_write = true;
  if (options.mode <= LATENCY) c->sent_at = calloc(most_open(), sizeof *c->sent_at);
  reserve(&c->held, &c->held_capacity, 1);
  pending++;
  started++;
  if (connect(c->fd, (void *)&server, sizeof server) && errno != EINPROGRESS) return drop(c, strerror(errno));
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void send_upgrade(connection *c) {
  char request[1024], room[32] = "";
  if (options.protocol == RAW) snprintf(room, sizeof room, "?room=%d", c->index % options.rooms);
  char header[256] = "";
  if (subprotocol()) *put_greeting(put_text(header, subprotocol()), c) = 0;
  int length = snprintf(request, sizeof request,
                        "GET %s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13%s\r\n\r\n",
                        options.path, room, options.port, header);
  c->state = UPGRADING;
  send_bytes(c, (uint8_t *)request, length);
}

#ifdef TLS
static void secure(connection *c) {
  if (!c->tls) {
    c->tls = SSL_new(tls_context);
    SSL_set_fd(c->tls, c->fd);
  }
  c->state = SECURING;
  int result = SSL_connect(c->tls);
  if (result == 1) return send_upgrade(c);
  int error = SSL_get_error(c->tls, result);
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return drop(c, "the TLS handshake failed");
  await_write(c, error == SSL_ERROR_WANT_WRITE);
}
#endif

static void on_connected(connection *c) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) return drop(c, strerror(error));
#ifdef TLS
  if (options.tls) return secure(c);
#endif
  send_upgrade(c);
}

static void poll_events(int milliseconds) {
  static struct epoll_event events[1024];
  int count = epoll_wait(epoll, events, 1024, milliseconds);
  for (int i = 0; i < count; i++) {
    connection *c = events[i].data.ptr;
    if (!c || c->state == DEAD) continue; /* the timer only ends the wait */
    if (c->state == CONNECTING) {
      on_connected(c);
      continue;
    }
#ifdef TLS
    if (c->state == SECURING) {
      secure(c);
      continue;
    }
#endif
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
  uint64_t deadline = in_seconds(60);
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

/* Messages that everything sent so far leads to. */
static uint64_t due(void) {
  if (options.mode == FANOUT) return published * (options.connections / options.rooms);
  uint64_t sent = 0;
  for (int i = 0; i < options.connections; i++) sent += connections[i].sent;
  return sent;
}

static void start_load(void) {
  received = 0;
  for (int i = 0; options.mode <= LATENCY && i < options.connections; i++) {
    send_echoes(&connections[i], options.in_flight, now());
  }
}

/* The next burst leaves when everyone has all events but those that may be in flight; the rooms take turns. */
static void keep_publishing(void) {
  uint64_t may_lack = (uint64_t)(options.in_flight - 1) * options.burst;
  static int turn;
  for (;;) {
    uint64_t needed = published < may_lack ? 0 : published - may_lack;
    connection *publisher = &connections[turn];
    if (publisher->state != READY || received < needed * (options.connections / options.rooms)) return;
    publish_burst(publisher);
    turn = (turn + 1) % options.rooms;
  }
}

/* When the next request is to be sent, at a rate that does not wait for replies; 0 while they do. */
static double interval, next_at;
static int timer;

/* Latency counts from the moment a request was to be sent, also when the generator or the socket was late. */
static void keep_pace(void) {
  static int turn;
  while (next_at <= now()) {
    connection *c = &connections[turn];
    turn = (turn + 1) % options.connections;
    if (c->sent - c->answered >= MOST_LATE) return drop(c, "the server does not keep up with the rate");
    send_echoes(c, 1, (uint64_t)next_at);
    next_at += interval;
  }
  uint64_t wake = (uint64_t)next_at;
  struct itimerspec at = {.it_value = {.tv_sec = wake / 1000000000, .tv_nsec = wake % 1000000000}};
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static bool everything_arrived(void) {
  if (received != due()) return false;
  for (int i = 0; i < options.rooms && options.mode == FANOUT; i++) {
    if (connections[i].answered != connections[i].sent) return false;
  }
  return true;
}

/* Runs for so long; ends early, with an error, when something broke or nothing arrives any more. */
static void run_phase(double seconds) {
  uint64_t end = in_seconds(seconds), last_progress = now(), last_received = received;
  while (now() < end && dead == 0) {
    if (options.mode == FANOUT && phase != DRAINING) keep_publishing();
    if (options.mode == LATENCY && phase == MEASURING) keep_pace();
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

static struct {
  double server, waiting, own, wall;
} used;

static void begin_use(void) {
  used.server -= server_cpu();
  used.waiting -= server_waiting();
  used.own -= own_cpu();
  used.wall -= now() / 1e9;
}

static void end_use(void) {
  used.server += server_cpu();
  used.waiting += server_waiting();
  used.own += own_cpu();
  used.wall += now() / 1e9;
}

/* Half of what the second half of the warm-up reached, one request in flight on each connection. */
static void set_pace(double seconds) {
  uint64_t before = received, begin = now();
  run_phase(seconds);
  uint64_t took = now() - begin, arrived = received - before;
  phase = DRAINING;
  run_phase(2);
  interval = arrived ? 2.0 * took / arrived : 1e9;
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);
  next_at = (double)now();
}

static void run_load(void) {
  if (!connect_all(options.connections)) errors++;
  wait_seconds(0.3);
  if (!valid()) return;
  phase = WARMING;
  start_load();
  run_phase(options.mode == LATENCY ? options.warm / 2 : options.warm);
  if (options.mode == LATENCY) set_pace(options.warm / 2);
  phase = MEASURING;
  begin_use();
  run_phase(options.seconds);
  end_use();
  phase = DRAINING;
  run_phase(2);
}

/* Opens a wave, which is what counts, closes it, and lets the server recover. */
static void run_wave(void) {
  started = pending = ready = 0;
  begin_use();
  if (!connect_all(options.connections)) errors++;
  end_use();
  for (int i = 0; i < options.connections; i++) {
    connection *c = &connections[i];
    if (c->state != DEAD) {
      /* As whoever does not come back does: a server may keep a place for those who just vanish. */
      uint8_t goodbye[FRAME_HEADER + 2];
      send_bytes(c, goodbye, write_frame(goodbye, CLOSE, "\x03\xe8", 2));
      close(c->fd);
    }
#ifdef TLS
    if (c->tls) SSL_free(c->tls);
#endif
    free(c->held);
    free(c->out);
  }
  memset(connections, 0, options.connections * sizeof *connections);
  wait_seconds(0.2);
}

static void run_waves(void) {
  phase = WARMING;
  while (used.wall < options.warm && valid()) run_wave();
  memset(&used, 0, sizeof used);
  phase = MEASURING;
  while (used.wall < options.seconds && valid()) run_wave();
}

static void report(void) {
  if (measured == 0) errors++;
  if (used.wall == 0) used.wall = 1;
  printf("{\"valid\":%s,\"errors\":%llu,\"connections\":%d,\"seconds\":%.3f,\"messages\":%llu,\"per_second\":%.0f,"
         "\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"server_us_per_message\":%.3f,\"server_cpu\":%.3f,"
         "\"server_waiting\":%.3f,\"generator_cpu\":%.3f,\"rss_kb\":%ld}\n",
         valid() ? "true" : "false", (unsigned long long)errors, ready, used.wall, (unsigned long long)measured,
         measured / used.wall, percentile(0.5), percentile(0.99), percentile(0.999),
         measured ? used.server * 1e6 / measured : 0, used.server / used.wall, used.waiting / used.wall,
         used.own / used.wall, server_rss_kb());
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlive the script that started the run */
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
#ifdef TLS
  /* What is measured is not whether the certificate is trusted. */
  tls_context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
#endif
  connections = calloc(options.base + options.connections, sizeof *connections);
  published_in = calloc(options.rooms, sizeof *published_in);
  read_buffer = malloc(READ_BUFFER);
  epoll = epoll_create1(0);
  if (options.mode == IDLE) run_idle();
  else {
    if (options.mode == OPEN) run_waves();
    else run_load();
    report();
  }
  return valid() ? 0 : 1;
}
