/**
 * Watches a room from within: around each of its handlers, in the order in which it handles messages.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Formatter from "effect/Formatter"
import * as Result from "effect/Result"
import type { AnyHandlers, BehaviorService } from "../contract/Room.ts"
import type { RoomHandle } from "../engine/RoomHandle.ts"
import * as Contract from "../wire/Contract.ts"
import type { AnyModel } from "./RoomModel.ts"

/** What does not hold, and how that was noticed. */
export class Violation extends Data.Error<{ readonly law: string; readonly detail: string }> {}

interface AnyStep {
  readonly _tag: string
  readonly memberId: string
  readonly payload?: unknown
  readonly outcome?: Result.Result<unknown, unknown>
  readonly reason?: string
  readonly name?: string
}

interface Request {
  readonly payload: unknown
  readonly member: { readonly id: string; readonly presence: unknown }
}

type Handler = (request: any) => Effect.Effect<unknown, unknown>

/** A reliable event that was emitted, and who does not get it. */
interface Emitted {
  readonly name: string
  readonly except: ReadonlyArray<string>
}

/** What a violation says of a value that was thrown. */
const messageOf = (error: unknown): string => error instanceof Error ? error.message : Formatter.format(error)

/** One room under test: what it handled, how that fits the model, and what does not hold. */
export class RoomWatch {
  /** The first is what counts. */
  readonly violations: Array<Violation> = []
  /** What the room handled, in order. */
  readonly trace: Array<AnyStep> = []
  /** Of the present instance, by id. */
  readonly members = new Map<string, unknown>()
  /** Everybody who ever joined, and how often it left. */
  readonly leaves = new Map<string, number>()
  /** By offset. */
  readonly emitted = new Map<number, Emitted>()
  /** What was done to the room, in words. */
  readonly commands: Array<string> = []
  /** Which client a member is, as far as it was told. */
  readonly names = new Map<string, string>()
  /** Grows with everything that happens. */
  activity = 0
  /** The present instance. */
  handle: RoomHandle | undefined
  private state: unknown
  private events: Array<unknown> = []
  private instances = 0
  private handlers: { readonly [name: string]: Handler | undefined } = {}
  private readonly model: AnyModel | undefined

  constructor(model: AnyModel | undefined) {
    this.model = model
    this.state = model?.initial
  }

  violate(law: string, detail: string): void {
    this.violations.push(new Violation({ law, detail }))
  }

  /** The same room, watched. */
  wrap(behavior: BehaviorService): BehaviorService {
    const compiled = Contract.compileRoom(behavior.contract)
    const init = (room: RoomHandle) =>
      Effect.suspend(() => {
        const handle = this.watchHandle(room, compiled)
        const built = behavior.init(handle as never)
        return Effect.map(
          (Effect.isEffect(built) ? built : Effect.succeed(built)) as Effect.Effect<AnyHandlers>,
          (handlers) => this.begin(handle, compiled, handlers as never)
        )
      }).pipe(Effect.onExit((exit) => Effect.sync(() => this.checkDefect("init", exit))))
    return { ...behavior, init: init as never }
  }

  /** Runs a function of the user's; what it throws is a violation. */
  private guarded(law: string, f: () => unknown): Effect.Effect<unknown> {
    return Effect.catchCause(Effect.sync(f), (cause) =>
      Effect.sync(() => {
        this.violate(law, messageOf(Cause.squash(cause)))
      }))
  }

  private watchHandle(room: RoomHandle, compiled: Contract.CompiledRoom): RoomHandle {
    const emit: RoomHandle["emit"] = (name, payload, options) =>
      Effect.tap(room.emit(name, payload, options), ({ offset }) =>
        Effect.sync(() => {
          this.activity++
          const volatile = compiled.events.get(name)?.volatile === true
          this.events.push({ _tag: name, payload, offset: volatile ? undefined : offset })
          if (volatile) return
          const except = options?.except ?? []
          this.emitted.set(offset, { name, except: ("id" in except ? [except] : except).map(({ id }) => id) })
        }))
    return Object.assign(Object.create(room) as RoomHandle, { emit })
  }

  private begin(handle: RoomHandle, compiled: Contract.CompiledRoom, handlers: typeof this.handlers): AnyHandlers {
    this.activity++
    this.handle = handle
    this.handlers = handlers
    this.members.clear()
    this.events = []
    if (this.instances++ > 0) {
      this.state = this.model?.restarted === undefined ? this.model?.initial : this.model.restarted(this.state)
    }
    const watched: Record<string, Handler> = {}
    for (const [name, { error }] of compiled.requests) watched[name] = this.message(name, error)
    for (const name of compiled.notices.keys()) watched[name] = this.message(name, undefined)
    watched["leave"] = this.leave
    watched["join"] = this.join(compiled, handlers["join"] ?? (() => Effect.void))
    const { snapshot } = handlers
    if (snapshot !== undefined) {
      watched["snapshot"] = (request) =>
        this.run(
          "snapshot",
          snapshot,
          request,
          (exit) => Exit.isSuccess(exit) ? this.invariant(undefined, exit.value) : Effect.void
        )
    }
    return watched as never
  }

