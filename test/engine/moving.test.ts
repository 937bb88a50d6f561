/** Every metric of the engine moves with what it counts, by as much as it should, and names nobody. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, type Scope } from "effect"
import * as Fs from "node:fs"
import * as Identity from "../../src/contract/Identity.ts"
import * as Room from "../../src/contract/Room.ts"
import * as Endpoint from "../../src/engine/Endpoint.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { memory, serve, type World } from "./harness.ts"
import { connect, type Peer } from "./peer.ts"
import { settle } from "./stage.ts"

/** What no label may hold: the key of the room, and who is in it. */
const [key, user] = ["secret-key", "secret-user"]

class Who extends Identity.Service<Who, { readonly id: string }>()("test/Who") {}

const Text = { text: Schema.String }

class Metered extends Room.make("metered", {
  join: { payload: { millis: Schema.Int } },
  requests: { Do: { payload: { millis: Schema.Int } } },
  notices: { Note: { millis: Schema.Int } },
  events: {
    Said: Text,
    Oldest: Room.volatile(Text),
    Newest: Room.volatile(Text, "dropNewest"),
    Latest: Room.volatile(Text, { conflate: () => "one" })
  }
}) {}

const MeteredLive = Metered.toLayer(() => ({
  join: ({ payload }) => Effect.asVoid(Effect.andThen(Who, Effect.sleep(payload.millis))),
  Do: ({ payload: { millis } }) => millis < 0 ? Effect.die("x") : Effect.sleep(millis),
  Note: ({ payload }) => Effect.sleep(payload.millis)
})).pipe(Layer.provide(Identity.layer(Who, ({ token }) => Effect.succeed({ id: token! }))))

type Numbers = Readonly<Record<string, number>>

interface Metering extends World {
  readonly ada: Peer
  readonly channel: number
  readonly memberId: string
  /** By how much an action, and what follows from it at once, moves which numbers of this metric. */
  readonly moves: <E>(action: () => Effect.Effect<unknown, E, any> | unknown) => Effect.Effect<Numbers, E, any>
}

/** Of all numbers those of one metric, by what follows its name. */
const read = ({ engine, network }: World, name: string): Effect.Effect<Numbers> =>
  Effect.promise(async () => {
    const text = await (await network.fetch(new Request(`${engine.address.url}/metrics`))).text()
    assert.notMatch(text, new RegExp(`${key}|${user}`))
    return Object.fromEntries(
      [...text.matchAll(/^(heddle_\S+) (\S+)$/gm)].flatMap(([, line, value]) =>
        line!.startsWith(name) && !line!.includes("_bucket") ? [[line!.slice(name.length), Number(value)]] : []
      )
    )
  })

type Case = (metering: Metering) => Effect.Effect<void, unknown, Scope.Scope | Engine.Engine>

const room = "room=\"metered\""
const emit = (event: "Said" | "Oldest" | "Newest" | "Latest", text: string = event) =>
  Effect.andThen(Engine.emit(Metered, key, event, { text }), settle)
const ask = ({ ada, channel }: Metering, millis: number) => ada.sendRequest(channel, "Do", { millis })
const ended = (peer: Peer) => Effect.andThen(Effect.sync(() => peer.close()), settle)

/** Fills what the runtime takes for ada, so that the next frames wait in her outbox. */
const stall = ({ network }: Metering) =>
  Effect.suspend(() => {
    network.connections()[0]!.stall()
    // One that the runtime takes, and one that it does not.
    return Effect.forEach([1, 2], () => emit("Said", "x".repeat(70_000)))
  })

