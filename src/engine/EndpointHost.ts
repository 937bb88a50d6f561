/**
 * The endpoints of one engine: which one a request is for, and all their connections.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CloseCode from "../contract/CloseCode.ts"
import type { Addresses } from "./Addresses.ts"
import { Connections } from "./Addresses.ts"
import type { Core } from "./Core.ts"
import { Deadlines } from "./Deadlines.ts"
import type { Any, Definition } from "./EndpointDefinition.ts"
import { definitionOf, Request } from "./EndpointDefinition.ts"
import type { Decode } from "./EndpointPath.ts"
import * as EndpointPath from "./EndpointPath.ts"
import type { Seen } from "./Forwarded.ts"
import * as Heartbeat from "./Heartbeat.ts"
import * as Limits from "./Limits.ts"
import type { RawShared } from "./RawConnection.ts"
import { RawConnection } from "./RawConnection.ts"
import { RawGroups } from "./RawGroups.ts"
import { isChoosable, RawSocket } from "./RawSocket.ts"
import type * as Transport from "./Transport.ts"

/** One endpoint, compiled. */
interface Served {
  readonly definition: Definition
  readonly pattern: EndpointPath.Pattern
  readonly params: Decode
  readonly query: Decode
  readonly queryNames: ReadonlyArray<string>
}

const compile = (definition: Definition): Served => {
  const pattern = new EndpointPath.Pattern(definition.path)
  return {
    definition,
    pattern,
    params: EndpointPath.decoder("path", { ...pattern.fields, ...definition.params }),
    query: EndpointPath.decoder("query", definition.query),
    queryNames: Object.keys(definition.query)
  }
}

/** A request that an endpoint takes, or the sentence with which it does not. */
export type Match = (request: Seen) => Transport.Accepted | string

export class EndpointHost {
  readonly groups: RawGroups
  private readonly shared: RawShared & { context: Context.Context<never> }
  private readonly served: ReadonlyArray<Served>
  private waiters: Array<() => void> = []

  /** Throws when two endpoints have the same paths, or one has the path of the engine's own. */
  constructor(
    core: Core,
    endpoints: ReadonlyArray<Any>,
    path: string | undefined,
    addresses: Addresses,
    outboxes: RawShared["outboxes"]
  ) {
    this.served = endpoints.map((endpoint) => compile(definitionOf(endpoint)))
      .sort((one, other) => (one.pattern.shape < other.pattern.shape ? -1 : 1))
    this.served.slice(1).forEach(({ pattern }, index) => {
      const { path, shape } = this.served[index]!.pattern
      if (shape === pattern.shape) throw new Error(`heddle: endpoints "${path}" and "${pattern.path}" are one path`)
    })
    if (this.served.some(({ pattern }) => pattern.path === path)) {
      throw new Error(`heddle: endpoint "${path}" has the path of the rooms`)
    }
    this.groups = new RawGroups(core.limits.outboxTickBytes)
    this.shared = {
      core,
      context: core.context,
      groups: this.groups,
      connections: new Connections(addresses),
      starting: new Deadlines(
        core,
        core.limits.handshake,
        (connection) => connection.shut(CloseCode.timeout, "its services were not there in time")
      ),
      stuck: new Deadlines(
        core,
        Heartbeat.silenceMillis(core.limits.heartbeat),
        (connection) => connection.shut(CloseCode.slowConsumer)
      ),
      finishing: new Deadlines(core, Limits.finishMillis, (connection) => connection.interrupt()),
      closing: new Deadlines(core, Limits.closeMillis, (connection) => connection.abandon()),
      outboxes,
      onGone: () => {
        if (this.size === 0) { for (const resume of this.waiters.splice(0)) resume() }
      }
    }
  }

  /** The services of the application, for the handlers of the connections to come. */
  provide(context: Context.Context<never>): void {
    this.shared.context = context
  }

  /** Connections that are open, or whose handler still runs. */
  get size(): number {
    return this.shared.connections.size
  }

  /** Bytes that wait for clients which do not read. */
  get outboxBytes(): number {
    let bytes = 0
    for (const { outbox } of this.shared.connections) bytes += outbox.queuedBytes
    return bytes
  }

  /** The endpoint of a path. */
  match(path: string): Match | undefined {
    for (const served of this.served) {
      const params = served.pattern.match(path)
      if (params !== undefined) return (request) => this.accept(served, served.params(params), request)
    }
    return undefined
  }

  private accept(
    { definition, query, queryNames }: Served,
    params: ReturnType<Decode>,
    seen: Seen
  ): Transport.Accepted | string {
    if (params._tag === "Failure") return params.failure
    const asked = query(EndpointPath.queryStrings(seen.url, queryNames))
    if (asked._tag === "Failure") return asked.failure
    const protocol = seen.protocols.find((offered) => isChoosable(offered) && definition.protocols.includes(offered))
    if (protocol === undefined && seen.protocols.length > 0) {
      return definition.protocols.length === 0
        ? "no subprotocol is served here"
        : `none of the offered subprotocols is served: use ${definition.protocols.join(", ")}`
    }
    const request = seen.copy()
    return {
      _tag: "Accepted",
      protocol,
      open: (transport) => {
        const id = this.shared.core.nextId()
        const connection = new RawConnection(this.shared, transport, id, definition.path, request.address)
        const socket = new RawSocket(connection, this.groups, id, params.success, asked.success, protocol, request)
        connection.run((started) => program(definition, socket, started))
        return connection
      }
    }
  }

  /** Lets every handler finish what it has been sent, which closes with 1012, and waits for all of them. */
  readonly drain: Effect.Effect<void> = Effect.suspend(() => {
    for (const connection of [...this.shared.connections]) connection.retire()
    return Effect.callback<void>((resume) => {
      if (this.size === 0) return resume(Effect.void)
      const waiter = () => resume(Effect.void)
      this.waiters.push(waiter)
      return Effect.sync(() => {
        this.waiters = this.waiters.filter((other) => other !== waiter)
      })
    })
  })

  /** The handlers had their time: closes what is open with 1012 and interrupts them. */
  expire(): void {
    for (const connection of [...this.shared.connections]) connection.expire()
  }

  /** Waits until no peer owes the answer to a close frame. */
  get settled(): Effect.Effect<void> {
    return this.shared.closing.empty
  }
}

/** The handler with the services of its connection, in the scope of the connection. */
const program = ({ handle, services }: Definition, socket: RawSocket, started: () => void) => {
  const run = Effect.suspend(() => {
    started()
    return handle(socket)
  })
  const provided = services === undefined
    ? run
    : Effect.flatMap(Effect.scope, (scope) =>
      // A memo map of its own: what is built here belongs to this connection, whoever else has the same layer.
      Effect.flatMap(
        Layer.buildWithMemoMap(services, Layer.makeMemoMapUnsafe(), scope),
        (built) => Effect.provideContext(run, built)
      ))
  return Effect.provideService(Effect.scoped(provided), Request, socket)
}
