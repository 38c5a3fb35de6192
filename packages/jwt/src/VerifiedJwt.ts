/**
 * What a verification answers with.
 */
import type { Freshness, JwsAlgorithm } from "@effect-jwks/core"

/** Claims as they were signed (RFC 7519 section 4); the registered ones have the types given here, if they are there. */
export interface JwtPayload {
  readonly iss: string
  readonly sub?: string
  readonly aud?: string | ReadonlyArray<string>
  /** Seconds since the epoch. */
  readonly exp?: number
  /** Seconds since the epoch. */
  readonly nbf?: number
  /** Seconds since the epoch. */
  readonly iat?: number
  readonly jti?: string
  readonly [claim: string]: unknown
}

/** The protected header (RFC 7515 section 4.1). `jku`, `jwk`, `x5u` and `x5c` are never used. */
export interface JwtHeader {
  readonly alg: JwsAlgorithm
  readonly kid?: string
  readonly typ?: string
  readonly [parameter: string]: unknown
}

/** A token whose signature and claims hold. */
export interface VerifiedJwt<Claims = JwtPayload> {
  readonly tenant: string
  /** Whose key made the signature. */
  readonly provider: string
  readonly issuer: string
  readonly header: JwtHeader
  /** What the schema made of the claims; without one, the claims as they were signed. */
  readonly claims: Claims
  /** The claims as they were signed. */
  readonly payload: JwtPayload
  /** RFC 7638 SHA-256 thumbprint of the key. */
  readonly thumbprint: string
  /** Whether the key came from a set inside its lifetime. */
  readonly freshness: Freshness
}