  /** Runs a handler of the user's, and then `end`, in the same turn. */
  private run(
    name: string,
    handler: Handler,
    request: unknown,
    end: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<unknown>
  ): Effect.Effect<unknown, unknown> {
    return Effect.suspend(() => {
      this.activity++
      const effect: unknown = handler(request)
      return Effect.isEffect(effect)
        ? effect as Effect.Effect<unknown, unknown>
        : Effect.die(new TypeError(`the handler of ${name} did not return an Effect`))
    }).pipe(Effect.onExit((exit) => {
      this.activity++
      this.checkDefect(name, exit)
      return end(exit)
    }))
  }

  private checkDefect(name: string, exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isSuccess(exit)) return
    const defect = exit.cause.reasons.find(Cause.isDieReason)
    if (defect !== undefined) this.violate("no handler dies", `${name} died: ${messageOf(defect.defect)}`)
    else if (name === "init" && !Cause.hasInterrupts(exit.cause)) {
      this.violate("no handler dies", `init failed: ${messageOf(Cause.squash(exit.cause))}`)
    }
  }

  /** The outcome of a handler, unless it was interrupted or died. */
  private outcome(
    name: string,
    exit: Exit.Exit<unknown, unknown>,
    declared: { readonly encode: (error: unknown) => Result.Result<unknown, unknown> } | undefined
  ): Result.Result<unknown, unknown> | undefined {
    if (Exit.isSuccess(exit)) return Result.succeed(exit.value)
    if (Cause.hasInterrupts(exit.cause) || Cause.hasDies(exit.cause)) return undefined
    const error = Cause.squash(exit.cause)
    if (declared === undefined || Result.isFailure(declared.encode(error))) {
      this.violate("handlers fail as their contract says", `${name} failed with ${messageOf(error)}`)
    }
    return Result.fail(error)
  }

  private readonly message = (name: string, error: Contract.Payload | undefined): Handler => (request: Request) =>
    this.run(name, this.handlers[name]!, request, (exit) => {
      const { member, payload } = request
      const outcome = this.outcome(name, exit, error)
      return Effect.andThen(
        this.advance(
          outcome === undefined
            ? { _tag: "interrupted", name, memberId: member.id, payload }
            : { _tag: name, memberId: member.id, payload, outcome }
        ),
        this.invariant(this.members.has(member.id) ? member : undefined)
      )
    })

  private readonly join =
    (compiled: Contract.CompiledRoom, handler: Handler): Handler =>
    (request: { readonly memberId: string; readonly payload: unknown; readonly cause: "join" | "restart" }) =>
      this.run("join", handler, request, (exit) => {
        const { cause, memberId, payload } = request
        const outcome = this.outcome("join", exit, compiled.joinError)
        if (outcome === undefined) return this.advance({ _tag: "interrupted", name: "join", memberId, payload })
        const joined = Result.isSuccess(outcome)
        if (joined) {
          this.members.set(memberId, outcome.success)
          if (cause === "join") this.leaves.set(memberId, 0)
        }
        const step = { _tag: "join", memberId, payload, cause, outcome }
        // Who is admitted is asked for its snapshot next.
        return joined && this.handlers["snapshot"] !== undefined
          ? this.advance(step)
          : Effect.andThen(this.advance(step), this.invariant(this.anybody()))
      })

  private readonly leave: Handler = (
    request: { readonly member: Request["member"]; readonly reason: string }
  ) =>
    this.run("leave", this.handlers["leave"] ?? (() => Effect.void), request, () => {
      const { member: { id }, reason } = request
      const times = (this.leaves.get(id) ?? 0) + 1
      this.leaves.set(id, times)
      if (times > 1) this.violate("every join has one leave", `leave ran ${times} times for one member`)
      // One that a new instance did not take back was never its member.
      if (!this.members.delete(id)) return Effect.void
      return Effect.andThen(
        this.advance({ _tag: "leave", memberId: id, reason }),
        this.invariant(this.anybody())
      )
    })

  private anybody(): unknown {
    for (const id of this.members.keys()) {
      const member = this.handle?.members.get(id)
      if (member !== undefined) return member
    }
    return undefined
  }

  private advance(step: AnyStep): Effect.Effect<unknown> {
    return Effect.suspend(() => {
      this.trace.push(step)
      const next = this.model?.next
      const f = next !== undefined && Object.hasOwn(next, step._tag) ? next[step._tag] : undefined
      if (f === undefined) return Effect.void
      return this.guarded("the model's next", () => {
        this.state = f(this.state, step as never)
      })
    })
  }

  /** Holds the room against the invariant, with the snapshot given or the one that a member is told. */
  private invariant(member: unknown, known?: unknown): Effect.Effect<unknown> {
    const { model } = this
    if (model?.invariant === undefined || this.violations.length > 0) return Effect.void
    const { snapshot } = this.handlers
    const look = known !== undefined || member === undefined || snapshot === undefined
      ? Effect.succeed(known)
      : Effect.suspend(() => snapshot({ member }))
    return Effect.matchCauseEffect(look, {
      onFailure: (cause) => Effect.sync(() => this.checkDefect("snapshot", Exit.failCause(cause))),
      onSuccess: (snapshot) =>
        this.guarded("the model's invariant", () => {
          const members = new Map(
            [...this.members].map(([id, presence]) => [id, this.handle?.members.get(id)?.presence ?? presence])
          )
          const holds = model.invariant!(this.state, { members, snapshot, events: [...this.events] } as never)
          if (holds !== false) return
          const seen = snapshot === undefined ? "" : ` and the snapshot ${Formatter.format(snapshot)}`
          this.violate("the model's invariant", `false, where the model is ${Formatter.format(this.state)}${seen}`)
        })
    })
  }
}
