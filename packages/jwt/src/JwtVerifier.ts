/**
 * From a token to an identity: whose token it is, whether his key signed it, and what it says.
 */
import { type InvalidRegistration, JwksRegistry } from "@effect-jwks/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import { makeVerify } from "./internal/Verification.ts"
import { resolveVerifier } from "./internal/Policy.ts"
import type { VerifyError } from "./JwtError.ts"
import type { JwtVerifierService } from "./JwtVerifierService.ts"
import type { JwtPayload, VerifiedJwt } from "./VerifiedJwt.ts"
import type { JwtVerifierOptions, PerhapsWithClaims, VerifyOptions, VerifyOptionsWithClaims } from "./VerifyOptions.ts"

/**
 * Verifies tokens with the keys of a `JwksRegistry`.
 *
 * **Example**
 *
 * ```ts
 * import { JwksRegistry } from "@effect-jwks/core"
 * import { JwtVerifier, JwtVerifierLive } from "@effect-jwks/jwt"
 * import { FakeProvider, TestRegistry } from "@effect-jwks/testing"
 * import { Effect, Layer, Schema } from "effect"
 *
 * const Claims = Schema.Struct({ sub: Schema.String, email: Schema.String })
 *
 * const program = Effect.gen(function* () {
 *   const { issuer, jwksUrl, token } = yield* FakeProvider
 *   yield* JwksRegistry.register({ tenant: "acme", provider: "idp", issuer, jwksUrl })
 *   const bearer = yield* token({ sub: "ada", email: "ada@example.com", aud: "orders" })
 *   const { claims } = yield* JwtVerifier.verify("acme", bearer, { audience: "orders", claims: Claims })
 *   return claims.email // => "ada@example.com"
 * })
 *
 * const layer = JwtVerifierLive.pipe(Layer.provideMerge(TestRegistry.layer()), Layer.merge(FakeProvider.layer()))
 * await Effect.runPromise(Effect.provide(program, layer))
 * ```
 */
export class JwtVerifier extends Context.Service<JwtVerifier, JwtVerifierService>()("@effect-jwks/jwt/JwtVerifier") {
  /** The verifier with defaults for what its callers do not say; `InvalidRegistration` names every wrong option. */
  static layer(options: JwtVerifierOptions): Layer.Layer<JwtVerifier, InvalidRegistration, JwksRegistry> {
    return Layer.effect(
      JwtVerifier,
      Effect.gen(function* () {
        const settings = yield* Effect.fromResult(resolveVerifier(options))
        return { verify: makeVerify(yield* JwksRegistry, settings) }
      }),
    )
  }

  /** See {@link JwtVerifierService.verify}. */
  static verify<S extends Schema.Constraint>(
    tenant: string,
    token: string,
    options: VerifyOptionsWithClaims<S>,
  ): Effect.Effect<VerifiedJwt<S["Type"]>, VerifyError, JwtVerifier | S["DecodingServices"]>
  static verify<S extends Schema.Constraint = never>(
    tenant: string,
    token: string,
    options?: PerhapsWithClaims<S>,
  ): Effect.Effect<VerifiedJwt<S["Type"] | JwtPayload>, VerifyError, JwtVerifier | S["DecodingServices"]>
  static verify(
    tenant: string,
    token: string,
    options?: VerifyOptions,
  ): Effect.Effect<VerifiedJwt, VerifyError, JwtVerifier>
  static verify<S extends Schema.Constraint>(
    tenant: string,
    token: string,
    options?: PerhapsWithClaims<S>,
  ): Effect.Effect<VerifiedJwt<S["Type"] | JwtPayload>, VerifyError, JwtVerifier | S["DecodingServices"]> {
    return Effect.withFiber((fiber) => Context.getUnsafe(fiber.context, JwtVerifier).verify(tenant, token, options))
  }
}

/** The verifier with default options. */
export const JwtVerifierLive: Layer.Layer<JwtVerifier, never, JwksRegistry> = JwtVerifier.layer({}).pipe(Layer.orDie)
