/**
 * A public key as the provider published it, and the signature algorithms that it may verify.
 */
import * as Schema from "effect/Schema"

/**
 * The asymmetric JWS algorithms that a provider may use, by their registered `alg` names
 * (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864, RFC 9964).
 */
export const JwsAlgorithm = Schema.Literals([
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
  "Ed448",
  "ML-DSA-44",
  "ML-DSA-65",
  "ML-DSA-87",
])

/** One of the asymmetric JWS algorithms, by its registered name. */
export type JwsAlgorithm = typeof JwsAlgorithm.Type

/** Every algorithm that {@link JwsAlgorithm} names: the default of a registration's `algorithms`. */
export const allJwsAlgorithms: ReadonlyArray<JwsAlgorithm> = JwsAlgorithm.literals

/**
 * A public JSON Web Key (RFC 7517 section 4). Frozen through and through; the key's numbers are in their
 * canonical spelling, everything else is as the provider published it. Members whose value has another
 * type than here are left out.
 */
export interface Jwk {
  /** Key type: `RSA`, `EC`, `OKP` or `AKP` (RFC 7517 section 4.1). */
  readonly kty: string
  /** Intended use, absent or `sig` (RFC 7517 section 4.2). */
  readonly use?: string
  /** Allowed operations, absent or with `verify` (RFC 7517 section 4.3). */
  readonly key_ops?: Array<string>
  /** The one algorithm that the provider intends this key for (RFC 7517 section 4.4). */
  readonly alg?: string
  /** Key id (RFC 7517 section 4.5). */
  readonly kid?: string
  /** Certificate URL; kept, never followed (RFC 7517 section 4.6). */
  readonly x5u?: string
  /** Certificate chain, base64 DER (RFC 7517 section 4.7). */
  readonly x5c?: Array<string>
  /** Certificate SHA-1 thumbprint (RFC 7517 section 4.8). */
  readonly x5t?: string
  /** Certificate SHA-256 thumbprint (RFC 7517 section 4.9). */
  readonly "x5t#S256"?: string
  /** RSA modulus (RFC 7518 section 6.3.1.1). */
  readonly n?: string
  /** RSA public exponent (RFC 7518 section 6.3.1.2). */
  readonly e?: string
  /** Curve of an `EC` or `OKP` key (RFC 7518 section 6.2.1.1, RFC 8037 section 2). */
  readonly crv?: string
  /** X coordinate, or the public key of an `OKP` key (RFC 7518 section 6.2.1.2, RFC 8037 section 2). */
  readonly x?: string
  /** Y coordinate (RFC 7518 section 6.2.1.3). */
  readonly y?: string
  /** Public key of an `AKP` key (RFC 9964). */
  readonly pub?: string
  /** Members that this library has no opinion about. */
  readonly [member: string]: unknown
}
