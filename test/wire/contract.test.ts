import { describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Option, Result, Schema } from "effect"
import { assert } from "vitest"
import * as Room from "../../src/contract/Room.ts"
import * as Topic from "../../src/contract/Topic.ts"
import * as Contract from "../../src/wire/Contract.ts"
import { withPlainKeys } from "./frames.ts"

class Point extends Schema.Class<Point>("Point")({ x: Schema.Finite, y: Schema.Finite }) {}
class Line extends Schema.Class<Line>("Line")({ from: Point, to: Point }) {}
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

const Shape = Schema.Union([
  Schema.TaggedStruct("Circle", { radius: Schema.Finite }),
  Schema.TaggedStruct("Polygon", { lines: Schema.Array(Line) })
])

class Draw extends Room.make("draw", {
  join: { payload: { name: Schema.NonEmptyString }, error: [Muted, Full] },
  presence: { name: Schema.String, tree: Tree },
  snapshot: Tree,
  requests: {
    Put: {
      payload: {
        text: Schema.String.check(Schema.isMaxLength(5)),
        size: Schema.Number,
        line: Line,
        color: Schema.Literals(["red", "blue"]),
        at: Schema.Option(Schema.Date),
        layer: Schema.optionalKey(Schema.Int),
        pen: Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed("thin"))),
        tags: Schema.Record(Schema.String, Schema.Int)
      },
      success: Schema.Int,
      error: Muted
    },
    Undo: {}
  },
  notices: { Move: Point, Nothing: Schema.Void },
  events: {
    Drawn: { shape: Shape },
    Any: Schema.Json,
    Moved: Room.volatile({ id: Schema.String, point: Point })
  }
}) {}

const draw = Contract.compileRoom(Draw)
const put = draw.requests.get("Put")!

const succeeded = <A>(result: Result.Result<A, unknown>): A => {
  if (Result.isFailure(result)) throw new Error(String(result.failure))
  return result.success
}

const refused = (result: Result.Result<unknown, unknown>): unknown => {
  if (Result.isSuccess(result)) throw new Error("succeeded")
  return result.failure
}

const throughJson = (payload: Contract.Payload, input: unknown): unknown =>
  succeeded(payload.decode(JSON.parse(JSON.stringify(succeeded(payload.encode(input))))))

const good = {
  text: "a",
  size: 1,
  line: { from: { x: 0, y: 0 }, to: { x: 1, y: 1 } },
  color: "red",
  at: Option.none(),
  tags: {}
}

describe("payloads come back as they were", () => {
  const cases: ReadonlyArray<readonly [string, Schema.Codec<any, any>, Contract.Payload]> = [
    ["a struct of many types", Schema.Struct(Draw["~heddle/Room"].requests.Put.payload), put.payload],
    ["a recursive schema", Tree, draw.snapshot!],
    ["a union with nested classes", Schema.Struct({ shape: Shape }), draw.events.get("Drawn")!.payload],
    ["a class", Point, draw.notices.get("Move")!],
    ["JSON", Schema.Json, draw.events.get("Any")!.payload]
  ]
  for (const [name, schema, payload] of cases) {
    const equals = Schema.toEquivalence(schema)
    it.effect.prop(
      name,
      [Arbitrary.map(Arbitrary.schema(schema), withPlainKeys)],
      ([value]) => Effect.sync(() => assert.isTrue(equals(throughJson(payload, value), value))),
      {
        arbitrary: { runs: 300, size: 8 }
      }
    )
  }

  it("errors are instances of their class", () => {
    const error = throughJson(put.error!, new Muted({ until: new Date(0) }))
    assert.instanceOf(error, Muted)
    assert.deepStrictEqual(error, new Muted({ until: new Date(0) }))
    assert.instanceOf(throughJson(draw.joinError!, new Full({ limit: 3 })), Full)
  })

  it("no payload is null on the wire and undefined here", () => {
    for (const payload of [draw.requests.get("Undo")!.payload, draw.notices.get("Nothing")!]) {
      assert.isNull(succeeded(payload.encode(undefined)))
      assert.isUndefined(succeeded(payload.decode(null)))
      assert.isUndefined(succeeded(payload.decode(undefined)))
      assert.propertyVal(refused(payload.decode({})), "field", "payload")
    }
    assert.isNull(succeeded(draw.requests.get("Undo")!.success.encode("whatever a handler gives")))
  })

  it("plain objects stand for classes, and defaults are filled in", () => {
    const decoded = throughJson(put.payload, good) as typeof good & { readonly pen: string }
    assert.instanceOf(decoded.line, Line)
    assert.instanceOf(decoded.line.to, Point)
    assert.strictEqual(decoded.pen, "thin")
    assert.notProperty(decoded, "layer")
  })

  it("keeps what the contract declares and nothing else", () => {
    assert.deepStrictEqual(throughJson(draw.notices.get("Move")!, new Point({ x: 1, y: 2 })), new Point({ x: 1, y: 2 }))
    assert.deepStrictEqual(succeeded(draw.notices.get("Move")!.encode({ x: 1, y: 2, z: 3 })), { x: 1, y: 2 })
    assert.isUndefined(draw.requests.get("Undo")!.error)
    assert.isTrue(draw.events.get("Moved")!.volatile)
    assert.isFalse(draw.events.get("Drawn")!.volatile)
  })
})

