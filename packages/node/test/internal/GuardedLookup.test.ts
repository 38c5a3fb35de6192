import { assert, describe, it } from "@effect/vitest"
import type { LookupAddress } from "node:dns"
import type { LookupFunction } from "node:net"
import { guardedLookup } from "../../src/internal/GuardedLookup.ts"
import { Refusal } from "../../src/internal/Refusal.ts"

/** What a look-up hands to the connection. */
const resolve = (lookup: LookupFunction, options: { readonly all: boolean; readonly isExempt?: boolean }) => {
  let result: unknown
  guardedLookup(lookup, options.isExempt ?? false)("idp.test", { all: options.all }, (error, address, family) => {
    result = error ?? (typeof address === "string" ? [address, family] : address)
  })
  return result
}

const answering =
  (...addresses: ReadonlyArray<LookupAddress>): LookupFunction =>
  (_hostname, _options, callback) =>
    callback(null, [...addresses])

const open: LookupAddress = { address: "192.0.43.8", family: 4 }
const open6: LookupAddress = { address: "2620:0:2d0:200::8", family: 6 }
const closed: LookupAddress = { address: "127.0.0.1", family: 4 }

describe("guardedLookup", () => {
  it("leaves out the addresses that may not be reached, and keeps the order of the others", () => {
    const lookup = answering(closed, open6, { address: "::1", family: 6 }, open)
    assert.deepStrictEqual(resolve(lookup, { all: true }), [open6, open])
    assert.deepStrictEqual(resolve(lookup, { all: false }), [open6.address, 6])
  })

  it("fails when none is left", () => {
    const error = resolve(answering(closed), { all: true })
    assert.instanceOf(error, Refusal)
    if (error instanceof Refusal) {
      assert.deepStrictEqual(error.found, {
        _tag: "Address",
        host: "idp.test",
        rule: "it resolves to a loopback address (127.0.0.0/8)",
      })
    }
  })

  it("tells a name without addresses from one whose addresses are refused", () => {
    assert.deepInclude(resolve(answering(), { all: true }), { code: "ENOTFOUND" })
  })

  it("leaves out nothing for an exempt host", () => {
    assert.deepStrictEqual(resolve(answering(closed, open), { all: true, isExempt: true }), [closed, open])
  })

  it("passes the resolver's failure on", () => {
    const failure = Object.assign(new Error("try again"), { code: "EAI_AGAIN" })
    assert.strictEqual(
      resolve((_hostname, _options, callback) => callback(failure, []), { all: true }),
      failure,
    )
  })
})
