import { assert, describe, it } from "@effect/vitest"
import * as Mailbox from "../../src/actor/Mailbox.ts"

describe("a mailbox", () => {
  it("hands messages out in order, control before data", () => {
    const mailbox = Mailbox.make<number, string>(3)
    for (const message of [1, 2]) mailbox.offer(message)
    mailbox.control("a")
    mailbox.offer(3)
    mailbox.control("b")
    assert.deepStrictEqual(mailbox.clear(), ["a", "b", 1, 2, 3])
    assert.strictEqual(mailbox.take(), Mailbox.Empty)
  })

  it("refuses data beyond its capacity, and never control", () => {
    const mailbox = Mailbox.make<number, string>(1)
    assert.deepStrictEqual([mailbox.offer(1), mailbox.offer(2)], [true, false])
    mailbox.control("a")
    assert.deepStrictEqual([mailbox.size, mailbox.controlNext, mailbox.capacity], [2, true, 1])
    mailbox.take()
    assert.isFalse(mailbox.offer(2))
    mailbox.take()
    assert.isTrue(mailbox.offer(2))
  })

  it("holds undefined like any other message", () => {
    const mailbox = Mailbox.make<undefined>(2)
    mailbox.offer(undefined)
    assert.strictEqual(mailbox.take(), undefined)
    assert.strictEqual(mailbox.take(), Mailbox.Empty)
  })

  it("lets go of its memory when it is empty", () => {
    const mailbox = Mailbox.make<number, number>(1_000)
    const inside = mailbox as unknown as { ring: unknown; controls: unknown }
    for (let i = 0; i < 1_000; i++) {
      mailbox.offer(i)
      mailbox.control(i)
    }
    assert.isDefined(inside.ring)
    assert.strictEqual(mailbox.clear().length, 2_000)
    assert.deepStrictEqual([inside.ring, inside.controls], [undefined, undefined])
  })
})
