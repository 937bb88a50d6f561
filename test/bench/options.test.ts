import { assert, describe, it } from "@effect/vitest"
import * as Options from "./options.ts"

const read = (line: string) => Options.read(line === "" ? [] : line.split(" "))!
const named = ({ pairs }: Options.Options) =>
  pairs.map(({ contender, workload }) => `${workload.name} ${contender.name}`)
const servers = (options: Options.Options) => [...new Set(options.pairs.map(({ contender }) => contender.name))]
const workloads = (options: Options.Options) => [...new Set(options.pairs.map(({ workload }) => workload.name))]

describe("the options", () => {
  it("are three servers, three rounds and the standard workloads unless said", () => {
    const options = read("")
    assert.deepStrictEqual(servers(options), ["ws", "socket.io", "heddle"])
    assert.deepStrictEqual(workloads(options), [
      "request-1",
      "request-10",
      "fanout",
      "fanout-4",
      "fanout-burst",
      "open",
      "memory"
    ])
    assert.deepStrictEqual([options.rounds, options.seconds, options.warmUp, options.check], [3, 4, 2.5, false])
  })

  it("--full has every workload and server, variants only where they differ", () => {
    const all = named(read("--full"))
    assert.includeMembers(all, [
      "rooms-1000 heddle-deno",
      "memory bun",
      "fanout-10000 floor-bun",
      "request-1 heddle-tls",
      "fanout heddle-msgpack"
    ])
    assert.notInclude(all, "rooms-1000 heddle-tls")
    assert.notInclude(all, "open heddle-msgpack")
  })

  it("--only and --servers name what would else not be there", () => {
    assert.deepStrictEqual(named(read("--only rooms-1,open --servers bun,heddle-tls")), [
      "open bun",
      "open heddle-tls",
      "rooms-1 bun",
      "rooms-1 heddle-tls"
    ])
  })

  it("--quick is short, and like --check without memory", () => {
    const quick = read("--quick")
    assert.deepStrictEqual([quick.seconds, quick.warmUp], [1.5, 2])
    assert.notInclude(workloads(quick), "memory")
    assert.strictEqual(read("--quick --seconds 7").seconds, 7)
    assert.deepStrictEqual(workloads(read("--check --only memory,latency,open")), ["open"])
  })

  it("ask for help", () => {
    assert.isUndefined(Options.read(["--help"]))
  })

  it.each(
    [
      ["--only echo", /^--only: no "echo"; there are request-1,/],
      ["--servers ws,uws", /^--servers: no "uws"; there are ws,/],
      ["--rounds 0", /^--rounds: "0" is not a whole number from 1/],
      ["--rounds 1.5", /^--rounds: "1.5" is not/],
      ["--seconds x", /^--seconds: "x" is not a number from 0.1/],
      ["--warm-up 9999", /^--warm-up: "9999" is not a number from 0 to 3600$/],
      ["--full --quick", /^--full and --quick/],
      ["--check --only memory", /^--check: only CPU/],
      ["--fast", /^Unknown option '--fast'$/],
      ["fast", /^Unexpected argument 'fast'$/]
    ] as const
  )("that are wrong are told in one line: %s", (line, message) => {
    assert.throws(() => read(line), Options.UsageError, message)
    assert.throws(() => read(line), /^[^\n]*$/)
  })
})
