/**
 * The servers that are compared.
 */

/** A program under `servers/`, and what the generator must speak to it. */
export interface Contender {
  readonly name: string
  /** Its name in plots and tables. */
  readonly title: string
  readonly program: string
  readonly runtime: "node" | "bun" | "deno"
  readonly protocol: "raw" | "heddle" | "msgpack" | "socketio"
  /** The contender that its cost is compared with; a reference has none. */
  readonly reference?: string
  /** The contender that shows how little its cost could be. */
  readonly floor?: string
  /** What the program is told by its environment. */
  readonly env?: Readonly<Record<string, string>>
  readonly tls?: true
  /** In which runs it is unless asked for: all, or the full ones; a `variant` only meets the loads that show it. */
  readonly role: "standard" | "full" | "variant"
}

const heddle = { program: "heddle.ts", runtime: "node", protocol: "heddle" } as const

const floor = { program: "floor.ts", protocol: "heddle", role: "full" } as const

/** A reference comes before those that are compared with it. */
export const contenders: ReadonlyArray<Contender> = [
  { name: "ws", title: "ws", program: "ws.ts", runtime: "node", protocol: "raw", role: "standard" },
  {
    name: "socket.io",
    title: "Socket.IO",
    program: "socketio.ts",
    runtime: "node",
    protocol: "socketio",
    reference: "ws",
    role: "standard"
  },
  { ...heddle, name: "heddle", title: "heddle", reference: "ws", floor: "floor", role: "standard" },
  { ...floor, name: "floor", title: "protocol by hand", runtime: "node", reference: "ws" },
  {
    name: "crossws",
    title: "crossws",
    program: "crossws.ts",
    runtime: "node",
    protocol: "raw",
    reference: "ws",
    role: "full"
  },
  { name: "bun", title: "Bun.serve", program: "bun.ts", runtime: "bun", protocol: "raw", role: "full" },
  {
    ...heddle,
    name: "heddle-bun",
    title: "heddle on Bun",
    runtime: "bun",
    reference: "bun",
    floor: "floor-bun",
    role: "full"
  },
  { ...floor, name: "floor-bun", title: "protocol by hand on Bun", runtime: "bun", reference: "bun" },
  { name: "deno", title: "Deno.serve", program: "deno.ts", runtime: "deno", protocol: "raw", role: "full" },
  {
    ...heddle,
    name: "heddle-deno",
    title: "heddle on Deno",
    runtime: "deno",
    reference: "deno",
    floor: "floor-deno",
    role: "full"
  },
  { ...floor, name: "floor-deno", title: "protocol by hand on Deno", runtime: "deno", reference: "deno" },
  {
    ...heddle,
    name: "heddle-msgpack",
    title: "heddle, MessagePack",
    protocol: "msgpack",
    reference: "ws",
    role: "variant"
  },
  {
    ...heddle,
    name: "heddle-history",
    title: "heddle, history in memory",
    reference: "ws",
    env: { HISTORY: "memory" },
    role: "variant"
  },
  {
    ...heddle,
    name: "heddle-sqlite",
    title: "heddle, history in SQLite",
    reference: "ws",
    env: { HISTORY: "sqlite" },
    role: "variant"
  },
  {
    ...heddle,
    name: "heddle-jit",
    title: "heddle, Schema's JIT",
    reference: "ws",
    env: { JIT: "on" },
    role: "variant"
  },
  {
    name: "ws-tls",
    title: "ws, TLS",
    program: "ws.ts",
    runtime: "node",
    protocol: "raw",
    tls: true,
    role: "variant"
  },
  { ...heddle, name: "heddle-tls", title: "heddle, TLS", reference: "ws-tls", tls: true, role: "variant" }
]

export const byName = (name: string): Contender => contenders.find((contender) => contender.name === name)!
