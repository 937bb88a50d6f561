import { assert, describe, it } from "@effect/vitest"
import { Few } from "../../src/engine/Few.ts"
import { makeRandom } from "./random.ts"

describe("Few", () => {
  it("holds what a map would, whatever is set and deleted", () => {
    for (let seed = 0; seed < 200; seed++) {
      const { below } = makeRandom(seed)
      const few = new Few<number>()
      const map = new Map<number, number>()
      for (let step = 0; step < 300; step++) {
        const key = below(seed % 2 === 0 ? 5 : 60)
        const what = below(10)
        if (what < (seed % 3 === 0 ? 7 : 5)) {
          few.set(key, step)
          map.set(key, step)
        } else if (what < 9) {
          assert.strictEqual(few.delete(key), map.delete(key), `seed ${seed}, step ${step}`)
        } else if (below(20) === 0) {
          few.clear()
          map.clear()
        }
        assert.strictEqual(few.size, map.size, `seed ${seed}, step ${step}`)
        const other = below(60)
        assert.strictEqual(few.get(other), map.get(other), `seed ${seed}, step ${step}`)
        assert.strictEqual(few.has(other), map.has(other), `seed ${seed}, step ${step}`)
        if (step % 50 === 0) {
          assert.sameMembers(few.values(), [...map.values()], `seed ${seed}, step ${step}`)
        }
      }
    }
  })
})
