/**
 * Whether a list of algorithms has a token's: by the names alone, and for the key that is to check it. Pure.
 */
import type { Jwk, JwsAlgorithm } from "@effect-jwks/core"

/** An Edwards curve has one algorithm under two names: a provider that may use either has both (RFC 9864 section 2.2). */
export const allows = (algorithms: ReadonlyArray<JwsAlgorithm>, alg: JwsAlgorithm): boolean =>
  algorithms.includes(alg) ||
  (alg === "EdDSA" && (algorithms.includes("Ed25519") || algorithms.includes("Ed448"))) ||
  ((alg === "Ed25519" || alg === "Ed448") && algorithms.includes("EdDSA"))

/** As `allows`, for a key: `EdDSA` is another algorithm on each curve. */
export const allowsOn = (algorithms: ReadonlyArray<JwsAlgorithm>, alg: JwsAlgorithm, { crv }: Jwk): boolean =>
  alg !== "EdDSA" || algorithms.includes(alg) || algorithms.some((algorithm) => algorithm === crv)