const cases: Readonly<Record<string, Case>> = {
  heddle_connections: ({ engine, moves, network, peer, until }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* moves(() => peer(user)), { "{kind=\"protocol\"}": 1 })
      const raw = connect(network.connect, engine.address, "/raw", until)
      assert.deepStrictEqual(yield* moves(() => raw), { "{kind=\"endpoint\"}": 1 })
      const both = Effect.sync(() => network.connections().slice(1).forEach(({ cut }) => cut()))
      assert.deepStrictEqual(yield* moves(() => both), { "{kind=\"protocol\"}": -1, "{kind=\"endpoint\"}": -1 })
    }),

  heddle_sessions: ({ ada, moves, network, open }) =>
    Effect.gen(function*() {
      const token = ada.all("welcome")[0]!.resume
      const cut = () => network.connections()[0]!.cut()
      assert.deepStrictEqual(yield* moves(cut), { "{state=\"attached\"}": -1, "{state=\"detached\"}": 1 })
      const again = yield* open
      assert.deepStrictEqual(yield* moves(() => again.hello(user, token)), {
        "{state=\"attached\"}": 1,
        "{state=\"detached\"}": -1
      })
      assert.deepStrictEqual(yield* moves(() => ended(again)), { "{state=\"attached\"}": -1 })
    }),
  heddle_resumes_total: ({ ada, moves, open }) =>
    Effect.gen(function*() {
      const token = ada.all("welcome")[0]!.resume!
      const [again, other, copy] = [yield* open, yield* open, yield* open]
      const outcome = (name: string) => ({ [`{outcome="${name}"}`]: 1 })
      assert.deepStrictEqual(yield* moves(() => other.hello("somebody else", token)), outcome("mismatched"))
      assert.deepStrictEqual(yield* moves(() => again.hello(user, token)), outcome("resumed"))
      again.send({ _tag: "pong" })
      yield* settle
      assert.deepStrictEqual(yield* moves(() => copy.hello(user, token)), outcome("reused"))
      yield* ended(copy)
      const last = yield* open
      assert.deepStrictEqual(yield* moves(() => last.hello(user, "x")), outcome("unknown"))
    }),
  heddle_users: ({ ada, moves, peer }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* moves(() => peer(user)), {})
      assert.deepStrictEqual(yield* moves(() => peer("bob")), { "": 1 })
      assert.deepStrictEqual(yield* moves(() => ended(ada)), {})
    }),

  heddle_rooms: ({ ada, channel, moves, pass, peer }) =>
    Effect.gen(function*() {
      const bob = yield* peer(user)
      assert.deepStrictEqual(yield* moves(() => bob.join("metered", `${key} 2`, { millis: 0 })), { [`{${room}}`]: 1 })
      yield* ada.answer(ada.ask({ _tag: "leave", channel }))
      yield* ended(bob)
      assert.deepStrictEqual(yield* moves(() => pass(60_000)), { [`{${room}}`]: -2 })
    }),

  heddle_members: ({ ada, channel, moves, peer }) =>
    Effect.gen(function*() {
      const bob = yield* peer(user)
      assert.deepStrictEqual(yield* moves(() => bob.join("metered", key, { millis: 0 })), { [`{${room}}`]: 1 })
      assert.deepStrictEqual(yield* moves(() => ada.ask({ _tag: "leave", channel })), { [`{${room}}`]: -1 })
      assert.deepStrictEqual(yield* moves(() => ended(bob)), { [`{${room}}`]: -1 })
    }),

  heddle_mailbox_messages: (metering) =>
    Effect.gen(function*() {
      const { moves, pass } = metering
      const requests = () => [0, 0, 0].forEach(() => ask(metering, 1_000))
      assert.deepStrictEqual(yield* moves(requests), { [`{${room}}`]: 2 })
      assert.deepStrictEqual(yield* moves(() => pass(1_000)), { [`{${room}}`]: -1 })
      assert.deepStrictEqual(yield* moves(() => pass(1_000)), { [`{${room}}`]: -1 })
    }),

  heddle_mailbox_wait_seconds: (metering) =>
    Effect.gen(function*() {
      const { ada, channel, moves, pass, peer } = metering
      const bob = yield* peer(user)
      ask(metering, 2_000)
      yield* settle
      const behind = () => {
        ask(metering, 0)
        ada.notice(channel, "Note", { millis: 0 })
        bob.sendJoin("metered", key, { millis: 0 })
        return settle
      }
      assert.deepStrictEqual(yield* moves(behind), {})
      const waited = (kind: string) => ({ [`_sum{${room},kind="${kind}"}`]: 2, [`_count{${room},kind="${kind}"}`]: 1 })
      assert.deepStrictEqual(yield* moves(() => pass(2_000)), {
        ...waited("request"),
        ...waited("notice"),
        ...waited("join")
      })
    }),

  heddle_handler_seconds: (metering) =>
    Effect.gen(function*() {
      const { ada, channel, moves, pass, peer } = metering
      const bob = yield* peer(user)
      const took = (handler: string, seconds: number) => ({
        [`_sum{${room},handler="${handler}"}`]: seconds,
        [`_count{${room},handler="${handler}"}`]: 1
      })
      ask(metering, 1_000)
      assert.deepStrictEqual(yield* moves(() => pass(1_000)), took("Do", 1))
      ada.notice(channel, "Note", { millis: 2_000 })
      assert.deepStrictEqual(yield* moves(() => pass(2_000)), took("Note", 2))
      bob.sendJoin("metered", key, { millis: 3_000 })
      assert.deepStrictEqual(yield* moves(() => pass(3_000)), took("join", 3))
      // One that is interrupted took as long as it did.
      ask(metering, 60_000)
      yield* pass(4_000)
      assert.deepStrictEqual(yield* moves(() => ended(ada)), took("Do", 4))
    }),

  heddle_frames_total: (metering) =>
    Effect.gen(function*() {
      const { ada, channel, moves } = metering
      const line = (direction: string, kind: string) => `{direction="${direction}",kind="${kind}"}`
      const both = (into: string, out: string) => ({ [line("in", into)]: 1, [line("out", out)]: 1 })
      assert.deepStrictEqual(yield* moves(() => ask(metering, 0)), both("request", "ok"))
      assert.deepStrictEqual(yield* moves(() => ada.ask({ _tag: "leave", channel: 77 })), both("leave", "error"))
      assert.deepStrictEqual(yield* moves(() => ada.notice(channel, "Note", { millis: 0 })), {
        [line("in", "notice")]: 1
      })
      assert.deepStrictEqual(yield* moves(() => ada.raw(`["${key}"]`)), { [line("in", "unknown")]: 1 })
      assert.deepStrictEqual(yield* moves(() => ada.raw(`[1,"${key}"]`)), both("malformed", "error"))
      assert.deepStrictEqual(yield* moves(() => emit("Said")), { [line("out", "event")]: 1 })
      assert.deepStrictEqual(yield* moves(() => emit("Oldest")), { [line("out", "volatile")]: 1 })
    }),

  heddle_bytes_total: ({ ada, moves }) =>
    Effect.gen(function*() {
      const seen = ada.messages.length
      const text = `["${"é".repeat(100)}"]`
      assert.deepStrictEqual(yield* moves(() => ada.raw(text)), { "{direction=\"in\"}": 204 })
      const emitted = yield* moves(() => emit("Said", "é".repeat(100)))
      assert.deepStrictEqual(emitted, { "{direction=\"out\"}": Buffer.byteLength(ada.messages[seen] as string) })
    }),

  heddle_outbox_bytes: (metering) =>
    Effect.gen(function*() {
      const { moves, network } = metering
      const waiting = (yield* moves(() => stall(metering)))[""]!
      assert.isAbove(waiting, 70_000)
      assert.isBelow(waiting, 70_100)
      const unstall = Effect.andThen(Effect.sync(() => network.connections()[0]!.unstall()), settle)
      assert.deepStrictEqual(yield* moves(() => unstall), { "": -waiting })
    }),

  heddle_drops_total: (metering) =>
    Effect.gen(function*() {
      const { moves } = metering
      yield* stall(metering)
      // Two frames may wait.
      assert.deepStrictEqual(yield* moves(() => emit("Oldest")), {})
      assert.deepStrictEqual(yield* moves(() => emit("Latest")), {})
      assert.deepStrictEqual(yield* moves(() => emit("Latest")), { "{fate=\"conflate\"}": 1 })
      assert.deepStrictEqual(yield* moves(() => emit("Oldest")), { "{fate=\"dropOldest\"}": 1 })
      assert.deepStrictEqual(yield* moves(() => emit("Newest")), { "{fate=\"dropNewest\"}": 1 })
      yield* emit("Said")
      assert.deepStrictEqual(yield* moves(() => emit("Said")), { "{fate=\"disconnect\"}": 4 })
    }),

  heddle_overflows_total: (metering) =>
    Effect.gen(function*() {
      const { moves } = metering
      yield* stall(metering)
      const three = Effect.forEach([1, 2, 3], () => emit("Said"))
      assert.deepStrictEqual(yield* moves(() => three), { "{kind=\"protocol\"}": 1 })
    }),

  heddle_refusals_total: (metering) =>
    Effect.gen(function*() {
      const { ada, moves } = metering
      const reason = (name: string, times = 1) => ({ [`{reason="${name}"}`]: times })
      assert.deepStrictEqual(yield* moves(() => ada.ask({ _tag: "leave", channel: 77 })), reason("NotJoined"))
      assert.deepStrictEqual(yield* moves(() => ada.sendJoin(key, "a")), reason("NotServed"))
      assert.deepStrictEqual(yield* moves(() => ada.raw(`[1,"${key}"]`)), reason("MalformedFrame"))
      assert.deepStrictEqual(yield* moves(() => ask(metering, -1)), reason("HandlerFailed"))
      const flood = () => Array.from({ length: 300 }, () => ask(metering, 60_000)).forEach(() => {})
      assert.containsAllKeys(yield* moves(flood), reason("RateLimited"))
    }),

  heddle_upgrade_refusals_total: ({ engine, moves, network, until }) =>
    Effect.gen(function*() {
      const to = (path: string) => connect(network.connect, engine.address, path, until)
      assert.deepStrictEqual(yield* moves(() => to(`/${key}`)), { "{status=\"404\"}": 1 })
      for (const path of ["/raw", "/raw", "/raw"]) yield* to(path)
      yield* settle
      assert.deepStrictEqual(yield* moves(() => to("/raw")), { "{status=\"503\"}": 1 })
    }),

  heddle_restarts_total: (metering) =>
    Effect.gen(function*() {
      const { moves, pass } = metering
      const crash = Effect.suspend(() => {
        ask(metering, -1)
        return Effect.andThen(settle, pass(1_000))
      })
      assert.deepStrictEqual(yield* moves(() => crash), { [`{${room}}`]: 1 })
    })
}

