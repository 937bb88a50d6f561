import { assert, describe, it } from "@effect/vitest"
import * as Budget from "./budget.ts"
import { byName, contenders } from "./contenders.ts"
import { made } from "./made.ts"
import { pairs, workloads } from "./workloads.ts"

const short = (verdicts: ReadonlyArray<Budget.Verdict>) =>
  verdicts.map(({ contender, kind, met, reference, workload }) => [workload, contender, reference, kind, met])

describe("the budget", () => {
  it("names workloads and contenders that exist, and references that come first", () => {
    const names = workloads.map(({ name }) => name)
    for (const { contender, moreBytes, ratios, reference } of Budget.comparisons) {
      assert.includeMembers(names, [...Object.keys(ratios), ...Object.keys(moreBytes ?? {})])
      assert.isBelow(contenders.indexOf(byName(reference)), contenders.indexOf(byName(contender)))
    }
    for (const { contenders, from, to } of Budget.growths) {
      assert.includeMembers(names, [from, to])
      assert.isTrue(contenders.every((name) => byName(name) !== undefined))
    }
  })

  it("is met by the median of the ratios of each round, not by the ratio of medians", () => {
    const runs = [...made("request-10", "ws", [10, 100, 22]), ...made("request-10", "heddle", [4, 50, 10])]
    const [verdict] = Budget.verdicts(runs)
    assert.deepStrictEqual(verdict!.measured, { median: 2.2, min: 2, max: 2.5 })
    assert.deepStrictEqual(short(Budget.verdicts(runs)), [["request-10", "heddle", "ws", "ratio", true]])
  })

  it("of memory is in bytes beyond ws, and a ratio to Socket.IO", () => {
    const runs = (bytes: number) => [
      ...made("memory", "ws", [7_000]),
      ...made("memory", "socket.io", [20_000]),
      ...made("memory", "heddle", [bytes])
    ]
    const met = (bytes: number) => Budget.verdicts(runs(bytes)).map(({ kind, met }) => [kind, met])
    assert.deepStrictEqual(met(10_000), [["bytes", true], ["ratio", true]])
    assert.deepStrictEqual(met(10_073), [["bytes", false], ["ratio", false]])
  })

  it("of growth compares one contender's costs of two workloads", () => {
    const grown = (cost: number) => [...made("fanout-100", "heddle", [2]), ...made("fanout-10000", "heddle", [cost])]
    assert.deepStrictEqual(short(Budget.verdicts(grown(2.6))), [["fanout-10000", "heddle", undefined, "growth", true]])
    assert.deepStrictEqual(Budget.verdicts(grown(2.7)).map(({ met }) => met), [false])
    assert.deepStrictEqual(Budget.suspects(grown(2.7)), [])
    assert.strictEqual(Budget.suspects(grown(5.3)).length, 1)
  })
})

describe("the check", () => {
  // The budget is 0.8: half of it is a cost of 25 where ws costs 10.
  const suspects = (costs: ReadonlyArray<number | undefined>) =>
    Budget.suspects([...made("request-1", "ws", costs.map(() => 10)), ...made("request-1", "heddle", costs)]).length

  it("fails when every round is below half of the budget", () => {
    assert.strictEqual(suspects([26, 30, 90]), 1)
  })

  it("passes when one of them is not, however bad the others", () => {
    assert.strictEqual(suspects([26, 25, 900]), 0)
  })

  it("judges only rounds that have a result, and nothing without any", () => {
    assert.strictEqual(suspects([undefined, 30, 30]), 1)
    assert.strictEqual(suspects([undefined, undefined, undefined]), 0)
  })

  it("repeats only what is in doubt, with what it is compared with", () => {
    const standard = pairs(undefined, undefined, false)
    const round = (workload: string, heddle: number) => [
      ...made(workload, "ws", [10]),
      ...made(workload, "socket.io", [14]),
      ...made(workload, "heddle", [heddle])
    ]
    const repeated = (heddle: number) =>
      Budget.inDoubt(standard, [...round("request-1", heddle), ...round("fanout", 10)])
        .map(({ contender, workload }) => `${workload.name} ${contender.name}`)
    assert.deepStrictEqual(repeated(24), [])
    assert.deepStrictEqual(repeated(25.2), ["request-1 ws", "request-1 heddle"])
    assert.deepStrictEqual(repeated(26), ["request-1 ws", "request-1 socket.io", "request-1 heddle"])
  })
})
