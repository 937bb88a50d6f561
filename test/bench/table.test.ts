import { assert, describe, it } from "@effect/vitest"
import { made } from "./made.ts"
import * as Table from "./table.ts"

const runs = [
  ...made("fanout", "ws", [8, 10, 12]),
  ...made("fanout", "heddle", [4, 10, 8]),
  ...made("fanout", "bun", [3, undefined, 5])
]

describe("the tables", () => {
  it("have a row for each server, with its median, span, and ratio to its reference", () => {
    const [ws, heddle, bun] = Table.summarize(runs)
    assert.deepStrictEqual([ws!.cost, ws!.ratio], [{ median: 10, min: 8, max: 12 }, undefined])
    assert.deepStrictEqual(heddle!.ratio, { median: 1.5, min: 1, max: 2 })
    assert.deepStrictEqual([bun!.cost, bun!.failed], [{ median: 4, min: 3, max: 5 }, 1])
  })

  it("as text line up, without columns that nothing stands in", () => {
    const [grid] = Table.details(Table.summarize(runs))
    assert.deepStrictEqual(Table.asText(grid!).split("\n"), [
      "fanout: fan-out to 1,000 members, isolated events",
      "server           cost (min–max)   ratio (min–max)  to  a second  p50 µs  p99 µs  p99.9 µs  generator    failed",
      "ws           10.0 (8.0–12.0) µs                         100,000      10      20        30       50 %",
      "heddle     8.00 (4.00–10.00) µs  1.50 (1.00–2.00)  ws   125,000      10      20        30       50 %",
      "Bun.serve   4.00 (3.00–5.00) µs                         266,667      10      20        30       50 %  1 failed"
    ])
  })

  it("as Markdown have numbers to the right", () => {
    assert.strictEqual(
      Table.asMarkdown({ title: "t", head: ["server", "cost"], rows: [["ws", "1"], ["heddle", "2"]], texts: 1 }),
      "| server | cost |\n| --- | ---: |\n| ws | 1 |\n| heddle | 2 |"
    )
  })

  it("mark each ratio against its budget", () => {
    const cells = (workload: string, ws: number, heddle: number) =>
      Table.budgets([...made(workload, "ws", [ws]), ...made(workload, "heddle", [heddle])])[0]!.rows[0]!.slice(1)
    assert.deepStrictEqual(cells("fanout-4", 9, 3), ["3.00 ✓ (≥ 3)"])
    assert.deepStrictEqual(cells("fanout-4", 9, 3.1), ["2.90 ✗ (≥ 3)"])
    assert.deepStrictEqual(cells("memory", 7_000, 10_072), ["+3.0 KiB ✓ (≤ +3 KiB)"])
    assert.deepStrictEqual(cells("memory", 7_000, 10_584), ["+3.5 KiB ✗ (≤ +3 KiB)"])
    assert.deepStrictEqual(cells("memory", 7_000, 6_488), ["−0.5 KiB ✓ (≤ +3 KiB)"])
  })

  it("show what the protocol by hand reaches", () => {
    const [, byHand] = Table.budgets([
      ...made("fanout-4", "ws", [9]),
      ...made("fanout-4", "heddle", [3]),
      ...made("fanout-4", "floor", [2]),
      ...made("memory", "ws", [7_000]),
      ...made("memory", "heddle", [10_072]),
      ...made("memory", "floor", [8_024]),
      ...made("open", "ws", [1]),
      ...made("open", "heddle", [1])
    ])
    assert.deepStrictEqual(byHand!.rows.map((row) => row.slice(1)), [["4.50"], ["+1.0 KiB"]])
  })

  it("show growth beside that of the reference and of the protocol by hand", () => {
    const grown = (contender: string, from: number, to: number) => [
      ...made("fanout-100", contender, [from]),
      ...made("fanout-10000", contender, [to])
    ]
    const [byHand] = Table.budgets([...grown("heddle", 2, 2.5), ...grown("floor", 1, 1.2)])
    assert.deepStrictEqual(byHand!.rows.map((row) => row.slice(3)), [["× 1.25 ✓ (≤ 1.3)", "protocol by hand: × 1.20"]])
    const [, grid] = Table.budgets([
      ...grown("ws", 2, 3),
      ...grown("heddle", 2, 2.5),
      ...made("fanout", "ws", [1]),
      ...made("fanout", "heddle", [1])
    ])
    assert.deepStrictEqual(grid!.rows.map((row) => row.slice(3)), [["× 1.25 ✓ (≤ 1.3)", "ws: × 1.50"]])
  })

  it("say what disturbed them", () => {
    const disturbed = (share: number, waiting: number) =>
      Table.notes(Table.summarize(
        made("fanout", "ws", [1]).map((run) => ({
          ...run,
          result: { ...run.result!, generator_cpu: share, server_waiting: waiting }
        }))
      )).length
    assert.strictEqual(disturbed(0.7, 0.1), 1)
    assert.strictEqual(disturbed(0.71, 0.1), 2)
    assert.strictEqual(disturbed(0.71, 0.11), 3)
  })
})
