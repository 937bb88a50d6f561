import { assert, describe, it } from "@effect/vitest"
import { made } from "./made.ts"
import * as Plot from "./plot.ts"
import * as Table from "./table.ts"

const runs = [
  ...made("fanout", "ws", [8, 10, 12]),
  ...made("fanout", "heddle", [5, 5, 5]),
  ...made("fanout", "bun", [undefined]),
  ...made("open", "ws", [40])
]

describe("the plots", () => {
  const [fanout, open, ...others] = Plot.plots(Table.summarize(runs))

  it("are one for each workload that was measured", () => {
    assert.deepStrictEqual([fanout!.name, open!.name, others], ["fanout.svg", "open.svg", []])
  })

  it("have a bar for each server, as long as its cost, and none where there is no result", () => {
    const bars = [...fanout!.svg.matchAll(/class="bar( ours)?" x="190" y="\d+" width="([\d.]+)"/g)]
    assert.deepStrictEqual(bars.map(([, ours]) => ours), [undefined, " ours"])
    assert.closeTo(Number(bars[0]![2]) / Number(bars[1]![2]), 2, 0.01)
    assert.include(fanout!.svg, "no result")
  })

  it("title both axes, and follow the reader's colours", () => {
    assert.include(fanout!.svg, ">CPU of the server for a delivery, µs (less is better; span of all rounds)</text>")
    assert.include(fanout!.svg, ">server</text>")
    assert.include(fanout!.svg, "@media (prefers-color-scheme: dark)")
  })

  it.each([
    [12, [0, 2.5, 5, 7.5, 10, 12.5]],
    [100, [0, 20, 40, 60, 80, 100]],
    [0.3, [0, 0.1, 0.2, 0.3]],
    [20_876, [0, 5_000, 10_000, 15_000, 20_000, 25_000]]
  ])("divide an axis up to %d roundly", (most, marks) => {
    assert.deepStrictEqual(Plot.ticks(most), marks)
  })

  it("are well-formed", () => {
    const opened: Array<string> = []
    for (const [, close, name, self] of fanout!.svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
      if (self === "/") continue
      if (close === "/") assert.strictEqual(opened.pop(), name)
      else opened.push(name!)
    }
    assert.deepStrictEqual(opened, [])
  })
})
