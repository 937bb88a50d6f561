/**
 * Engines with one fault each, to prove that the laws catch it.
 */
import { Scope } from "effect"
import { Cell } from "../../src/actor/Cell.ts"
import { Handle } from "../../src/actor/Handle.ts"
import { Restarts } from "../../src/actor/Supervision.ts"
import { Channel } from "../../src/engine/Channel.ts"
import { Drain } from "../../src/engine/Drain.ts"
import { Outbox } from "../../src/engine/Outbox.ts"
import { Requests } from "../../src/engine/Requests.ts"
import { Room } from "../../src/engine/Room.ts"
import { RoomHandle } from "../../src/engine/RoomHandle.ts"
import { RoomMember } from "../../src/engine/RoomMember.ts"
import { RoomMembership } from "../../src/engine/RoomMembership.ts"
import { Leave } from "../../src/engine/RoomMessage.ts"
import { Session } from "../../src/engine/Session.ts"
import { Sessions } from "../../src/engine/Sessions.ts"
import { Subscription } from "../../src/engine/Subscription.ts"
import { Keyring } from "../../src/engine/Tokens.ts"
import type { Encoded } from "../../src/wire/Codec.ts"
import type { Fault } from "./laws.ts"

/** Replaces methods of a class for as long as the fault lasts; each gets the real one first. */
export const patch = (
  of: { readonly prototype: object },
  methods: { readonly [name: string]: (this: any, real: (...args: Array<any>) => any, ...args: Array<any>) => any }
): Fault =>
() => {
  const prototype = of.prototype as { [name: string]: unknown }
  const real = Object.fromEntries(Object.keys(methods).map((name) => [name, prototype[name]]))
  for (const [name, method] of Object.entries(methods)) {
    if (typeof real[name] !== "function") throw new Error(`there is no ${name} to break`)
    prototype[name] = function(this: any, ...args: Array<unknown>) {
      return method.call(this, (real[name] as (...args: Array<any>) => any).bind(this), ...args)
    }
  }
  return () => void Object.assign(prototype, real)
}

export const both = (...faults: ReadonlyArray<Fault>): Fault => () => {
  const mends = faults.map((fault) => fault())
  return () => mends.forEach((mend) => mend())
}

