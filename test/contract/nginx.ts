/**
 * A real nginx in front of a server: Debian's package `nginx-light` has it.
 */
import { Effect } from "effect"
import * as Child from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { selfSigned } from "./mountServers.ts"
import { until } from "./transportClient.ts"

/** Where nginx listens: the ports of its servers. */
export interface Ports {
  readonly plain: number
  readonly secure: number
  /** Forwards to `plain`, as a client with the address 127.0.0.7. */
  readonly outer: number
}

/** As in nginx's own guide to WebSockets, but with a short timeout and an address of its own towards the upstream. */
const config = (folder: string, upstream: number, { outer, plain, secure }: Ports) => `
daemon off;
master_process off;
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/1;
  proxy_temp_path ${folder}/2;
  fastcgi_temp_path ${folder}/3;
  uwsgi_temp_path ${folder}/4;
  scgi_temp_path ${folder}/5;
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  proxy_http_version 1.1;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $http_host;
  proxy_read_timeout 1s;
  server {
    listen 127.0.0.1:${plain};
    location / { proxy_bind 127.0.0.9; proxy_pass http://127.0.0.1:${upstream}; }
  }
  server {
    listen 127.0.0.1:${secure} ssl;
    ssl_certificate ${folder}/cert.pem;
    ssl_certificate_key ${folder}/key.pem;
    location / { proxy_bind 127.0.0.9; proxy_pass http://127.0.0.1:${upstream}; }
  }
  server {
    listen 127.0.0.1:${outer};
    location / { proxy_bind 127.0.0.7; proxy_pass http://127.0.0.1:${plain}; }
  }
}
`

/** Ports that were free a moment ago: nginx cannot choose by itself. */
const freePorts = Effect.promise(async (): Promise<Ports> => {
  const servers = Array.from({ length: 3 }, () => Net.createServer().listen(0, "127.0.0.1"))
  const ports: Array<number> = []
  for (const server of servers) {
    if (!server.listening) await new Promise((resolve) => server.once("listening", resolve))
    ports.push((server.address() as Net.AddressInfo).port)
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve))
  return { plain: ports[0]!, secure: ports[1]!, outer: ports[2]! }
})

const binary = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"].find((path) => Fs.existsSync(path))

/** Starts it in front of a port of this machine, until the scope closes. */
export const nginx = Effect.fnUntraced(function*(upstream: number) {
  if (binary === undefined) return yield* Effect.die(new Error("nginx is not there: apt-get install nginx-light"))
  const ports = yield* freePorts
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "heddle-nginx-"))),
    (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
  )
  const { cert, key } = selfSigned()
  Fs.writeFileSync(Path.join(folder, "cert.pem"), cert)
  Fs.writeFileSync(Path.join(folder, "key.pem"), key)
  Fs.writeFileSync(Path.join(folder, "nginx.conf"), config(folder, upstream, ports))
  let output = ""
  let ended = false
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const arguments_ = ["-p", folder, "-e", "stderr", "-c", Path.join(folder, "nginx.conf")]
      const child = Child.spawn(binary, arguments_, { stdio: ["ignore", "ignore", "pipe"] })
      child.stderr.on("data", (chunk) => output += chunk)
      child.on("close", () => ended = true)
      return child
    }),
    (child) =>
      Effect.suspend(() => {
        child.kill("SIGKILL")
        return until("nginx ends", () => ended)
      })
  )
  let open = false
  const knock = () => {
    const socket = Net.connect(ports.outer, "127.0.0.1")
    socket.on("connect", () => {
      open = true
      socket.destroy()
    })
    socket.on("error", () => void (ended || setImmediate(knock)))
  }
  knock()
  yield* until("nginx listens", () => open || ended)
  if (ended) return yield* Effect.die(new Error(`nginx did not start: ${output}`))
  return ports
})
