/**
 * What a caller asks of a token.
 */
import type * as Duration from "effect/Duration"
import type * as Schema from "effect/Schema"
import type { JwsAlgorithm } from "@effect-jwks/core"
import type { JwtPayload } from "./VerifiedJwt.ts"

/**
 * A kind of token, and what it must have.
 *
 * **Details**
 *
 * - `at+jwt`: an access token of the JWT profile (RFC 9068 section 4): `typ` is `at+jwt`, and `iss`, `exp`, `aud`, `sub`,
 *   `client_id`, `iat` and `jti` are there.
 * - `id_token`: an ID token (OpenID Connect Core 1.0 sections 2 and 3.1.3.7): `iss`, `sub`, `aud`, `exp` and `iat` are there,
 *   `typ` is none or `JWT`, and where `azp` is there, it is one of the expected audiences.
 */
export type JwtProfile = "at+jwt" | "id_token"

/**
 * Whose `iss` is right: one or several to the letter, or a function that judges it beside the unverified claims, for
 * issuers with a part that varies (Entra's `common`: `iss` has to be `https://login.microsoftonline.com/{tid}/v2.0`).
 */
export type ExpectedIssuer = string | ReadonlyArray<string> | ((issuer: string, payload: JwtPayload) => boolean)

/** What is asked of every token of a kind; `JwtVerifier.layer` takes it as defaults. */
export interface VerifyPolicy {
  /**
   * Who we are: `aud` has to name one of these (RFC 7519 section 4.1.3). Without it a token with an `aud` is refused; `null`
   * accepts any.
   */
  readonly audience?: string | ReadonlyArray<string> | null
  /** The header's `typ` (RFC 8725 section 3.11), without case and without `application/`; not beside a profile. Default: any. */
  readonly typ?: string
  /** A preset for a kind of token. Default: none. */
  readonly profile?: JwtProfile
  /** Algorithms, of those that the provider may use. Default: all of them. */
  readonly algorithms?: ReadonlyArray<JwsAlgorithm>
  /** How far the issuer's clock may be off; at most 10 minutes. Default: 0. */
  readonly clockTolerance?: Duration.Input
  /** How long ago the token may have been issued at most; it has to have an `iat` then. Default: any. */
  readonly maxAge?: Duration.Input
  /** `false` accepts tokens without `exp`. Default: `true`. */
  readonly requireExp?: boolean
  /** Claims that have to be there. Default: what the profile says. */
  readonly requiredClaims?: ReadonlyArray<string>
  /** `false` refuses keys from a set past its lifetime: no token is accepted during an outage. Default: `true`. */
  readonly allowStale?: boolean
}

/** What is asked of one token, whether or not its claims are decoded. */
export interface AnyVerifyOptions extends VerifyPolicy {
  /** Only tokens of this provider. Default: the one of the tenant's that vouches for the token's issuer. */
  readonly provider?: string
  /**
   * Whose `iss` is right, for a provider that was registered without `issuer`, or for one whose tokens have several. Several,
   * and a function, need `provider` beside them, unless a provider is registered with the token's `iss`. Default: the
   * provider's `issuer`.
   */
  readonly issuer?: ExpectedIssuer
}

/** What is asked of one token. */
export interface VerifyOptions extends AnyVerifyOptions {
  /** With a schema they are {@link VerifyOptionsWithClaims}: of these nobody would expect what it decodes. */
  readonly claims?: never
}

/** The same with a schema for the claims. */
export interface VerifyOptionsWithClaims<S extends Schema.Constraint> extends AnyVerifyOptions {
  /** What the claims have to be; the answer's `claims` are what it decodes. */
  readonly claims: S
}

/** Where a caller does not know whether there is a schema. */
export interface PerhapsWithClaims<S extends Schema.Constraint> extends AnyVerifyOptions {
  /** What the claims have to be, if anybody says so. */
  readonly claims?: S | undefined
}

/** Options of the layer. */
export interface JwtVerifierOptions extends VerifyPolicy {
  /** Longest token, in characters; at most 1 MiB. Default: 16 KiB. */
  readonly maxTokenLength?: number
}
