/**
 * One public key of each kind, most of them from the RFCs' examples.
 */
import { encode } from "../../src/jwk/Base64url.ts"
import { defaultSettings } from "../../src/Provider.ts"
import { judge, type KeyPolicySettings } from "../../src/jwk/KeyPolicy.ts"

/** RFC 7638 section 3.1. */
export const rsa = {
  kty: "RSA",
  n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
  e: "AQAB",
  alg: "RS256",
  kid: "2011-04-29",
}

/** RFC 7517 appendix A.1, without its `use: "enc"`. */
export const p256 = {
  kty: "EC",
  crv: "P-256",
  x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
  y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
  kid: "1",
}

export const p384 = {
  kty: "EC",
  crv: "P-384",
  x: "AFnlvX_qPytkH9V8Gl8ETx05aT1vaBeyns210B9vYpcZWGEnAXuHxSzt0Ah7vfXG",
  y: "CY2Plx4ngSpRegMAjDeXH-YndqOIB10LpkSsOU9WJ5tWQpzIxMX0uxYEc7XXs9Lb",
}

export const p521 = {
  kty: "EC",
  crv: "P-521",
  x: "AEeaxz3a12WfuZZ7PkUlFsmDbBWXg25SJejrmNARm20Y1NuJjDa90zTExoQfrH45oOmQomOeT1n245DCPb6WGVlS",
  y: "AD1EO0_NUK9QzYF5-CKp2fvA7Jj7o2JX-NEnSjn-H68u7iknb40ebiz3kl5gsA9bnUzDF0VPhCQsJGJe2-4bVMbV",
}

/** RFC 8037 appendix A.2. */
export const ed25519 = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }

/** RFC 8032 section 7.4, the first key. */
export const ed448 = {
  kty: "OKP",
  crv: "Ed448",
  x: "X9dEm1m0Yf0s54fsYWrUah2hNCSFpw4fig6nXYDpZ3jt8SR2m0bHBhvWeD3x5Q9s0foavq_oJWGA",
}

/** Not the key of anybody: any text of the right length is one. */
export const mlDsa44 = { kty: "AKP", alg: "ML-DSA-44", pub: encode(new Uint8Array(1312).fill(44)) }

/** All of them by name. */
export const sampleKeys: Readonly<Record<string, Readonly<Record<string, unknown>> & { readonly kty: string }>> = {
  rsa,
  p256,
  p384,
  p521,
  ed25519,
  ed448,
  mlDsa44,
}

/** Why a lone key is dropped; `undefined` where it is kept. */
export const dropReason = (key: unknown, settings: Partial<KeyPolicySettings> = {}): string | undefined =>
  judge([key], { ...defaultSettings, ...settings }).dropped.at(0)?.reason

/** A lone key as it is kept. */
export const keptKey = (key: unknown, settings: Partial<KeyPolicySettings> = {}) => {
  const judged = judge([key], { ...defaultSettings, ...settings })
  const kept = judged.keys.at(0)
  if (kept === undefined) throw new Error(`dropped: ${judged.dropped.at(0)?.reason}`)
  return kept
}
