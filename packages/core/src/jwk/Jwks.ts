/**
 * A parsed key set (RFC 7517 section 5): the keys that may verify signatures, an index by `kid`, and
 * what was dropped and why.
 */
import * as Schema from "effect/Schema"
import type { Jwk, JwsAlgorithm } from "./Jwk.ts"

/** Why a key of the document can never be an answer. */
export const DropReason = Schema.Literals([
  /** The entry is no JSON object, or `kty` is missing or no string. */
  "Malformed",
  /** `kty` names a type that is not supported. */
  "UnsupportedKeyType",
  /** `crv` names a curve that is not supported. */
  "UnsupportedCurve",
  /** `oct`: a shared secret has no place in a public set. */
  "SymmetricKey",
  /** A private member (`d`, `p`, `priv`, ...) was published. */
  "PrivateKey",
  /** `kid` is no string, or longer than 1 KiB. */
  "InvalidKid",
  /** A number or coordinate is no base64url text even after canonicalising. */
  "InvalidEncoding",
  /** RSA modulus shorter than `minRsaBits`. */
  "RsaModulusTooSmall",
  /** RSA modulus longer than 8192 bits. */
  "RsaModulusTooLarge",
  /** RSA modulus that is even. */
  "RsaModulusEven",
  /** RSA exponent that is even, below 3 or longer than 32 bits. */
  "RsaExponentInvalid",
  /** RSA with more than two primes (`oth`). */
  "RsaMultiPrime",
  /** A coordinate of the wrong length, a point that is not on the curve, or one of small order. */
  "InvalidPoint",
  /** An `AKP` public key of the wrong length for its algorithm. */
  "InvalidPublicKey",
  /** `alg` is no signature algorithm of this key's `kty` and `crv`. */
  "AlgorithmMismatch",
  /** No algorithm of this key is among the provider's `algorithms`. */
  "AlgorithmNotAllowed",
  /** `use` is not `sig`, or `key_ops` lacks `verify`. */
  "NotForSignatures",
])

/** Why a key of the document can never be an answer. */
export type DropReason = typeof DropReason.Type

/** A key that may verify signatures. */
export interface UsableKey {
  /** The key's own `kid`; absent where the provider gives none. */
  readonly kid: string | undefined
  /** The frozen key. */
  readonly jwk: Jwk
  /** RFC 7638 SHA-256 thumbprint, base64url. */
  readonly thumbprint: string
  /** The algorithms that this key may verify for this provider; never empty. */
  readonly algorithms: ReadonlyArray<JwsAlgorithm>
}

/** A key of the document that can never be an answer. */
export interface DroppedKey {
  /** Its `kid`, where it has a usable one. */
  readonly kid?: string
  /** Why it was dropped. */
  readonly reason: DropReason
}

/** A key set that was judged by the key policy. */
export interface ParsedJwks {
  /** Usable keys in document order; the same key twice is one entry. */
  readonly keys: ReadonlyArray<UsableKey>
  /** The same keys by `kid`; keys without one under `undefined`. */
  readonly byKid: ReadonlyMap<string | undefined, ReadonlyArray<UsableKey>>
  /** Dropped keys in document order. */
  readonly dropped: ReadonlyArray<DroppedKey>
  /** Where each of them is in `source`. */
  readonly droppedAt: ReadonlyArray<number>
  /** The entries of the document's `keys` as published, for judging them again under another policy. */
  readonly source: ReadonlyArray<unknown>
}

/** Whether the signature check with this key has failed already. */
export const isUnwanted = (
  { notThumbprint }: { readonly notThumbprint?: string | ReadonlyArray<string> | undefined },
  thumbprint: string,
): boolean => (typeof notThumbprint === "object" ? notThumbprint.includes(thumbprint) : notThumbprint === thumbprint)
