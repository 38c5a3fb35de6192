/**
 * Name resolution that hands out only addresses which may be reached. It runs for every connection, on
 * the very answer that is then connected to, so a name that resolves to something else on the second
 * look-up gains nothing.
 */
import { addressRuleOf } from "@effect-jwks/core"
import type { LookupAddress } from "node:dns"
import { isIPv6, type LookupFunction } from "node:net"
import { Refusal } from "./Refusal.ts"

/** `lookup` without the addresses that the address rules refuse, unless the host is exempt; fails when none is left. */
export const guardedLookup =
  (lookup: LookupFunction, isExempt: boolean): LookupFunction =>
  (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found, family) => {
      if (error) return callback(error, [])
      const all = addressesOf(found, family)
      const allowed = isExempt ? all : all.filter(({ address }) => addressRuleOf(address) === undefined)
      const [first] = allowed
      if (first === undefined) return callback(refuse(hostname, all), [])
      return options.all === true ? callback(null, allowed) : callback(null, first.address, first.family)
    })
  }

/** A resolver may overlook `all`. */
const addressesOf = (found: string | Array<LookupAddress>, family: number | undefined): Array<LookupAddress> =>
  typeof found === "string" ? [{ address: found, family: family ?? (isIPv6(found) ? 6 : 4) }] : found

const refuse = (host: string, [first]: ReadonlyArray<LookupAddress>): Error =>
  first === undefined
    ? Object.assign(new Error("the name has no address"), { code: "ENOTFOUND" })
    : new Refusal({ _tag: "Address", host, rule: `it resolves to ${described(first.address)}` })

/** An address that is refused, by what it is: which one it is says more about the network than callers need. */
export const described = (address: string): string => {
  const rule = addressRuleOf(address) ?? "public address"
  return rule.startsWith("no ") ? rule : `${/^(?:IPv|unspecified)/.test(rule) ? "an" : "a"} ${rule}`
}
