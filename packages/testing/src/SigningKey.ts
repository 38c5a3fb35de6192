/**
 * Key pairs that a provider signs with: generated through Web Crypto, and JWTs signed by them.
 *
 * RSA pairs take tens of milliseconds each. They come from a pool of this process: a pair belongs to
 * one scope at a time, and goes back when that scope closes, so a suite pays only for as many as it
 * uses at once.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { calculateJwkThumbprint, importJWK, SignJWT } from "jose"
import type { JWK, JWTPayload } from "jose"

/** Signature algorithms that keys can be generated for (RFC 7518 section 3.1, RFC 8037, RFC 9864). */
export type SigningAlgorithm =
  | "RS256"
  | "RS384"
  | "RS512"
  | "PS256"
  | "PS384"
  | "PS512"
  | "ES256"
  | "ES384"
  | "ES512"
  | "EdDSA"
  | "Ed25519"

/** A key pair under the name that a provider gave it. */
export interface SigningKey {
  readonly kid: string
  readonly alg: SigningAlgorithm
  /** RFC 7638 SHA-256 thumbprint, base64url. */
  readonly thumbprint: string
  /** The key as it is published, with `kid`, `alg`, `use` and the members that were asked for. */
  readonly publicJwk: JWK
  /** The private key, for signing what {@link sign} does not. */
  readonly privateJwk: JWK
}

/** What a generated key should be like. */
export interface SigningKeyOptions {
  /** Default: the algorithm of the provider's options, `ES256` if they name none. */
  readonly alg?: SigningAlgorithm
  /** Default: the key's RFC 7638 thumbprint. */
  readonly kid?: string
  /** RSA modulus length. Default: 2048. Shorter keys can be published, but do not sign. */
  readonly rsaBits?: number
  /** JWK members to add or to change; `undefined` leaves one out, as in `{ alg: undefined }`. */
  readonly members?: Readonly<Record<string, unknown>>
}

/** A key pair without a name yet: what can be generated ahead. */
export interface KeyPair {
  readonly publicJwk: JWK
  readonly privateJwk: JWK
  readonly thumbprint: string
}

const curves = { ES256: "P-256", ES384: "P-384", ES512: "P-521" } as const

const generateWebKeys = (alg: SigningAlgorithm, rsaBits: number): Promise<CryptoKeyPair> => {
  switch (alg) {
    case "EdDSA":
    case "Ed25519":
      return crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])
    case "ES256":
    case "ES384":
    case "ES512":
      return crypto.subtle.generateKey({ name: "ECDSA", namedCurve: curves[alg] }, true, ["sign", "verify"])
    default:
      // The exported JWK is the same for every RSA algorithm, so one pool serves them all.
      return crypto.subtle.generateKey(
        { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: rsaBits, publicExponent: Uint8Array.of(1, 0, 1) },
        true,
        ["sign", "verify"],
      )
  }
}

// What Web Crypto adds on export says how the pair was generated, not how a provider uses it.
const exportBare = async (key: CryptoKey): Promise<JWK> => {
  const { alg: _alg, ext: _ext, key_ops: _ops, ...jwk } = await crypto.subtle.exportKey("jwk", key)
  return Object.freeze(jwk)
}

const generate = (alg: SigningAlgorithm, rsaBits: number): Effect.Effect<KeyPair> =>
  Effect.promise(async () => {
    const pair = await generateWebKeys(alg, rsaBits)
    const [publicJwk, privateJwk] = await Promise.all([exportBare(pair.publicKey), exportBare(pair.privateKey)])
    return { publicJwk, privateJwk, thumbprint: await calculateJwkThumbprint(publicJwk) }
  })

const idleRsaPairs = new Map<number, Array<KeyPair>>()

const idleRsaPairsOf = (rsaBits: number): Array<KeyPair> => {
  const idle = idleRsaPairs.get(rsaBits) ?? []
  idleRsaPairs.set(rsaBits, idle)
  return idle
}

/** A fresh key pair, or an RSA pair that no open scope uses. */
export const acquire = (alg: SigningAlgorithm, rsaBits = 2048): Effect.Effect<KeyPair, never, Scope.Scope> => {
  if (!alg.startsWith("RS") && !alg.startsWith("PS")) return generate(alg, rsaBits)
  const idle = idleRsaPairsOf(rsaBits)
  return Effect.acquireRelease(
    Effect.suspend(() => {
      const pair = idle.pop()
      return pair === undefined ? generate(alg, rsaBits) : Effect.succeed(pair)
    }),
    (pair) => Effect.sync(() => idle.push(pair)),
  )
}

/** Gives a key pair its name and the members it is published with. */
export const name = (pair: KeyPair, alg: SigningAlgorithm, options: SigningKeyOptions = {}): SigningKey => {
  const kid = options.kid ?? pair.thumbprint
  const members = Object.entries({ ...pair.publicJwk, use: "sig", alg, kid, ...options.members })
  return {
    kid,
    alg,
    thumbprint: pair.thumbprint,
    publicJwk: Object.freeze(Object.fromEntries(members.filter(([, value]) => value !== undefined))),
    privateJwk: pair.privateJwk,
  }
}

/** How a JWT is signed. */
export interface SignOptions {
  /** Another algorithm of the same key, such as `PS256` for an RSA key. */
  readonly alg?: SigningAlgorithm
  /** Header parameters to add or to change; `undefined` leaves one out, as in `{ kid: undefined }`. */
  readonly header?: Readonly<Record<string, unknown>>
}

/**
 * Signs claims with a key: a JWT in compact serialization.
 *
 * **Gotchas**
 *
 * The claims are signed as they are: nothing adds `iss`, `iat` or `exp`. Dies when the algorithm does
 * not fit the key.
 */
export const sign = (key: SigningKey, claims: JWTPayload, options: SignOptions = {}): Effect.Effect<string> =>
  Effect.promise(async () => {
    const alg = options.alg ?? key.alg
    const header = Object.entries({ typ: "JWT", kid: key.kid, ...options.header })
    return new SignJWT(claims)
      .setProtectedHeader({ alg, ...Object.fromEntries(header.filter(([, value]) => value !== undefined)) })
      .sign(await importJWK(key.privateJwk, alg))
  })
