/**
 * A server as a user has one on each runtime, with WebSockets of its own, for engines to attach to.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import type { AddressInfo } from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { WebSocket as WsClient, WebSocketServer } from "ws"
import type * as BunRuntime from "../../runtimes/bun.ts"
import type * as DenoRuntime from "../../runtimes/deno.ts"
import type * as NodeRuntime from "../../runtimes/node.ts"
import { listener } from "../../runtimes/nodeHttp.ts"
import type { Connect } from "../../src/client/Connector.ts"
import * as Transport from "../../src/engine/Transport.ts"

// Not `heddle/runtime`: vitest resolves export conditions as Node does, whatever runs it.
export const runtime = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node"
const shim: unknown = await import(`../../runtimes/${runtime}.ts`)
export const { capabilities, layer } = shim as typeof NodeRuntime

/** What the user's server does by itself. */
export interface Theirs {
  readonly port: number
  readonly fetch: (request: Request) => Response | Promise<Response>
  /** A path where it has WebSockets of its own: they answer with what they are sent behind `theirs: `. */
  readonly echoes?: string
}

export interface UserServer {
  readonly address: Transport.Address
  /** Attaches to it. */
  readonly transport: Layer.Layer<Transport.Transport>
  /** What is left of heddle on the server; 0 where nothing can be. */
  readonly traces: () => number
}

const addressOf = (port: number): Transport.Address => ({
  hostname: "127.0.0.1",
  port,
  url: `http://127.0.0.1:${port}`
})

const listenError = (port: number, cause: { readonly code?: string; readonly message: string }) =>
  new Transport.ListenError({
    reason: cause.code === "EADDRINUSE" ? "AddressInUse" : "Other",
    hostname: "127.0.0.1",
    port,
    detail: cause.message
  })

type Start = (theirs: Theirs) => Effect.Effect<UserServer, Transport.ListenError, Scope.Scope>

const hasTheirs = (theirs: Theirs, url: string) =>
  theirs.echoes !== undefined && new URL(url).pathname === theirs.echoes

const onNode: Start = (theirs) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Http.Server, Transport.ListenError>((resume) => {
        const server = Http.createServer(listener(async (request) => theirs.fetch(request)))
        if (theirs.echoes !== undefined) {
          const wss = new WebSocketServer({ noServer: true })
          server.on("upgrade", (request, raw, head) => {
            if (!hasTheirs(theirs, `http://x${request.url}`)) return
            wss.handleUpgrade(
              request,
              raw,
              head,
              (ws) => ws.on("message", (data) => ws.send(`theirs: ${data.toString()}`))
            )
          })
        }
        server.on("error", (cause) => resume(Effect.fail(listenError(theirs.port, cause))))
        try {
          server.listen(theirs.port, "127.0.0.1", () => resume(Effect.succeed(server)))
        } catch (cause) {
          resume(Effect.fail(listenError(theirs.port, cause as Error)))
        }
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    ),
    (server): UserServer => {
      const before = server.shouldUpgradeCallback
      const count = server.listenerCount("upgrade")
      return {
        address: addressOf((server.address() as AddressInfo).port),
        transport: (shim as typeof NodeRuntime).layerAttach(server),
        traces: () => server.listenerCount("upgrade") - count + (server.shouldUpgradeCallback === before ? 0 : 1)
      }
    }
  )

declare module "node:http" {
  interface Server {
    shouldUpgradeCallback: (request: Http.IncomingMessage) => boolean
  }
}

interface BunListening {
  readonly port: number
  readonly stop: (close: boolean) => Promise<void>
}
declare const Bun: { readonly serve: (options: object) => BunListening }

const onBun: Start = (theirs) =>
  Effect.suspend(() => {
    const heddle = (shim as typeof BunRuntime).attach()
    return Effect.map(
      Effect.acquireRelease(
        Effect.try({
          try: () =>
            Bun.serve({
              port: theirs.port,
              hostname: "127.0.0.1",
              fetch: heddle.fetch((request, server) =>
                hasTheirs(theirs, request.url) && server.upgrade(request, { data: "theirs" })
                  ? undefined
                  : theirs.fetch(request)
              ),
              error: () => new Response(null, { status: 500 }),
              websocket: heddle.websocket({
                message: (ws: WebSocket & { readonly data: string }, data: string) => ws.send(`${ws.data}: ${data}`)
              })
            }),
          catch: (cause) => listenError(theirs.port, cause as Error)
        }),
        (server) => Effect.promise(() => server.stop(true))
      ),
      (server): UserServer => ({ address: addressOf(server.port), transport: heddle.layer, traces: () => 0 })
    )
  })

