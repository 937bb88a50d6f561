import { describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { assert } from "vitest"
import * as Room from "../../src/contract/Room.ts"
import * as Contract from "../../src/wire/Contract.ts"

class Muted extends Schema.TaggedError<Muted>()("Muted", { until: Schema.Date }) {}
class Full extends Schema.TaggedError<Full>()("Full", { limit: Schema.Int }) {}

interface Tree {
  readonly value: number
  readonly children: ReadonlyArray<Tree>
}
const Tree = Schema.Struct({
  value: Schema.Int,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

describe("the fingerprint", () => {
  const of = (definition: Room.Definition, name = "room") =>
    Contract.compileRoom(Room.make(name, definition as never)).fingerprint

  it("is the same on every runtime and in every process", () => {
    assert.strictEqual(of({ events: { Said: { text: Schema.String, at: Schema.Date } } }), "0m54c9o0sq6j1j")
  })

  it("does not depend on the order of names", () => {
    assert.strictEqual(
      of({ events: { A: { a: Schema.String, b: Schema.Int }, B: {} } }),
      of({ events: { B: {}, A: { b: Schema.Int, a: Schema.String } } })
    )
  })

  it("changes with anything that changes the wire", () => {
    const all = [
      of({}),
      of({}, "other"),
      of({ key: Schema.Literals(["a", "b"]) }),
      of({ events: { A: {} } }),
      of({ notices: { A: {} } }),
      of({ requests: { A: {} } }),
      of({ requests: { A: { success: Schema.Int } } }),
      of({ requests: { A: { error: Muted } } }),
      of({ requests: { A: { error: [Muted, Full] } } }),
      of({ presence: {} }),
      of({ snapshot: {} }),
      of({ events: { A: Room.volatile({}) } }),
      of({ events: { A: { a: Schema.String } } }),
      of({ events: { A: { a: Schema.optionalKey(Schema.String) } } }),
      of({ events: { A: { a: Schema.Finite } } }),
      of({ events: { A: { b: Schema.String } } }),
      of({ events: { A: { a: Schema.Array(Schema.String) } } }),
      of({ events: { A: { a: Schema.Literals(["1"]) } } }),
      of({ events: { A: { a: Schema.Literals([1]) } } }),
      of({ events: { A: Tree } }),
      of({ events: { A: Schema.Array(Tree) } })
    ]
    assert.lengthOf(new Set(all), all.length)
  })
})