describe("InvalidPayload", () => {
  const wire = succeeded(put.payload.encode(good)) as Record<string, unknown>
  const cases: ReadonlyArray<readonly [string, unknown, string, string]> = [
    ["a number for an object", 7, "payload", "Expected object"],
    ["null", null, "payload", "Expected object"],
    ["a missing key", { ...wire, line: { to: { x: 1, y: 1 } } }, "payload.line.from", "Missing key"],
    [
      "a wrong type deep inside",
      { ...wire, line: { from: { x: "secret", y: 1 }, to: {} } },
      "payload.line.from.x",
      "Expected number"
    ],
    ["a number", { ...wire, size: "secret" }, "payload.size", "Expected number"],
    ["a literal", { ...wire, color: "secret" }, "payload.color", "Expected \"red\" | \"blue\""],
    ["a check", { ...wire, text: "secret" }, "payload.text", "Expected a value with a length of at most 5"],
    ["a key of the client's own", { ...wire, tags: { secret: "x" } }, "payload.tags.*", "Expected number"]
  ]
  for (const [name, value, field, detail] of cases) {
    it(`says where and what: ${name}`, () => {
      const error = refused(put.payload.decode(value))
      assert.propertyVal(error, "_tag", "InvalidPayload")
      assert.propertyVal(error, "field", field)
      assert.propertyVal(error, "detail", detail)
    })
  }

  it("counts in arrays", () => {
    const error = refused(
      draw.snapshot!.decode({ value: 1, children: [{ value: 1, children: [] }, { value: "x", children: [] }] })
    )
    assert.propertyVal(error, "field", "snapshot.children[1].value")
  })

  it("never tells what a schema's own messages say about the value", () => {
    class Odd extends Room.make("odd", {
      notices: {
        Message: Schema.String.check(Schema.makeFilter((value) => `bad: ${value}`)),
        Throws: Schema.String.check(Schema.makeFilter((value) => {
          throw new Error(value)
        })),
        Long: Schema.String.check(Schema.makeFilter(() => false, { expected: "😀".repeat(500) }))
      }
    }) {}
    const { notices } = Contract.compileRoom(Odd)
    for (const name of ["Message", "Throws"]) {
      assert.propertyVal(refused(notices.get(name)!.decode("secret")), "detail", "Expected a valid value")
      assert.propertyVal(refused(notices.get(name)!.encode("secret")), "detail", "Expected a valid value")
    }
    const { detail } = refused(notices.get("Long")!.decode("x")) as { readonly detail: string }
    assert.isAtMost(detail.length, 256)
    assert.isTrue(detail.isWellFormed())
  })

  it("stops values that nest too deep for the wire, or without end", () => {
    const nested = (levels: number): Tree => {
      let tree: Tree = { value: 1, children: [] }
      for (let level = 1; level < levels; level++) tree = { value: 1, children: [tree] }
      return tree
    }
    // One tree is two levels: an object and its array.
    assert.isTrue(Result.isSuccess(draw.snapshot!.encode(nested(32))))
    assert.propertyVal(refused(draw.snapshot!.encode(nested(33))), "detail", "Expected at most 64 levels")
    assert.isTrue(Result.isFailure(draw.snapshot!.encode(nested(100_000))))
    const circle: { children: ReadonlyArray<unknown>; value: number } = { value: 1, children: [] }
    circle.children = [circle]
    assert.isTrue(Result.isFailure(draw.snapshot!.encode(circle)))
    assert.isTrue(Result.isFailure(draw.events.get("Any")!.payload.encode(circle)))
    // Presence stands two levels down in its frame, and the tree one level down in it.
    assert.isTrue(Result.isSuccess(draw.presence!.encode({ name: "", tree: nested(30) })))
    assert.isTrue(Result.isFailure(draw.presence!.encode({ name: "", tree: nested(31) })))
  })
})

