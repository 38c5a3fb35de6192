/**
 * The signature itself: jose over Web Crypto, with keys that are imported once.
 */
import type { Jwk, JwsAlgorithm } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import type { CryptoKey } from "jose"
import { JWSInvalid, JWSSignatureVerificationFailed } from "jose/errors"
import { compactVerify } from "jose/jws/compact/verify"
import { importJWK } from "jose/key/import"

/**
 * What a key says of a token. `Malformed`: its signature is not base64url. `Unusable`: this runtime or jose can not use the key
 * with the token's algorithm.
 */
export type Said = "Right" | "Wrong" | "Malformed" | "Unusable"

const saidBy = (error: unknown): Said => {
  if (error instanceof JWSSignatureVerificationFailed) return "Wrong"
  return error instanceof JWSInvalid ? "Malformed" : "Unusable"
}

type Imported = CryptoKey | Promise<CryptoKey>

/**
 * Keys as the runtime uses them, by the frozen key of the set: they leave with it. By algorithm, since a runtime binds
 * the hash to the key.
 */
const imported = new WeakMap<Jwk, Map<JwsAlgorithm, Imported>>()

/** The key for an algorithm that it fits; at once where it has been imported before. */
export const keyOf = (jwk: Jwk, alg: JwsAlgorithm): Imported => {
  const known = imported.get(jwk)
  const key = known?.get(alg)
  if (key !== undefined) return key
  const byAlg = known ?? new Map<JwsAlgorithm, Imported>()
  if (known === undefined) imported.set(jwk, byAlg)
  // Those who come meanwhile wait for the same import; one that fails is tried again by the next.
  const importing = importKey(jwk, alg).then(
    (key) => {
      byAlg.set(alg, key)
      return key
    },
    (error: unknown) => {
      byAlg.delete(alg)
      throw error
    },
  )
  byAlg.set(alg, importing)
  return importing
}

const importKey = async (jwk: Jwk, alg: JwsAlgorithm): Promise<CryptoKey> => {
  // The numbers alone: the rest was judged by the registry, and a curve's one algorithm has two names (RFC 9864 section 2.2).
  const { crv, e, kty, n, pub, x, y } = jwk
  const numbers = { crv, e, n, pub, x, y }
  const given = Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined))
  const key = await importJWK({ kty, alg, ...given }, alg)
  // Bytes are a secret, and no key of ours is one.
  if (key instanceof Uint8Array) throw new TypeError("a secret is no public key")
  return key
}

/** Goes on with whether the key made the token's signature. */
export const check = <A, E>(
  token: string,
  jwk: Jwk,
  alg: JwsAlgorithm,
  next: (said: Said) => Effect.Effect<A, E>,
): Effect.Effect<A, E> => {
  const key = keyOf(jwk, alg)
  return Effect.callback((resume) => {
    const verified = key instanceof Promise ? key.then((key) => compactVerify(token, key)) : compactVerify(token, key)
    verified.then(
      () => resume(next("Right")),
      (error: unknown) => resume(next(saidBy(error))),
    )
  })
}
