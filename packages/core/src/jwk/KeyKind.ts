/**
 * The kinds of key that can verify a signature, and the algorithms that each of them may be used with
 * (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864, RFC 9964).
 */
import * as Result from "effect/Result"
import type { JwsAlgorithm } from "./Jwk.ts"

const algorithmsByKind = {
  RSA: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  "P-256": ["ES256"],
  "P-384": ["ES384"],
  "P-521": ["ES512"],
  Ed25519: ["EdDSA", "Ed25519"],
  Ed448: ["EdDSA", "Ed448"],
  AKP: ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"],
} as const satisfies Record<string, ReadonlyArray<JwsAlgorithm>>

/** What decides a key's algorithms and numbers: its `kty`, or its `crv` where the type has curves. */
export type KeyKind = keyof typeof algorithmsByKind

/** The kind that `kty` and `crv` name. */
export const keyKind = (
  kty: string,
  crv: unknown,
): Result.Result<KeyKind, "UnsupportedKeyType" | "UnsupportedCurve"> => {
  switch (kty) {
    case "RSA":
    case "AKP":
      return Result.succeed(kty)
    case "EC":
      return crv === "P-256" || crv === "P-384" || crv === "P-521"
        ? Result.succeed(crv)
        : Result.fail("UnsupportedCurve")
    case "OKP":
      return crv === "Ed25519" || crv === "Ed448" ? Result.succeed(crv) : Result.fail("UnsupportedCurve")
    default:
      return Result.fail("UnsupportedKeyType")
  }
}

/** What {@link keyAlgorithms} finds. */
export type KeyAlgorithms = Result.Result<ReadonlyArray<JwsAlgorithm>, "AlgorithmMismatch" | "AlgorithmNotAllowed">

const mismatch: KeyAlgorithms = Result.fail("AlgorithmMismatch")

/**
 * The algorithms that a key may verify: its own `alg`, or all of its kind; of those, the allowed ones.
 *
 * **Details**
 *
 * An Edwards curve has one algorithm under two names: a key that publishes either, or a provider that
 * allows either, has both (RFC 9864 section 2.2). An `AKP` key has to name its algorithm.
 */
export const keyAlgorithms = (kind: KeyKind, alg: unknown, allowed: ReadonlyArray<JwsAlgorithm>): KeyAlgorithms => {
  const ofKind: ReadonlyArray<JwsAlgorithm> = algorithmsByKind[kind]
  const own = ofKind.filter((algorithm) => algorithm === alg)
  if (own.length === 0 && (alg !== undefined || kind === "AKP")) return mismatch
  const synonyms = kind === "Ed25519" || kind === "Ed448"
  const candidates = own.length === 0 || synonyms ? ofKind : own
  const usable = candidates.filter((algorithm) => allowed.includes(algorithm))
  if (usable.length === 0) return Result.fail("AlgorithmNotAllowed")
  return Result.succeed(synonyms ? ofKind : usable)
}

/** {@link keyAlgorithms} for many keys of one provider: what was found once is shared. */
export const keyAlgorithmsOf = (
  allowed: ReadonlyArray<JwsAlgorithm>,
): ((kind: KeyKind, alg: unknown) => KeyAlgorithms) => {
  const found = new Map<KeyKind, Map<unknown, KeyAlgorithms>>()
  return (kind, alg) => {
    const ofKind = found.get(kind) ?? new Map<unknown, KeyAlgorithms>()
    if (ofKind.size === 0) found.set(kind, ofKind)
    const known = ofKind.get(alg)
    if (known !== undefined) return known
    const algorithms = keyAlgorithms(kind, alg, allowed)
    // Not the mismatches: there are as many as there are texts.
    if (algorithms !== mismatch) ofKind.set(alg, algorithms)
    return algorithms
  }
}
