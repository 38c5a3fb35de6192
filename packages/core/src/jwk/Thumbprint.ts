/**
 * RFC 7638 thumbprints: what tells one key from another, whatever its `kid`.
 */
import { sha256 } from "@noble/hashes/sha2.js"
import { encode } from "./Base64url.ts"
import type { Jwk } from "./Jwk.ts"

const utf8 = new TextEncoder()

/** The required members in lexicographic order (RFC 7638 section 3.2, RFC 8037 section 2, RFC 9964). */
const requiredMembers = (jwk: Jwk): Record<string, string | undefined> => {
  switch (jwk.kty) {
    case "RSA":
      return { e: jwk.e, kty: jwk.kty, n: jwk.n }
    case "EC":
      return { crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }
    case "OKP":
      return { crv: jwk.crv, kty: jwk.kty, x: jwk.x }
    default:
      return { alg: jwk.alg, kty: jwk.kty, pub: jwk.pub }
  }
}

/** SHA-256 thumbprint of a key with canonical numbers, base64url (RFC 7638 section 3). */
export const thumbprint = (jwk: Jwk): string => encode(sha256(utf8.encode(JSON.stringify(requiredMembers(jwk)))))