describe("keys", () => {
  class Numbered extends Topic.make("numbered", { key: Schema.FiniteFromString, payload: { price: Schema.Finite } }) {}
  const { key } = Contract.compileTopic(Numbered)

  it("are strings of 1 to 256 bytes", () => {
    assert.strictEqual(succeeded(draw.key.encode("lobby")), "lobby")
    assert.strictEqual(succeeded(draw.key.decode("é".repeat(128))), "é".repeat(128))
    for (const bad of ["", "é".repeat(129), 5, undefined]) {
      assert.propertyVal(refused(draw.key.encode(bad)), "_tag", "InvalidKey")
      assert.propertyVal(refused(draw.key.decode(bad as never)), "_tag", "InvalidKey")
    }
  })

  it("are encoded by a schema of the contract", () => {
    assert.strictEqual(succeeded(key.encode(5)), "5")
    assert.strictEqual(succeeded(key.decode("5")), 5)
    assert.propertyVal(refused(key.decode("secret")), "detail", "Expected a key of the contract's form")
    assert.propertyVal(refused(key.encode("secret")), "_tag", "InvalidKey")
  })
})

describe("compiling", () => {
  it("happens once for a contract", () => {
    assert.strictEqual(Contract.compileRoom(Draw), draw)
  })

  const cases: ReadonlyArray<readonly [string, string, Room.Definition, string]> = [
    ["an empty name", "", {}, "heddle: room \"\": a name has 1 to 64 bytes"],
    ["a long name", "é".repeat(33), {}, `heddle: room "${"é".repeat(33)}": a name has 1 to 64 bytes`],
    ["a slash in a name", "a/b", {}, "heddle: room \"a/b\": a name has no \"/\""],
    [
      "a message with a long name",
      "r",
      { notices: { [`A${"b".repeat(64)}`]: {} } },
      `heddle: room "r", notice "A${"b".repeat(64)}": a name has 1 to 64 bytes`
    ],
    [
      "Schema.Any",
      "r",
      { requests: { A: { success: { a: Schema.Array(Schema.Any) } } } },
      "heddle: room \"r\", the success of request \"A\": Schema.Any has no JSON form, use Schema.Json"
    ],
    [
      "a declared type without JSON form",
      "r",
      { events: { A: { a: Schema.instanceOf(URL as never) as never } } },
      "heddle: room \"r\", event \"A\": a declared type has no JSON form, annotate it with toCodecJson"
    ]
  ]
  for (const [name, roomName, definition, message] of cases) {
    it(`refuses ${name}`, () => {
      assert.throws(() => Contract.compileRoom(Room.make(roomName, definition as never)), message)
    })
  }
})