describe("the metric", () => {
  for (const [name, body] of Object.entries(cases)) {
    it.effect(`${name} moves with what it counts`, () =>
      serve(memory, {
        rooms: [MeteredLive],
        endpoints: [Endpoint.make("/raw", { protocols: ["heddle.v1+json"], handle: () => Effect.never })],
        http: { metrics: true },
        limits: { outboxFrames: 2, connections: 4 }
      })((world) =>
        Effect.gen(function*() {
          const ada = yield* world.peer(user)
          const joined = yield* ada.join("metered", key, { millis: 0 })
          // No time begins at 0.
          yield* world.pass(5_000)
          const moves: Metering["moves"] = (action) =>
            Effect.gen(function*() {
              const before = yield* read(world, name)
              const effect = action()
              if (Effect.isEffect(effect)) yield* effect as Effect.Effect<unknown>
              yield* settle
              const after = Object.entries(yield* read(world, name))
              return Object.fromEntries(
                after.map(([line, value]) => [line, value - (before[line] ?? 0)]).filter(([, by]) => by !== 0)
              )
            })
          yield* body({ ...world, ...joined, ada, moves })
        })
      ))
  }

  it("has a case here, whichever it is", () => {
    const sources = ["Stats", "Gauges"].map((name) => Fs.readFileSync(`src/engine/${name}.ts`, "utf8")).join()
    const names = new Set([...sources.matchAll(/"(heddle_\w+)"/g)].map(([, name]) => name!))
    assert.deepStrictEqual(Object.keys(cases).sort(), [...names].sort())
  })
})
