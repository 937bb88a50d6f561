/**
 * Servers with one fault each in how they recover, to prove that the model catches it.
 */
import { Channel } from "../../src/engine/Channel.ts"
import { MemoryLogs } from "../../src/engine/Log.ts"
import { Requests } from "../../src/engine/Requests.ts"
import { Room } from "../../src/engine/Room.ts"
import { Session } from "../../src/engine/Session.ts"
import { Sessions } from "../../src/engine/Sessions.ts"
import type { SessionStore } from "../../src/engine/SessionStore.ts"
import { Subscription } from "../../src/engine/Subscription.ts"
import { Keyring } from "../../src/engine/Tokens.ts"
import { SqliteLogs } from "../../src/store/SqliteLogs.ts"
import { both, patch } from "../engine/broken.ts"
import type { Fault } from "../engine/laws.ts"

/** Keeps one of the frames that a replay pushes from its outbox. */
const skipping = (isSkipped: (subscription: any, data: string, index: number) => boolean): Fault =>
  patch(Subscription, {
    pull(real) {
      const { outbox } = this
      let index = 0
      outbox.push = (frame: { readonly data: string }) =>
        isSkipped(this, frame.data, index++) ? undefined : Object.getPrototypeOf(outbox).push.call(outbox, frame)
      try {
        return real()
      } finally {
        delete outbox.push
      }
    }
  })

export const servers: { readonly [name: string]: { readonly law: string; readonly fault: Fault } } = {
  "skips the first event of a replay": {
    law: "offsets are contiguous",
    fault: skipping((_, __, index) => index === 0)
  },
  "skips the last event of a replay": {
    law: "offsets are contiguous",
    fault: skipping(({ source }, data) => new RegExp(`^\\["event",\\d+,${source.head},`).test(data))
  },
  "gives all logs one epoch": {
    law: "nobody goes on from a place that is no more",
    fault: both(
      patch(MemoryLogs, { open: (real, address, retention) => real(address, retention, () => "same") }),
      patch(SqliteLogs, { open: (real, address, retention) => real(address, retention, () => "same") })
    )
  },
  "takes the positions of every term for its own": {
    law: "nobody goes on from a place that is no more",
    fault: patch(SqliteLogs, {
      open(real, ...args) {
        const log = real(...args)
        log.endOf = () => log.head
        return log
      }
    })
  },
  "forgets an answer before the client has it": {
    law: "nothing is refused: a request with MalformedFrame",
    fault: patch(Requests, { acknowledge: (real, ack) => real(ack + 1) })
  },
  "takes a token more than once": {
    law: "a token that was replaced is refused",
    fault: patch(Keyring, {
      judge(real, hash) {
        const verdict = real(hash)
        return verdict === "reused" ? "good" : verdict
      }
    })
  },
  "ends a session when its connection is lost": {
    law: "a session goes on within its window",
    fault: patch(Sessions, {
      lose(_, session) {
        this.end(session, "lost")
      }
    })
  },
  "does not store answers": {
    law: "what was answered is answered again",
    fault: patch(Session, {
      write(real, change) {
        real((store: SessionStore) => change({ ...store, answer: () => {} }))
      }
    })
  },
  "runs after a restart what it does not know": {
    law: "a request runs at most once",
    fault: patch(Requests, { isDoubtful: () => false })
  },
  "gives volatile events an offset": {
    law: "offsets count by one",
    fault: patch(Channel, {
      deliver(real, frame, ...args) {
        if (frame._tag === "volatile") this.log.head++
        return real(frame, ...args)
      }
    })
  },
  "delivers what happens before the state that it follows": {
    law: "nothing is delivered before the answer of a join",
    fault: patch(Subscription, {
      hold(_, __, frame) {
        this.outbox.push(frame)
        return false
      }
    })
  },
  "delivers what happens before the replay has ended": {
    law: "offsets are contiguous",
    fault: patch(Subscription, {
      hold(real, waiting, frame, offset, isAnswer) {
        if (!this.isReplaying || offset === 0) return real(waiting, frame, offset, isAnswer)
        this.outbox.push(frame)
        return false
      }
    })
  },
  "keeps the presence of who was lost": {
    law: "who is seen is who is there",
    fault: patch(Room, {
      remove(real, member, reason) {
        const { contract } = this
        if (reason === "lost") this.contract = { ...contract, presence: undefined }
        real(member, reason)
        this.contract = contract
      }
    })
  },
  "joins a member anew that comes back": {
    law: "a member stays who it is",
    fault: patch(Room, { memberOf: () => undefined })
  },
  "tells before it commits": {
    law: "what was told is kept",
    fault: both(
      patch(SqliteLogs, {
        open(real, ...args) {
          const { transaction } = this
          if (this.lag === undefined) {
            this.lag = { begin: transaction.begin, commit: transaction.commit, isOpen: true }
            transaction.begin = () => {
              if (!this.lag.isOpen) this.lag.begin()
              this.lag.isOpen = true
            }
            transaction.commit = () => {}
          }
          return real(...args)
        },
        close(real) {
          if (this.lag?.isOpen === true) this.lag.commit()
          real()
        }
      })
    )
  }
}
