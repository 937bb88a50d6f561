import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Metric } from "effect"
import { TestClock } from "effect/testing"
import * as Engine from "../../src/engine/Engine.ts"
import * as Prometheus from "../../src/engine/Prometheus.ts"
import { ask, connectionTest, settle } from "./stage.ts"

/** What the server answers to a GET. */
const get = (
  { engine, network }: Pick<Parameters<Parameters<typeof connectionTest>[2]>[0], "engine" | "network">,
  path: string
) =>
  Effect.promise(async () => {
    const response = await network.fetch(new Request(`${engine.address.url}${path}`))
    return { status: response.status, text: await response.text() }
  })

const script = {
  do: (_: unknown, __: unknown, what: string) =>
    what === "die" ? Effect.die("x") : Effect.as(Effect.sleep(what === "slow" ? 2_000 : 0), what)
}

describe("health", () => {
  connectionTest("is not served unless asked for", {}, (world) =>
    Effect.gen(function*() {
      for (const path of ["/healthz", "/readyz", "/metrics"]) assert.strictEqual((yield* get(world, path)).status, 404)
    }))

  connectionTest("is red for new connections as soon as the engine drains", {
    http: { health: true },
    drain: {},
    script,
    fetch: () => new Response("the application's")
  }, (world) =>
    Effect.gen(function*() {
      const one = yield* world.peer()
      const { channel } = yield* one.join("lab", "a", { name: "ada" })
      ask(one, channel, "slow")
      yield* settle
      const statuses = Effect.map(
        Effect.forEach(["/healthz", "/readyz"], (path) => get(world, path)),
        (all) => all.map(({ status }) => status)
      )
      assert.deepStrictEqual(yield* statuses, [200, 200])
      const fiber = yield* Effect.forkChild(Engine.drain, { startImmediately: true })
      assert.deepStrictEqual(yield* statuses, [200, 503])
      assert.strictEqual((yield* get(world, "/metrics")).text, "the application's")
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* statuses, [200, 503])
    }))
})

describe("metrics", () => {
  connectionTest("count and measure what the engine does, and name nobody", {
    http: { metrics: true },
    script
  }, (world) =>
    Effect.gen(function*() {
      const ada = yield* world.peer()
      const { channel } = yield* ada.join("lab", "secret-key", { name: "ada" })
      const ref = ask(ada, channel, "slow")
      ask(ada, channel, "waits")
      yield* settle
      const during = (yield* get(world, "/metrics")).text
      assert.include(during, "\nheddle_mailbox_messages{room=\"lab\"} 1\n")
      yield* TestClock.adjust("2 seconds")
      yield* ada.answer(ref)
      yield* ada.answer(ask(ada, channel, "die"))
      yield* TestClock.adjust("2 seconds")
      const { status, text } = yield* get(world, "/metrics")
      assert.strictEqual(status, 200)
      const lines = text.split("\n")
      for (
        const line of [
          "# TYPE heddle_frames_total counter",
          "heddle_frames_total{direction=\"in\",kind=\"request\"} 3",
          "heddle_frames_total{direction=\"in\",kind=\"join\"} 1",
          "heddle_frames_total{direction=\"out\",kind=\"ok\"} 2",
          "heddle_connections{kind=\"protocol\"} 1",
          "heddle_rooms{room=\"lab\"} 1",
          "heddle_members{room=\"lab\"} 1",
          "heddle_mailbox_messages{room=\"lab\"} 0",
          "heddle_outbox_bytes 0",
          "heddle_restarts_total{room=\"lab\"} 1",
          "heddle_refusals_total{reason=\"HandlerFailed\"} 1",
          "# TYPE heddle_handler_seconds histogram",
          "heddle_handler_seconds_bucket{room=\"lab\",handler=\"Do\",le=\"+Inf\"} 3",
          "heddle_handler_seconds_count{room=\"lab\",handler=\"Do\"} 3",
          "heddle_mailbox_wait_seconds_count{room=\"lab\",kind=\"request\"} 3"
        ]
      ) assert.include(lines, line, text)
      assert.match(text, /heddle_bytes_total\{direction="in"\} \d{3}/)
      assert.match(text, /heddle_bytes_total\{direction="out"\} \d{3}/)
      assert.notMatch(text, /secret-key|ada/)
    }))

  it.effect("leave nothing of an engine in the registry that would still read from it, and measure nothing when off", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        (yield* Metric.snapshot).filter(({ id, type }) => id.startsWith("heddle_") && type !== "Histogram"),
        []
      )
    }))

  it("are written as Prometheus reads them", () => {
    const context = Context.make(Metric.MetricRegistry, new Map())
    Metric.counter("a.b", { description: "two\nlines", attributes: { "x-y": "say \"hi\" \\ now" } }).updateUnsafe(
      2,
      context
    )
    Metric.gauge("1st").updateUnsafe(-0.5, context)
    const histogram = Metric.histogram("h", { boundaries: [1, 2] })
    for (const value of [0.5, 1.5, 3]) histogram.updateUnsafe(value, context)
    assert.strictEqual(
      Prometheus.render(context),
      [
        "# HELP a_b two\\nlines",
        "# TYPE a_b counter",
        "a_b{x_y=\"say \\\"hi\\\" \\\\ now\"} 2",
        "# TYPE _1st gauge",
        "_1st -0.5",
        "# TYPE h histogram",
        "h_bucket{le=\"1\"} 1",
        "h_bucket{le=\"2\"} 2",
        "h_bucket{le=\"+Inf\"} 3",
        "h_sum 5",
        "h_count 3",
        ""
      ].join("\n")
    )
  })
})
