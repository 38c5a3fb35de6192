/**
 * Keys and tokens as an attacker, or a sloppy provider, would make them: any header and any claims, as objects or as
 * text, signed for real.
 */
import * as Effect from "effect/Effect"
import type { JwsAlgorithm } from "@effect-jwks/core"
import type { JWK } from "jose"

const encoder = new TextEncoder()

/** Base64url without padding. */
export const base64url = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString("base64url")

/** A part of a token: text and bytes as they are, anything else as JSON. */
export type Part = string | Uint8Array | Readonly<Record<string, unknown>> | ReadonlyArray<unknown> | number | null

/** The encoded part. */
export const encodePart = (part: Part): string =>
  base64url(typeof part === "string" || part instanceof Uint8Array ? part : JSON.stringify(part))

interface Scheme {
  readonly key: AlgorithmIdentifier | RsaHashedImportParams | EcKeyImportParams
  readonly sign: AlgorithmIdentifier | RsaPssParams | EcdsaParams
}

const rsa = (name: string, bits: number): Scheme => ({
  key: { name, hash: `SHA-${bits}` },
  sign: name === "RSA-PSS" ? { name, saltLength: bits / 8 } : { name },
})

const ecdsa = (namedCurve: string, bits: number): Scheme => ({
  key: { name: "ECDSA", namedCurve },
  sign: { name: "ECDSA", hash: `SHA-${bits}` },
})

const plain = (name: string): Scheme => ({ key: { name }, sign: { name } })

const schemes: Readonly<Record<Exclude<JwsAlgorithm, "EdDSA">, Scheme>> = {
  RS256: rsa("RSASSA-PKCS1-v1_5", 256),
  RS384: rsa("RSASSA-PKCS1-v1_5", 384),
  RS512: rsa("RSASSA-PKCS1-v1_5", 512),
  PS256: rsa("RSA-PSS", 256),
  PS384: rsa("RSA-PSS", 384),
  PS512: rsa("RSA-PSS", 512),
  ES256: ecdsa("P-256", 256),
  ES384: ecdsa("P-384", 384),
  ES512: ecdsa("P-521", 512),
  Ed25519: plain("Ed25519"),
  Ed448: plain("Ed448"),
  "ML-DSA-44": plain("ML-DSA-44"),
  "ML-DSA-65": plain("ML-DSA-65"),
  "ML-DSA-87": plain("ML-DSA-87"),
}

/** What can be signed with: a private key, and the scheme that it is used in, whatever the token says. */
export interface Signer {
  readonly scheme: keyof typeof schemes
  readonly privateJwk: JWK
}

/** A signature, base64url. */
export const sign = ({ privateJwk, scheme }: Signer, input: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    const { key, sign } = schemes[scheme]
    const { alg: _alg, key_ops: _ops, use: _use, ...numbers } = privateJwk
    const jwk = privateJwk.kty === "AKP" ? { ...numbers, alg: scheme } : numbers
    const imported = await crypto.subtle.importKey("jwk", jwk, key, false, ["sign"])
    return base64url(new Uint8Array(await crypto.subtle.sign(sign, imported, encoder.encode(input))))
  })

/** A token of parts that are encoded already. */
export const signParts = (signer: Signer, header: string, payload: string): Effect.Effect<string> =>
  Effect.map(sign(signer, `${header}.${payload}`), (signature) => `${header}.${payload}.${signature}`)

/** A token with any header and any claims. */
export const forge = (signer: Signer, header: Part, payload: Part): Effect.Effect<string> =>
  signParts(signer, encodePart(header), encodePart(payload))

/** A token with an HMAC over it, the key of which is any text: the oldest confusion of all. */
export const forgeHmac = (alg: "HS256" | "HS384" | "HS512", secret: string, header: Part, payload: Part) =>
  Effect.promise(async () => {
    const key = await crypto.subtle.importKey(
      "raw",
      encoder.encode(secret),
      { name: "HMAC", hash: `SHA-${alg.slice(2)}` },
      false,
      ["sign"],
    )
    const input = `${encodePart(header)}.${encodePart(payload)}`
    return `${input}.${base64url(new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(input))))}`
  })

/** Kinds of key pair, by a scheme that they sign in. */
export type KeyScheme =
  | "RS256"
  | "ES256"
  | "ES384"
  | "ES512"
  | "Ed25519"
  | "Ed448"
  | "ML-DSA-44"
  | "ML-DSA-65"
  | "ML-DSA-87"

/** A key pair without a name. */
export interface Pair {
  readonly publicJwk: JWK
  readonly privateJwk: JWK
}

const generated = new Map<KeyScheme, Promise<Pair>>()

const bare = async (key: CryptoKey): Promise<JWK> => {
  const { alg, ext: _ext, key_ops: _ops, ...jwk } = await crypto.subtle.exportKey("jwk", key)
  // An AKP key has to name its algorithm (RFC 9964); of the others, Web Crypto says how they were made.
  return jwk.kty === "AKP" ? { ...jwk, ...(alg === undefined ? {} : { alg }) } : jwk
}

const generate = async (scheme: KeyScheme): Promise<Pair> => {
  const { key } = schemes[scheme]
  const wanted =
    scheme === "RS256"
      ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) }
      : key
  const pair = await crypto.subtle.generateKey(wanted, true, ["sign", "verify"])
  if (!("publicKey" in pair)) throw new TypeError(`${scheme} has no key pairs`)
  return { publicJwk: await bare(pair.publicKey), privateJwk: await bare(pair.privateKey) }
}

/** The one pair of this kind that the process has, generated when it is first asked for. */
export const pairFor = (scheme: KeyScheme): Effect.Effect<Pair> =>
  Effect.promise(() => {
    const known = generated.get(scheme) ?? generate(scheme)
    generated.set(scheme, known)
    return known
  })
