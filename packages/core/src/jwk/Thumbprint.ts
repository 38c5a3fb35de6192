/**
 * RFC 7638 thumbprints: what tells one key from another, whatever its `kid`.
 */
import { encode } from "./Base64url.ts"
import type { Jwk } from "./Jwk.ts"
import { sha256 } from "./Sha256.ts"

/**
 * The required members in lexicographic order (RFC 7638 section 3.2, RFC 8037 section 2, RFC 9964), as
 * JSON without white space. Canonical numbers and the names of curves and algorithms need no escapes.
 */
const requiredMembers = (jwk: Jwk): string => {
  switch (jwk.kty) {
    case "RSA":
      return `{"e":"${jwk.e}","kty":"RSA","n":"${jwk.n}"}`
    case "EC":
      return `{"crv":"${jwk.crv}","kty":"EC","x":"${jwk.x}","y":"${jwk.y}"}`
    case "OKP":
      return `{"crv":"${jwk.crv}","kty":"OKP","x":"${jwk.x}"}`
    default:
      return `{"alg":"${jwk.alg}","kty":"${jwk.kty}","pub":"${jwk.pub}"}`
  }
}

/** SHA-256 thumbprint of a key that passed the key policy, base64url (RFC 7638 section 3). */
export const thumbprint = (jwk: Jwk): string => encode(sha256(requiredMembers(jwk)))
