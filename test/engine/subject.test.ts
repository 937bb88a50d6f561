import { assert, describe, it } from "@effect/vitest"
import { type Context, Effect, Layer } from "effect"
import * as Identity from "../../src/contract/Identity.ts"
import { subjectOf } from "../../src/engine/Authentication.ts"

class User extends Identity.Service<User, unknown>()("test/User") {}
class Tenant extends Identity.Service<Tenant, { readonly name: string }>()("test/Tenant") {}

const userLive = Identity.layer(User, () => Effect.succeed(null))
const tenantLive = Identity.layer(Tenant, () => Effect.succeed({ name: "x" }), { subject: ({ name }) => name })

type Values = ReadonlyArray<readonly [Context.Key<any, any>, unknown]>

/** The subject of whoever has these identities. */
const subject = (live: Layer.Layer<any>, values: Values) =>
  Effect.scoped(Effect.map(Layer.build(live), (context) =>
    subjectOf(
      Identity.authenticatorsIn(context as Context.Context<never>),
      new Map(values.map(([{ key }, value]) => [key, value]))
    )))

const user = (value: unknown) => subject(userLive, [[User, value]])

describe("the subject of an identity", () => {
  it.effect("is its id, else its sub, if that is a string", () =>
    Effect.gen(function*() {
      const id = yield* user({ id: "1" })
      assert.isString(id)
      assert.strictEqual(yield* user({ sub: "1" }), id)
      assert.strictEqual(yield* user({ id: "1", sub: "2" }), id)
      assert.strictEqual(yield* user({ id: 7, sub: "1" }), id)
      assert.notStrictEqual(yield* user({ id: "2" }), id)
    }))

  it.effect("is none where there is nothing of the kind, or it is empty", () =>
    Effect.gen(function*() {
      for (const value of [{}, { id: 7 }, { sub: null }, { id: "" }, "ada", 7, null, undefined]) {
        assert.isUndefined(yield* user(value), JSON.stringify(value))
      }
      assert.isUndefined(yield* subject(userLive, []))
    }))

  it.effect("is what the authenticator's option says, instead of its id", () =>
    Effect.gen(function*() {
      const live = Identity.layer(User, () => Effect.succeed(null), {
        subject: (value) => (value as { readonly email?: string }).email
      })
      const of = (value: unknown) => subject(live, [[User, value]])
      assert.strictEqual(yield* of({ id: "1", email: "a@b" }), yield* of({ id: "2", email: "a@b" }))
      assert.notStrictEqual(yield* of({ id: "1", email: "a@b" }), yield* of({ id: "1", email: "c@b" }))
      assert.isUndefined(yield* of({ id: "1" }))
    }))
})

describe("the subject of a connection", () => {
  const both = Layer.mergeAll(userLive, tenantLive)
  const of = (id: string, name: string) => subject(both, [[User, { id }], [Tenant, { name }]])

  it.effect("is made of those of all its identities, in whichever order they come", () =>
    Effect.gen(function*() {
      const one = yield* of("ada", "acme")
      assert.strictEqual(yield* subject(both, [[Tenant, { name: "acme" }], [User, { id: "ada" }]]), one)
      const others = [
        yield* of("bob", "acme"),
        yield* of("ada", "corp"),
        yield* of("acme", "ada"),
        yield* of("ada", "")
      ]
      assert.strictEqual(new Set([one, ...others]).size, 5)
    }))

  it.effect("says which identity each belongs to, and cannot be made up within a value", () =>
    Effect.gen(function*() {
      const one = yield* of("ada", "acme")
      assert.notStrictEqual(yield* of("ada", ""), yield* of("", "ada"))
      assert.notStrictEqual(yield* of(one!, ""), one)
      assert.notStrictEqual(yield* of("ada\"],[\"test/Tenant\",\"acme", ""), one)
    }))

  it.effect("leaves out identities that say nothing", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* of("", "acme"), yield* subject(both, [[Tenant, { name: "acme" }]]))
      assert.isUndefined(yield* of("", ""))
    }))
})
