/**
 * Mailboxes and actors with one fault each, to prove that the laws catch it.
 */
import { Effect, Fiber, Scheduler, Scope } from "effect"
import * as Actor from "../../src/actor/Actor.ts"
import { taskQueue } from "../../src/actor/Dispatcher.ts"
import * as Mailbox from "../../src/actor/Mailbox.ts"

type Spawn = typeof Actor.spawn
type Make = typeof Mailbox.make

const mailbox = (fault: (real: Mailbox.Mailbox<any, any>, capacity: number) => object): Make => (capacity) => {
  const real = Mailbox.make<any, any>(capacity)
  return Object.setPrototypeOf(fault(real, capacity), {
    get size() {
      return real.size
    },
    get controlNext() {
      return real.controlNext
    },
    capacity,
    offer: (message: unknown) => real.offer(message),
    control: (message: unknown) => real.control(message),
    take: () => real.take(),
    clear: () => real.clear()
  })
}

export const mailboxes: Record<string, Make> = {
  "lets one message too many in": (capacity) =>
    Object.defineProperty(Mailbox.make(capacity), "offer", {
      value: function(this: any, message: unknown) {
        return this.count <= capacity && (this.push(message), true)
      }
    }),
  "refuses the last free place": mailbox((real, capacity) => ({
    offer: (message: unknown) => real.size < capacity - 1 && real.offer(message)
  })),
  "loses control messages when full": mailbox((real, capacity) => ({
    control: (message: unknown) => {
      if (real.size < capacity) real.control(message)
    }
  })),
  "hands data out before control": mailbox((real) => ({
    control: (message: unknown) => real.offer(message)
  })),
  "forgets to clear": mailbox(() => ({ clear: () => [] }))
}

/** Changes the options of every actor, or what `spawn` gives back. */
const actor = (
  change: (options: Actor.Options<any, any, any, any>, self: () => any) => Partial<Actor.Options<any, any, any, any>>,
  patch: (cell: any) => void = () => {}
): Spawn =>
  ((options: Actor.Options<any, any, any, any>) => {
    let cell: any
    return Effect.map(Actor.spawn({ ...options, ...change(options, () => cell) }), (spawned) => {
      cell = spawned
      patch(cell)
      return cell
    })
  }) as Spawn

/** Changes how each message is handled. */
const handler = (change: (handled: Effect.Effect<void> | void) => Effect.Effect<void> | void): Spawn =>
  actor((options) => ({
    init: (self) =>
      Effect.map(options.init(self), (behavior) => ({
        receive: (message) => change(behavior.receive(message)),
        control: (message) => change(behavior.control?.(message))
      }))
  }))

const same = () => ({})

export const actors: Record<string, Spawn> = {
  "has room for one message too many": actor((options) => ({ mailbox: options.mailbox! + 1 })),
  "loses a message that comes at the end of a turn": actor(same, (cell) => {
    cell.rest = () =>
      taskQueue(Fiber.getCurrent()?.getRef(Scheduler.Scheduler) ?? new Scheduler.MixedScheduler()).scheduleTask(() => {
        cell.busy = false
        if (cell.draining) cell.finish()
      }, 0)
  }),
  "refuses control messages when full": actor(same, (cell) => {
    const real = cell.controlUnsafe.bind(cell)
    cell.controlUnsafe = (message: unknown) => cell.pending < cell.mailbox.capacity && real(message)
  }),
  "loses control messages when full": actor(same, (cell) => {
    const real = cell.controlUnsafe.bind(cell)
    cell.controlUnsafe = (message: unknown) => cell.pending >= cell.mailbox.capacity || real(message)
  }),
  "handles a crashed message again": actor((options, self) => ({
    onAbandoned: (message, why) => {
      if (why._tag === "Crashed") self().mailbox.control(message)
      options.onAbandoned?.(message, why)
    }
  })),
  "forgets what waited when it crashes": actor((options, self) => ({
    onAbandoned: (message, why) => {
      if (why._tag === "Crashed") self().mailbox.clear()
      options.onAbandoned?.(message, why)
    }
  })),
  "leaves a handler running when it stops": handler((handled) =>
    handled && Effect.flatMap(Effect.forkDetach(handled, { startImmediately: true }), Fiber.join)
  ),
  "handles two messages at a time": handler((handled) =>
    handled && Effect.asVoid(Effect.forkDetach(handled, { startImmediately: true }))
  ),
  "leaves a timer running for a handler that has ended": actor(same, (cell) => {
    const real = cell.limit.bind(cell)
    cell.limit = (deadline: number) => {
      real(deadline)
      cell.timer = { interruptUnsafe: () => {} }
    }
  }),
  "says nothing of what it discards": actor(() => ({ onDiscarded: () => {} })),
  "never says that it stopped": actor(() => ({ onStopped: () => {} })),
  "keeps the scope of an instance that crashed": actor((options) => ({
    init: (self) =>
      Effect.flatMap(Effect.scope, (scope) => {
        const leaked = Object.create(scope)
        leaked.state = { _tag: "Empty" }
        return Effect.provideService(options.init(self), Scope.Scope, leaked)
      })
  })),
  "stays in the scope that owned it": actor(same, (cell) => {
    cell.home = { left: () => {} }
  })
}

export const conversations: Record<string, Spawn> = {
  "puts messages in the mailbox in turns of their own": actor(same, (cell) => {
    const real = cell.offer.bind(cell)
    cell.offer = (message: unknown) => {
      cell.dispatcher.run(() => real(message))
      return "accepted"
    }
  }),
  "handles the newest message first": actor(same, (cell) => {
    Object.defineProperty(cell.mailbox, "take", {
      value: function(this: any) {
        const waiting: Array<unknown> = []
        for (let next = this.shift(); next !== Mailbox.Empty; next = this.shift()) waiting.push(next)
        const newest = waiting.length === 0 ? Mailbox.Empty : waiting.pop()
        for (const older of waiting) this.push(older)
        return newest
      }
    })
  })
}

/** The law that each of them is caught by. */
export const mailboxLaw: Record<string, string> = {
  "lets one message too many in": "accepted if fewer than capacity wait",
  "refuses the last free place": "accepted if fewer than capacity wait",
  "loses control messages when full": "size counts both lanes",
  "hands data out before control": "controlNext tells the lane",
  "forgets to clear": "clear answers with what waited"
}

/** The law that each of them is caught by. */
export const actorLaw: Record<string, string> = {
  "has room for one message too many": "no more than capacity wait",
  "loses a message that comes at the end of a turn": "an idle actor has nothing waiting",
  "refuses control messages when full": "refused with room",
  "loses control messages when full": "an idle actor has nothing waiting",
  "handles a crashed message again": "runs once",
  "forgets what waited when it crashes": "no more than capacity wait",
  "leaves a handler running when it stops": "no handler outlives",
  "handles two messages at a time": "no handler outlives",
  "leaves a timer running for a handler that has ended": "no timer outlives its actor",
  "says nothing of what it discards": "every accepted message has a fate",
  "never says that it stopped": "onStopped is called once",
  "keeps the scope of an instance that crashed": "no instance outlives",
  "stays in the scope that owned it": "leaves nothing in its scope"
}
