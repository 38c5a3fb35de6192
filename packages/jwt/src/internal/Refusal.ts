/**
 * Refusals that the verifier and the bridge have in common. Pure.
 */
import type { JwsAlgorithm, NotRegistered } from "@effect-jwks/core"
import { JwtInvalid, type JwtInvalidReason } from "../JwtError.ts"

/** A token that is refused; `provider` where it is known whose it is. */
export const refusal = (tenant: string, provider: string | undefined, reason: JwtInvalidReason): JwtInvalid =>
  new JwtInvalid({ tenant, ...(provider === undefined ? {} : { provider }), reason })

/** A token that is no provider's, or whose provider is not registered. */
export const unbound = (tenant: string, failure: JwtInvalidReason | NotRegistered): JwtInvalid | NotRegistered =>
  failure._tag === "NotRegistered" ? failure : refusal(tenant, undefined, failure)

export const kidIsNoText: JwtInvalidReason = { _tag: "Malformed", rule: "its kid is no text (RFC 7515 section 4.1.4)" }

/** Why neither `HS256` nor an unknown name will do. */
export const asymmetricOnly = "only asymmetric signatures are accepted (RFC 8725 section 3.1)"

/** The registration says which ones the provider uses. */
export const notTheProviders = (alg: JwsAlgorithm): JwtInvalidReason => ({
  _tag: "Algorithm",
  alg,
  rule: "the provider does not use it",
})

/** The provider's key is of no use here. */
export const unusable = (alg: JwsAlgorithm): JwtInvalidReason => ({
  _tag: "Algorithm",
  alg,
  rule: "this runtime can not use the provider's key with it",
})
