/**
 * What the verifier offers.
 */
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { VerifyError } from "./JwtError.ts"
import type { JwtPayload, VerifiedJwt } from "./VerifiedJwt.ts"
import type { PerhapsWithClaims, VerifyOptions, VerifyOptionsWithClaims } from "./VerifyOptions.ts"

/** What the verifier offers; also a static accessor of `JwtVerifier`. */
export interface JwtVerifierService {
  /**
   * Verifies a token of one of the tenant's providers, and decodes its claims.
   *
   * **Details**
   *
   * In this order, so that what needs no key costs no look-up: the form (RFC 7515 section 7.1), the algorithm's kind, the
   * provider that vouches for `iss`, its algorithms, `typ`, `aud` and the times; the provider's key with the token's
   * `kid`; the signature; `claims`. A signature that fails is tried once more if the provider has published another key
   * under the same `kid` meanwhile.
   *
   * Errors: `JwtInvalid` (401); the registry's, of which `isOutage` says whether they are 503.
   *
   * **Gotchas**
   *
   * Without `audience` a token that names one is refused.
   */
  readonly verify: {
    <S extends Schema.Constraint>(
      tenant: string,
      token: string,
      options: VerifyOptionsWithClaims<S>,
    ): Effect.Effect<VerifiedJwt<S["Type"]>, VerifyError, S["DecodingServices"]>
    /** For whoever does not know whether there is a schema. */
    <S extends Schema.Constraint = never>(
      tenant: string,
      token: string,
      options?: PerhapsWithClaims<S>,
    ): Effect.Effect<VerifiedJwt<S["Type"] | JwtPayload>, VerifyError, S["DecodingServices"]>
    (tenant: string, token: string, options?: VerifyOptions): Effect.Effect<VerifiedJwt, VerifyError>
  }
}
