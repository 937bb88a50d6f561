/**
 * All keys of one topic: subscriptions to a channel that has no actor behind it.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as RequestError from "../contract/RequestError.ts"
import type * as Topic from "../contract/Topic.ts"
import * as Contract from "../wire/Contract.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Channel } from "./Channel.ts"
import type { Core } from "./Core.ts"
import { fork, logError } from "./Core.ts"
import * as Log from "./Log.ts"
import type { Retention } from "./LogStore.ts"
import * as Recovery from "./Recovery.ts"
import type { Session } from "./Session.ts"
import { identityContext } from "./Session.ts"
import type { Subscription } from "./Subscription.ts"

/** The name under which a topic's payload travels in event frames. */
export const eventName = "Published"

const latest: Retention = { capacity: 1, timeToLive: Infinity }

/** Decides about a subscription; the effect needs nothing any more. */
type Authorize = (session: Session, key: unknown) => Effect.Effect<unknown, Topic.Forbidden>

export class TopicHost {
  readonly contract: Contract.CompiledTopic
  private readonly core: Core
  private readonly authorize: Authorize | undefined
  /** Subscriptions that are being decided about. */
  private readonly deciding = new Set<Fiber.Fiber<void>>()

  /** A topic alone is open to everybody. */
  constructor(core: Core, topic: Topic.BehaviorService | Pick<Topic.BehaviorService, "contract">) {
    this.core = core
    this.contract = Contract.compileTopic(topic.contract)
    this.authorize = "authorize" in topic
      ? (session, key) =>
        Effect.suspend(() => topic.authorize({ key: key as never })).pipe(
          Effect.scoped,
          Effect.provideContext(Context.merge(topic.context, identityContext(session.identities)))
        )
      : undefined
  }

  /** Subscribes a session from the moment it is allowed to. Everything that is wrong with it is answered. */
  subscribe(session: Session, frame: Frame.ClientFrames["subscribe"]): void {
    const { key, ref } = frame
    const decodedKey = this.contract.key.decode(key)
    if (Result.isFailure(decodedKey)) return session.refuse(ref, decodedKey.failure)
    if (this.authorize === undefined) return this.admit(session, frame)
    const { outbox } = session
    // Not on a later connection: there its reference may be somebody else's.
    const ifHere = (f: () => void): void => session.outbox === outbox ? f() : undefined
    const millis = this.core.limits.handler
    const decision = this.authorize(session, decodedKey.success).pipe(
      Effect.timeoutOrElse({
        duration: millis,
        orElse: () => Effect.fail(new RequestError.HandlerTimeout({ millis }))
      }),
      Effect.matchCause({
        onSuccess: () => ifHere(() => this.admit(session, frame)),
        onFailure: (cause) => ifHere(() => session.refuse(ref, this.refusal(cause)))
      })
    )
    const fiber = fork(this.core, decision)
    // Decided at once: there is nothing to wait for and nothing to cancel.
    if (fiber.pollUnsafe() === undefined) {
      this.deciding.add(fiber)
      fiber.addObserver(() => this.deciding.delete(fiber))
      session.pending.set(ref, {
        joins: true,
        cancel: () => fiber.interruptUnsafe()
      })
    }
  }

  private refusal(cause: Cause.Cause<Topic.Forbidden | RequestError.HandlerTimeout>): RequestError.ProtocolError {
    const error = Cause.findErrorOption(cause)
    if (Option.isSome(error)) {
      return error.value._tag === "Forbidden" ? new RequestError.Forbidden({ detail: error.value.detail }) : error.value
    }
    if (Cause.hasInterruptsOnly(cause)) return new RequestError.Interrupted({ detail: "the client cancelled it" })
    logError(this.core, `topic ${this.contract.name}: authorize died`, cause)
    return new RequestError.HandlerFailed()
  }

  private admit(session: Session, { key, position, ref }: Frame.ClientFrames["subscribe"]): void {
    if (session.ended) return
    const channel = this.channel(key)
    if (channel === undefined) {
      return session.refuse(ref, new RequestError.LimitExceeded({ limit: "rooms", max: this.core.limits.rooms }))
    }
    if (session.memberships.has(channel.id)) return session.refuse(ref, new RequestError.AlreadyJoined())
    const subscription = channel.subscribe(session.outbox)
    subscription.owner = channel
    const end = (): void => {
      session.memberships.delete(channel.id)
      channel.unsubscribe(subscription)
    }
    session.memberships.set(channel.id, {
      leave: (ref) => {
        end()
        session.answer({ _tag: "ok", ref, value: null })
      },
      end,
      detach: end,
      room: undefined
    })
    const wish = { position, last: this.contract.latest ? 1 : 0 }
    const start = Recovery.begin(channel.log, wish, channel.position, this.core.now())
    session.answer({ _tag: "subscribed", ref, channel: channel.id, ...start })
    subscription.release(start.position[2])
  }

  /** A topic has no state but the latest: what came before it is missed. */
  private readonly skip = (subscription: Subscription): void => {
    const channel = subscription.owner as Channel
    subscription.suspend()
    const wish = { position: null, last: this.contract.latest ? 1 : 0 }
    const { position } = Recovery.begin(channel.log, wish, channel.position, this.core.now())
    const { outbox } = subscription
    outbox.push(
      outbox.codec.encode({ _tag: "synced", channel: channel.id, position, reason: "gap", snapshot: null })
    )
    subscription.release(position[2])
  }

  /** Waits until everything is decided. */
  readonly drain: Effect.Effect<void> = Effect.suspend(() => Effect.asVoid(Fiber.awaitAll([...this.deciding])))

  /** Interrupts every decision. */
  expire(): void {
    for (const fiber of this.deciding) fiber.interruptUnsafe()
  }

  /** The channel of a key; undefined when the hub is full. */
  channel(key: string): Channel | undefined {
    const retention = this.contract.latest ? latest : Log.nothing
    const channel = this.core.hub.open(`topic ${this.contract.name}/${key}`, retention)
    if (channel !== undefined) channel.onOwed = this.skip
    return channel
  }
}
