/**
 * Clients with one fault each in how they go on with a session, to prove that the laws catch it.
 */
import { Core } from "../../src/client/Core.ts"
import { Requests } from "../../src/client/Requests.ts"
import { Session } from "../../src/client/Session.ts"

/** Breaks the client, and gives back what mends it. */
export type Fault = () => () => void

/** Replaces one method of a class for as long as the fault lasts; it gets the real one first. */
const patch = (
  of: { readonly prototype: object },
  name: string,
  method: (this: any, real: (...args: Array<any>) => any, ...args: Array<any>) => unknown
): Fault =>
() => {
  const prototype = of.prototype as { [name: string]: any }
  const real = prototype[name]
  if (typeof real !== "function") throw new Error(`there is no ${name} to break`)
  prototype[name] = function(this: unknown, ...args: Array<unknown>) {
    return method.call(this, real.bind(this), ...args)
  }
  return () => void (prototype[name] = real)
}

export const clients: { readonly [name: string]: { readonly law: string; readonly fault: Fault } } = {
  "sends again without saying so": {
    law: "used a number again",
    fault: patch(Requests, "put", (real, sent, link) => real(sent, link, null))
  },
  "sends again in another session": {
    law: "runs at most once",
    fault: patch(Session, "welcome", function(real, welcome) {
      const had = this.token !== null
      real(welcome)
      return had
    })
  },
  "acknowledges what is not answered": {
    law: "acknowledged what was not answered",
    fault: patch(Requests, "conclude", function(real, sent) {
      real(sent)
      this.ack = this.lastSeq
    })
  },
  "forgets what it has to send again": {
    law: "every request is answered",
    fault: patch(Requests, "lose", function(real, code) {
      real(code)
      this.again = []
    })
  },
  "sends again what was answered": {
    law: "asked again for what was answered",
    fault: patch(Requests, "conclude", function(real, sent) {
      real(sent)
      this.open.set(sent.seq, sent)
    })
  },
  "gives new numbers to what it sends again": {
    law: "runs at most once",
    fault: patch(Requests, "resend", function(real, sent, link) {
      this.open.delete(sent.seq)
      const renamed = { ...sent, seq: ++this.lastSeq }
      this.open.set(renamed.seq, renamed)
      real(renamed, link)
    })
  },
  "lets newer requests overtake": {
    law: "used a number again",
    fault: patch(Requests, "canSend", function(_real, link) {
      return this.lastSeq - this.ack < link.openRequests
    })
  },
  "does not wait for the room": {
    law: "cause before effect",
    fault: patch(Requests, "sendAgain", function(real, link) {
      for (const sent of this.again) if (link.canSend()) this.resend(sent, link)
      this.again = []
      real(link)
    })
  },
  "sends more than was announced": {
    law: "sent more than was announced",
    fault: patch(Requests, "canSend", (_real, link) => link.canAsk)
  },
  "asks again for what it asked with the hello": {
    law: "joined twice",
    fault: patch(Core, "drain", function(real) {
      for (const channel of this.channels.values()) if (channel.status === "opening") this.memberships.want(channel)
      real()
    })
  },
  "does not ask again for what nobody waits for": {
    law: "every request is answered",
    fault: patch(Requests, "lose", function(real, code) {
      real(code)
      for (const { call, seq } of this.again) if (call.isSettled) this.open.delete(seq)
      this.again = [...this.open.values()]
    })
  }
}
