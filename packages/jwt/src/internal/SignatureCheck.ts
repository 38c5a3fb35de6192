/**
 * The signature itself: Web Crypto's word on it, with keys that jose has imported once.
 *
 * **Details**
 *
 * By the time that a key is known the token has been taken apart and judged. jose's own verification would do that once more, and
 * costs a seventh more than this: RFC 7515 section 5.2 leaves one step, and the tests ask jose about it for every algorithm.
 */
import type { Jwk, JwsAlgorithm } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import type { CryptoKey } from "jose"
import { decode } from "jose/base64url"
import { importJWK } from "jose/key/import"
import { bytesIn } from "./Base64url.ts"
import type { SignedText } from "./CompactJws.ts"

/**
 * What a key says of a token. `Malformed`: its signature is not base64url. `Unusable`: this runtime or jose can not use the key
 * with the token's algorithm.
 */
export type Said = "Right" | "Wrong" | "Malformed" | "Unusable"

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

/** Counted here, since some runtimes round `modulusLength` up to whole bytes. */
const isTooShort = (modulus: string): boolean => {
  const bytes = bytesIn(modulus)
  return bytes.length < 256 || (bytes.length === 256 && bytes.charCodeAt(0) < 0x80)
}

const importKey = async (jwk: Jwk, alg: JwsAlgorithm): Promise<CryptoKey> => {
  const { crv, e, kty, n, pub, x, y } = jwk
  // A registry may let shorter ones pass; a signature may not be made with them (RFC 7518 sections 3.3 and 3.5).
  if (n !== undefined && isTooShort(n)) throw new RangeError("an RSA key is too short")
  // The numbers alone: the rest was judged by the registry, and a curve's one algorithm has two names (RFC 9864 section 2.2).
  const numbers = { crv, e, n, pub, x, y }
  const given = Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined))
  const key = await importJWK({ kty, alg, ...given }, alg)
  // Bytes are a secret, and no key of ours is one.
  if (key instanceof Uint8Array) throw new TypeError("a secret is no public key")
  return key
}

/**
 * What Web Crypto has to know besides the key, which is bound to its curve or, for RSA, to the hash (RFC 7518 section 3.1,
 * RFC 8037 section 3.1, RFC 9964). `EdDSA` is Ed25519 here, since jose imports no other key for it.
 */
const parameters: Readonly<Record<JwsAlgorithm, Parameters<typeof crypto.subtle.verify>[0]>> = {
  RS256: { name: "RSASSA-PKCS1-v1_5" },
  RS384: { name: "RSASSA-PKCS1-v1_5" },
  RS512: { name: "RSASSA-PKCS1-v1_5" },
  // The salt is as long as the hash (section 3.5).
  PS256: { name: "RSA-PSS", saltLength: 32 },
  PS384: { name: "RSA-PSS", saltLength: 48 },
  PS512: { name: "RSA-PSS", saltLength: 64 },
  ES256: { name: "ECDSA", hash: "SHA-256" },
  ES384: { name: "ECDSA", hash: "SHA-384" },
  ES512: { name: "ECDSA", hash: "SHA-512" },
  EdDSA: { name: "Ed25519" },
  Ed25519: { name: "Ed25519" },
  Ed448: { name: "Ed448" },
  "ML-DSA-44": { name: "ML-DSA-44" },
  "ML-DSA-65": { name: "ML-DSA-65" },
  "ML-DSA-87": { name: "ML-DSA-87" },
}

const encoder = new TextEncoder()

/** Memory that no other thread can change: what a decoder returns, though its type does not say so. */
const isOurs = (bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> => bytes.buffer instanceof ArrayBuffer

const signatureIn = (text: string): Uint8Array<ArrayBuffer> | undefined => {
  try {
    const bytes = decode(text)
    return isOurs(bytes) ? bytes : undefined
  } catch {
    return undefined
  }
}

/**
 * Whether a signature is as long as the modulus, as RSASSA-PSS wants it (RFC 8017 section 8.1.2): OpenSSL takes one without its
 * leading zero too, which would be another spelling of the token.
 */
const isWhole = (signature: Uint8Array, { algorithm }: CryptoKey, alg: JwsAlgorithm): boolean =>
  !alg.startsWith("PS") ||
  !("modulusLength" in algorithm) ||
  typeof algorithm.modulusLength !== "number" ||
  signature.length === Math.ceil(algorithm.modulusLength / 8)

/** Never rejected. What the runtime throws at is no signature that such a key can make. */
const ask = async (
  key: Imported,
  alg: JwsAlgorithm,
  signature: Uint8Array<ArrayBuffer>,
  input: string,
): Promise<Said> => {
  let usable: CryptoKey
  try {
    usable = key instanceof Promise ? await key : key
  } catch {
    return "Unusable"
  }
  try {
    if (!isWhole(signature, usable, alg)) return "Wrong"
    return (await crypto.subtle.verify(parameters[alg], usable, signature, encoder.encode(input))) ? "Right" : "Wrong"
  } catch {
    return "Wrong"
  }
}

/** Goes on with whether the key made the signature. */
export const check = <A, E>(
  { input, signature }: SignedText,
  jwk: Jwk,
  alg: JwsAlgorithm,
  next: (said: Said) => Effect.Effect<A, E>,
): Effect.Effect<A, E> => {
  const bytes = signatureIn(signature)
  if (bytes === undefined) return next("Malformed")
  return Effect.callback((resume) => {
    // The import begins here, where somebody waits for it: a fiber may be interrupted before it comes by.
    const key = keyOf(jwk, alg)
    // What comes next is the fiber's, with what it may throw.
    // oxlint-disable-next-line typescript/no-floating-promises -- it is never rejected
    void ask(key, alg, bytes, input).then((said) => resume(Effect.suspend(() => next(said))))
  })
}