interface DenoListening {
  readonly addr: { readonly port: number }
  readonly finished: Promise<void>
}
declare const Deno: {
  readonly serve: (options: object, handler: (request: Request, info: DenoRuntime.DenoInfo) => unknown) => DenoListening
  readonly upgradeWebSocket: (request: Request) => { readonly socket: WebSocket; readonly response: Response }
}

const onDeno: Start = (theirs) =>
  Effect.suspend(() => {
    const heddle = (shim as typeof DenoRuntime).attach()
    const stop = new AbortController()
    return Effect.map(
      Effect.acquireRelease(
        Effect.try({
          try: () =>
            Deno.serve(
              {
                port: theirs.port,
                hostname: "127.0.0.1",
                signal: stop.signal,
                onListen: () => {},
                onError: () => new Response(null, { status: 500 })
              },
              heddle.fetch((request) => {
                if (!hasTheirs(theirs, request.url)) return theirs.fetch(request)
                const { response, socket } = Deno.upgradeWebSocket(request)
                socket.onmessage = ({ data }) => socket.send(`theirs: ${data}`)
                return response
              })
            ),
          catch: (cause) => listenError(theirs.port, cause as Error)
        }),
        (server) =>
          Effect.promise(() => {
            stop.abort()
            return server.finished
          })
      ),
      (server): UserServer => ({ address: addressOf(server.addr.port), transport: heddle.layer, traces: () => 0 })
    )
  })

/** Starts the user's server, until the scope closes. */
export const start: Start = { node: onNode, bun: onBun, deno: onDeno }[runtime]

/** Attaches an acceptor to a server, until the scope closes. */
export const attach = Effect.fnUntraced(function*(server: UserServer, acceptor: Transport.Acceptor) {
  const context = yield* Layer.build(server.transport)
  return yield* Context.get(context, Transport.Transport).listen(acceptor)
})

/** The attached form as a transport: what listens is a server of the user's, which leaves plain HTTP to the acceptor. */
export const layerAttached = (port: number): Layer.Layer<Transport.Transport> =>
  Layer.succeed(Transport.Transport)({
    capabilities: { ...capabilities, limitsMessages: capabilities.limitsMessages && runtime !== "bun" },
    listen: (acceptor) =>
      Effect.gen(function*() {
        const server = yield* start({ port, fetch: (request) => acceptor.fetch(request) })
        yield* attach(server, acceptor).pipe(Effect.orDie)
        return server.address
      })
  })

/** A certificate for 127.0.0.1 that nobody vouches for, made by `openssl`. */
export const selfSigned = (() => {
  let made: { readonly cert: string; readonly key: string } | undefined
  return () => {
    if (made !== undefined) return made
    const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "heddle-tls-"))
    const [cert, key] = [Path.join(folder, "cert.pem"), Path.join(folder, "key.pem")] as const
    const options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    try {
      execFileSync("openssl", [
        ...options.split(" "),
        ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert]
      ], { stdio: "ignore" })
      return made = { cert: Fs.readFileSync(cert, "utf8"), key: Fs.readFileSync(key, "utf8") }
    } catch (cause) {
      throw new Error("the tests of TLS need the command `openssl`", { cause })
    } finally {
      Fs.rmSync(folder, { recursive: true })
    }
  }
})()

/** `fetch` for servers whose certificate is `ca`. */
export const fetchTrusting = (ca: string) => async (request: Request): Promise<Response> => {
  const body = Buffer.from(await request.arrayBuffer())
  return new Promise((resolve, reject) => {
    const sent = Https.request(request.url, {
      method: request.method,
      headers: Object.fromEntries(request.headers),
      ca,
      agent: false
    }, (incoming) => {
      const chunks: Array<Buffer> = []
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
      incoming.on("error", reject)
      incoming.on("end", () =>
        resolve(
          new Response(Buffer.concat(chunks), {
            status: incoming.statusCode!,
            headers: incoming.headers as Record<string, string>
          })
        ))
    })
    sent.on("error", reject)
    sent.end(body)
  })
}

/** A client that can be told what to trust and what to send, which that of the platform cannot. */
export const connectWith =
  (options: { readonly ca: string; readonly headers?: { readonly [name: string]: string } }): Connect =>
  (url, protocols, events) => {
    const socket = new WsClient(url, [...protocols], { ...options, perMessageDeflate: false })
    socket.binaryType = "arraybuffer"
    socket.on("open", () => events.open(socket.protocol))
    socket.on(
      "message",
      (data, isBinary) => events.message(isBinary ? new Uint8Array(data as ArrayBuffer) : data.toString())
    )
    socket.on("error", () => {})
    socket.on("close", (code, reason) => events.close(code, reason.toString()))
    return {
      send: (data) => socket.readyState === WsClient.OPEN && socket.send(data),
      close: (code, reason) => socket.close(code, reason),
      bufferedAmount: () => socket.bufferedAmount
    }
  }
