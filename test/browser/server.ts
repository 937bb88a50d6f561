/**
 * The chat's server as a process of its own, and a network before it that fails when it is told to.
 */
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import * as Net from "node:net"

const commands: { readonly [runtime: string]: ReadonlyArray<string> } = {
  node: ["node_modules/.bin/node"],
  bun: ["node_modules/.bin/bun"],
  deno: ["node_modules/.bin/deno", "run", "-A"]
}

export const runtimes = Object.keys(commands)

const running = new Set<ChildProcess>()

/** Ends every server, as the test does in the end. */
export const endAll = (): void => {
  for (const child of running) child.kill("SIGKILL")
}

export interface Server {
  readonly port: number
  /** Ends it at once, as a crash would; resolves when it is gone. */
  readonly kill: () => Promise<void>
}

/** Starts the server; port 0 takes a free one. */
export const start = (runtime: string, port = 0): Promise<Server> =>
  new Promise((resolve, reject) => {
    const [command, ...args] = commands[runtime]!
    const child = spawn(command!, [...args, "examples/chat/server.ts"], {
      env: { ...process.env, HOST: "127.0.0.1", PORT: String(port) },
      stdio: ["ignore", "pipe", "pipe"]
    })
    running.add(child)
    const exited = new Promise<void>((done) =>
      child.once("exit", () => {
        running.delete(child)
        done()
      })
    )
    let output = ""
    const look = (text: string) => {
      output += text
      const found = /listening on http:\/\/127\.0\.0\.1:(\d+)\b/.exec(output)
      if (found === null) return
      resolve({
        port: Number(found[1]),
        kill: () => {
          child.kill("SIGKILL")
          return exited
        }
      })
    }
    child.stdout.setEncoding("utf8").on("data", look)
    child.stderr.setEncoding("utf8").on("data", look)
    void exited.then(() => reject(new Error(`the server on ${runtime} did not start:\n${output}`)))
  })

/** A network between browser and server. */
export interface Network {
  readonly port: number
  /** Ends the browser's connections. With `half` the server does not notice until `drop`. */
  readonly cut: (half?: "half") => void
  /** Ends what the server still takes for connections. */
  readonly drop: () => void
  /** Whether the browser can connect. */
  isUp: boolean
  /** From now on nothing of the server reaches the browser, on the connections of this moment. */
  readonly hold: () => void
  /** Has the server close the WebSockets with this code, as far as the browser can tell. */
  readonly close: (code: number, reason: string) => void
  readonly stop: () => void
}

const closeFrame = (code: number, reason: string): Buffer => {
  const text = Buffer.from(reason)
  return Buffer.concat([Buffer.from([0x88, text.length + 2, code >> 8, code & 255]), text])
}

interface Pair {
  readonly browser: Net.Socket
  readonly server: Net.Socket
  isWebSocket: boolean
  isHeld: boolean
}

/** Makes a network that leads to a port of this machine. */
export const network = async (target: number): Promise<Network> => {
  const pairs = new Set<Pair>()
  const listener = Net.createServer((browser) => {
    if (!network.isUp) {
      browser.destroy()
      return
    }
    const server = Net.connect(target, "127.0.0.1")
    const pair: Pair = { browser, server, isWebSocket: false, isHeld: false }
    pairs.add(pair)
    browser.on("data", (data) => {
      pair.isWebSocket ||= /upgrade: websocket/i.test(data.toString("latin1"))
      server.write(data)
    })
    server.on("data", (data) => {
      if (!pair.isHeld && !browser.destroyed) browser.write(data)
    })
    browser.on("error", () => {})
    server.on("error", () => {})
    browser.on("end", () => server.end())
    server.on("close", () => {
      pairs.delete(pair)
      browser.destroy()
    })
  })
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve))
  const drop = () => {
    for (const { server } of pairs) server.destroy()
  }
  const network: Network = {
    port: (listener.address() as Net.AddressInfo).port,
    isUp: true,
    cut: (half) => {
      for (const { browser, server } of pairs) {
        browser.removeAllListeners("end")
        browser.destroy()
        if (half === undefined) server.destroy()
      }
    },
    drop,
    hold: () => {
      for (const pair of pairs) pair.isHeld = true
    },
    close: (code, reason) => {
      for (const pair of pairs) {
        if (!pair.isWebSocket) continue
        // The real server answers the browser's close frame with one of its own: one too many.
        pair.isHeld = true
        pair.browser.write(closeFrame(code, reason))
      }
    },
    stop: () => {
      listener.close()
      drop()
    }
  }
  return network
}

/** Plain members of a room, one connection each, until they are ended. */
export const crowd = async (port: number, room: string, size: number): Promise<() => void> => {
  const sockets = await Promise.all(
    Array.from({ length: size }, (_, index) =>
      new Promise<WebSocket>((resolve, reject) => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/live`, "heddle.v1+json")
        socket.onopen = () =>
          socket.send(`["hello"]\n["join",1,"chat",${JSON.stringify(room)},{"name":"member${index}"}]`)
        socket.onmessage = ({ data }) => {
          if (String(data).includes(`["joined"`)) resolve(socket)
        }
        socket.onclose = ({ code }) => reject(new Error(`member ${index} was closed with ${code}`))
      }))
  )
  return () => {
    for (const socket of sockets) socket.close()
  }
}