export const engines: { readonly [name: string]: { readonly law: string; readonly fault: Fault } } = {
  "leaves twice": {
    law: "every join has one leave: it came twice",
    fault: patch(Room, {
      remove(real, member, reason) {
        real(member, reason)
        member.left = undefined
      }
    })
  },
  "loses a leave when the mailbox is full": {
    law: "no room runs once all have gone",
    fault: patch(RoomMembership, {
      end(_, reason) {
        this.interrupt("the session ended")
        this.to.actor.tellUnsafe(new Leave(this.member, reason, ""))
      }
    })
  },
  "stops its rooms without the leaves": {
    law: "every join has one leave: it came 0 times",
    fault: patch(Room, { onDrained: () => {} })
  },
  "accepts one more while it drains": {
    law: "nothing begins once the engine drains",
    fault: both(
      patch(Drain, { isDraining: () => false }),
      patch(Handle, {
        offer(real, message) {
          const { draining } = this
          this.draining = false
          const told = real(message)
          this.draining = draining
          return told
        }
      })
    )
  },
  "lets a reply overtake an event": {
    law: "cause before effect",
    fault: patch(Room, {
      reply(real, message, value) {
        const { session, subscription } = message.member
        const to = subscription ?? session.outbox
        to.push = (frame: Encoded) => session.outbox.jump(frame)
        real(message, value)
        delete to.push
      }
    })
  },
  "runs a crashed message again": {
    law: "a message runs at most once",
    fault: patch(Cell, {
      abandon(real, message, why) {
        real(message, why)
        if (why._tag === "Crashed" && message._tag === "Request") this.mailbox.offer(message)
      }
    })
  },
  "lets a timer survive its room": {
    law: "runs only while its instance does",
    fault: both(
      patch(RoomHandle, { turn: (_, effect) => effect }),
      patch(Restarts, {
        recover(real, id, instance, cause) {
          return real(id, id.startsWith("law/") ? Scope.makeUnsafe() : instance, cause)
        }
      })
    )
  },
  "delivers events before the join position": {
    law: "nothing is delivered before the answer of a join",
    fault: patch(Subscription, {
      deliver(_, frame) {
        this.outbox.push(frame)
      }
    })
  },
  "delivers events between a new state and its position": {
    law: "a restart leaves no gap",
    fault: patch(Subscription, { suspend: () => {} })
  },
  "skips an event for one member": {
    law: "all members see contiguous offsets",
    fault: patch(Channel, {
      publish(real, frame, encoded) {
        const hidden = frame.offset % 7 === 0 ? this.subscriptions.pop() : undefined
        real(frame, encoded)
        if (hidden !== undefined) this.subscriptions.push(hidden)
      }
    })
  },
  "tells members apart: two see different events at one offset": {
    law: "all members see the same events",
    fault: patch(Subscription, {
      deliver(real, frame, offset) {
        real({ ...frame, data: String(frame.data).replace(/"number":3\}/, `"number":4}`) }, offset)
      }
    })
  },
  "forgets to answer what a crash abandoned": {
    law: "every request is answered",
    fault: patch(Session, {
      reject(real, asked, error) {
        if (error._tag !== "HandlerFailed") real(asked, error)
      }
    })
  },
  "charges a crash to whoever is there": {
    law: "nobody is disconnected by others",
    fault: patch(Room, {
      charge(real, session) {
        const [other] = this.members.values()
        real(other?.session ?? session)
      }
    })
  },
  "answers twice": {
    law: "a request has one answer",
    fault: patch(Session, {
      reject(real, asked, error) {
        real(asked, error)
        if (error._tag === "Interrupted") real(asked, error)
      }
    })
  },
  "keeps the subscription of who has left": {
    law: "nothing is delivered before the answer of a join, or after left",
    fault: patch(Channel, { unsubscribe: () => {} })
  },
  "interrupts the next when a cancel comes after the answer": {
    law: "who is interrupted by a cancel was cancelled",
    fault: patch(Room, {
      reply(real, message, value) {
        real(message, value)
        message.member.session.pending.set(message.ref, {
          joins: false,
          cancel: (reason: string) => this.actor.interruptCurrent(() => true, reason)
        })
      }
    })
  },
  "does not count what it drops for a slow client": {
    law: "what arrived and what was dropped is what was published",
    fault: patch(Outbox, {
      drop(real, frames, fate) {
        if (fate === "disconnect") real(frames, fate)
      }
    })
  },
  "lets a volatile event overtake": {
    law: "volatile events arrive at most once, in the order in which they were published",
    fault: patch(Subscription, {
      deliver(real, frame) {
        if (frame.fate?._tag !== "dropNewest" || this.held !== undefined) return real(frame)
        this.outbox.jump(frame)
        return false
      }
    })
  },
  "keeps the older of a key for a slow client": {
    law: "the newest of a key arrives",
    fault: patch(Outbox, {
      wait(real, one) {
        if (one.fate?._tag !== "conflate" || this.followed?.waiting(one.fate.slot) === undefined) return real(one)
        this.drop([one], "conflate")
        return true
      }
    })
  },
  "drops what disconnects": {
    law: "an event that may not be dropped is not",
    fault: patch(Outbox, {
      wait(real, one) {
        if (!String(one.data).includes("\"Strict\"") || this.fits(one)) return real(one)
        this.drop([one], "dropNewest")
        return true
      }
    })
  },
  "never stops an idle room": {
    law: "no room runs once all have gone",
    fault: patch(Room, {
      remove(real, member, reason) {
        const { onEmpty } = this.options
        this.options = { ...this.options, onEmpty: () => {} }
        real(member, reason)
        this.options = { ...this.options, onEmpty }
      }
    })
  },
  "forgets an answer before its client has it": {
    law: "a failure is told as what it was: MalformedFrame for a request that has done",
    fault: patch(Requests, {
      acknowledge(real) {
        return real(this.last)
      }
    })
  },
  "runs a request that is sent again once more": {
    law: "a message runs at most once",
    fault: patch(Requests, { find: () => undefined })
  },
  "takes a token that was replaced": {
    law: "a token that was replaced is refused",
    fault: patch(Keyring, { confirm: () => false })
  },
  "ends a session with its connection": {
    law: "nobody is lost before the window has passed",
    fault: patch(Sessions, {
      lose(_, session) {
        this.end(session, "lost")
      }
    })
  },
  "never ends a session whose client does not come back": {
    law: "no room runs once all have gone",
    fault: patch(Sessions, { expire: () => {} })
  },
  "keeps showing who is not there any more": {
    law: "presence is who is there",
    fault: patch(Room, {
      deliver(real, frame, except) {
        if (frame._tag !== "absent") real(frame, except)
      }
    })
  },
  "joins who comes back as somebody else": {
    law: "a member that comes back is the same",
    fault: patch(Room, {
      memberOf(real, session) {
        const member = real(session)
        return member?.subscription === undefined ? undefined : member
      }
    })
  },
  "tells an answer to a connection that did not ask": {
    law: "an answer has a request",
    fault: patch(Session, {
      forget(real, asked) {
        real(asked)
        return true
      }
    })
  },
  "sends who comes back what it missed before it is asked for": {
    law: "nothing is delivered before the answer of a join",
    fault: patch(RoomMember, { detach: () => {} })
  }
}
