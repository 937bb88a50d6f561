/**
 * All keys of one topic: subscriptions to a channel that has no actor behind it.
 */
import * as Result from "effect/Result"
import * as RequestError from "../contract/RequestError.ts"
import type * as Topic from "../contract/Topic.ts"
import * as Contract from "../wire/Contract.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Core } from "./Core.ts"
import type { Channel } from "./Hub.ts"
import * as Log from "./Log.ts"
import type { Session } from "./Session.ts"

/** The name under which a topic's payload travels in event frames. */
export const eventName = "Published"

export class TopicHost {
  readonly contract: Contract.CompiledTopic
  private readonly core: Core

  constructor(core: Core, topic: Topic.Any) {
    this.core = core
    this.contract = Contract.compileTopic(topic)
  }

  /** Subscribes a session from this moment on. Everything that is wrong with it is answered. */
  subscribe(session: Session, { key, ref }: Frame.ClientFrames["subscribe"]): void {
    const decodedKey = this.contract.key.decode(key)
    if (Result.isFailure(decodedKey)) return session.refuse(ref, decodedKey.failure)
    const channel = this.channel(key)
    if (channel === undefined) {
      return session.refuse(ref, new RequestError.LimitExceeded({ limit: "rooms", max: this.core.limits.rooms }))
    }
    if (session.memberships.has(channel.id)) return session.refuse(ref, new RequestError.AlreadyJoined())
    const subscription = channel.subscribe(session.outbox)
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
      room: undefined
    })
    session.answer({
      _tag: "subscribed",
      ref,
      channel: channel.id,
      position: channel.log.position,
      recovered: false
    })
    subscription.release()
  }

  /** The channel of a key; undefined when the hub is full. */
  channel(key: string): Channel | undefined {
    return this.core.hub.open(`topic ${this.contract.name}/${key}`, Log.nothing)
  }
}
