/**
 * Who a request comes from, with and without proxies in front.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Forwarded from "../../src/engine/Forwarded.ts"
import type { UpgradeRequest } from "../../src/engine/Transport.ts"

const request = (headers: Record<string, string>, rest?: Partial<UpgradeRequest>): UpgradeRequest => ({
  method: "GET",
  url: "/live",
  headers: { host: "inner:3000", ...headers },
  protocols: [],
  address: "10.0.0.1",
  secure: false,
  ...rest
})

const seen = (hops: number, headers: Record<string, string>, rest?: Partial<UpgradeRequest>) => {
  const { address, headers: { host }, secure } = Forwarded.upgrade(request(headers, rest), hops)
  return { address, secure, host }
}

const address = (hops: number, forwardedFor: string) => seen(hops, { "x-forwarded-for": forwardedFor }).address

describe("a forwarded request", () => {
  it("is its peer's where no proxy is trusted, whatever it says", () => {
    const lies = { "x-forwarded-for": "6.6.6.6", "x-forwarded-proto": "https", "x-forwarded-host": "evil.example" }
    assert.deepStrictEqual(seen(0, lies), { address: "10.0.0.1", secure: false, host: "inner:3000" })
  })

  it("has the address that the outermost trusted proxy wrote: the one so many places from the right", () => {
    assert.strictEqual(address(1, "1.1.1.1"), "1.1.1.1")
    assert.strictEqual(address(1, "6.6.6.6, 1.1.1.1"), "1.1.1.1")
    assert.strictEqual(address(2, "6.6.6.6, 1.1.1.1, 10.0.0.2"), "1.1.1.1")
    assert.strictEqual(address(3, "1.1.1.1,10.0.0.3,10.0.0.2"), "1.1.1.1")
  })

  it("has the first address where there are fewer than trusted proxies, and the peer's where there is none", () => {
    assert.strictEqual(address(3, "1.1.1.1, 10.0.0.2"), "1.1.1.1")
    assert.strictEqual(seen(1, {}).address, "10.0.0.1")
    assert.strictEqual(address(1, ""), "10.0.0.1")
    assert.strictEqual(address(1, "1.1.1.1, "), "10.0.0.1")
  })

  it("cannot be given another address by its client, however many it sends", () => {
    for (let lies = 0; lies < 20; lies++) {
      const sent = [...Array.from({ length: lies }, (_, index) => `6.6.6.${index}`), "1.1.1.1"].join(", ")
      assert.strictEqual(address(1, sent), "1.1.1.1")
    }
  })

  it("has a bare address, without the port or the brackets that some proxies write", () => {
    assert.deepStrictEqual(
      ["1.1.1.1:4711", "[2001:db8::1]:4711", "[2001:db8::1]", "2001:db8::1"].map((it) => address(1, it)),
      [
        "1.1.1.1",
        "2001:db8::1",
        "2001:db8::1",
        "2001:db8::1"
      ]
    )
  })

  it("is secure if it was so at the proxy", () => {
    assert.isTrue(seen(1, { "x-forwarded-proto": "https" }).secure)
    assert.isTrue(seen(1, { "x-forwarded-proto": "WSS" }).secure)
    assert.isFalse(seen(1, { "x-forwarded-proto": "http" }, { secure: true }).secure)
    assert.isFalse(seen(1, { "x-forwarded-proto": "https, http" }).secure)
    assert.isTrue(seen(1, {}, { secure: true }).secure)
  })

  it("has the host that the proxy was asked for", () => {
    assert.strictEqual(seen(1, { "x-forwarded-host": "example.org" }).host, "example.org")
    assert.strictEqual(seen(1, { "x-forwarded-host": "evil.example, example.org" }).host, "example.org")
    assert.strictEqual(seen(1, {}).host, "inner:3000")
  })

  it("keeps its other headers, and has no others", () => {
    const { headers } = Forwarded.upgrade(request({ cookie: "a=1" }), 1)
    assert.strictEqual(headers["cookie"], "a=1")
    assert.isUndefined(headers["constructor"])
  })
})
