/**
 * What the tests of the verifier share: tenants, providers and a verifier on the test's clock, and the questions what a
 * token gives, and why it is refused.
 */
import { assert } from "@effect/vitest"
import {
  type Jwk,
  JwksRegistry,
  type JwksRegistryOptions,
  type JwsAlgorithm,
  type ProviderRegistration,
} from "@effect-jwks/core"
import {
  JwtInvalid,
  type JwtInvalidReason,
  JwtVerifier,
  type JwtVerifierOptions,
  type VerifyError,
  type VerifyOptions,
} from "@effect-jwks/jwt"
import {
  type IdentityProvider,
  ScriptedProvider,
  type ScriptedProviderOptions,
  TestRegistry,
} from "@effect-jwks/testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { check, type Said } from "../src/internal/SignatureCheck.ts"
import type { Part, Signer } from "./forge.ts"
import { forge } from "./forge.ts"

/** When a test begins: epoch milliseconds, whole seconds. */
export const start = Date.UTC(2026, 10, 20)

/** The same, as claims count. */
export const startSeconds = start / 1_000

/** A provider, and how it is registered. */
export interface ProviderSetUp {
  readonly name?: string
  readonly provider?: ScriptedProviderOptions
  readonly registration?: Partial<ProviderRegistration>
  /** Whether it is registered with its issuer. Default: `true`. */
  readonly vouches?: boolean
  /** What happens to it before it is registered. */
  readonly before?: (provider: IdentityProvider) => Effect.Effect<unknown>
}

/** How a test begins. */
export interface SetUp extends ProviderSetUp {
  readonly verifier?: JwtVerifierOptions
  readonly options?: JwksRegistryOptions
  /** When it begins, in epoch milliseconds. Default: `start`. */
  readonly at?: number
}

/** A verifier over these providers, all of the tenant `acme`. */
export const setUpProviders = Effect.fnUntraced(function* (
  providers: ReadonlyArray<ProviderSetUp>,
  { at = start, options, verifier = {} }: Pick<SetUp, "at" | "options" | "verifier"> = {},
) {
  if ((yield* Clock.currentTimeMillis) < at) yield* TestClock.setTime(at)
  const made = yield* Effect.forEach(providers, ({ before, name = "idp", provider }) =>
    ScriptedProvider.make({
      keptRequests: 1_000,
      issuer: `https://${name}.test`,
      ...provider,
      keys: { spareKeys: 0, ...provider?.keys },
    }).pipe(Effect.tap((idp) => before?.(idp) ?? Effect.void)),
  )
  const context = yield* JwtVerifier.layer(verifier).pipe(
    Layer.provideMerge(TestRegistry.layerNoClient(options)),
    Layer.provide(ScriptedProvider.layerClient(...made)),
    Layer.build,
  )
  const registry = Context.get(context, JwksRegistry)
  for (const [index, { name = "idp", registration, vouches = true }] of providers.entries()) {
    const idp = made[index]
    if (idp === undefined) continue
    const { issuer, jwksUrl } = idp
    yield* registry.register({
      tenant: "acme",
      provider: name,
      ...(vouches && { issuer }),
      jwksUrl,
      prefetchJitter: 0,
      ...registration,
    })
  }
  const { verify } = Context.get(context, JwtVerifier)
  return { providers: made, registry, verify }
})

/** A verifier over one provider, registered as `idp` of `acme`. */
export const setUp = Effect.fnUntraced(function* (how: SetUp = {}) {
  const { providers, registry, verify } = yield* setUpProviders([how], how)
  const idp = providers[0] ?? assert.fail("there is no provider")
  const run = (token: string, options?: VerifyOptions) => verify("acme", token, options)
  return {
    idp,
    registry,
    /** The verifier itself. */
    verifyAs: verify,
    verify: run,
    /** What the token is refused with. */
    error: (token: string, options?: VerifyOptions): Effect.Effect<VerifyError> =>
      Effect.orDie(Effect.flip(run(token, options))),
    /** Why the token is refused. */
    reason: (token: string, options?: VerifyOptions): Effect.Effect<JwtInvalidReason> => reasonOf(run(token, options)),
    /** A token with the provider's current key: any header, any claims. */
    forge: (header: Part, payload: Part) => forge(signerOf(idp), header, payload),
    /** Claims that are right. */
    claims: { iss: idp.issuer, iat: startSeconds, exp: startSeconds + 3_600 },
    /** The header that is right. */
    header: { alg: idp.keys.current.alg, kid: idp.keys.current.kid },
  }
})

/** The current key of a provider, to forge with. */
export const signerOf = ({ keys: { current } }: IdentityProvider): Signer => ({
  scheme: current.alg === "EdDSA" ? "Ed25519" : current.alg,
  privateJwk: current.privateJwk,
})

/** Why a verification refuses its token; fails the test on any other end. */
export const reasonOf = (verification: Effect.Effect<unknown, VerifyError>): Effect.Effect<JwtInvalidReason> =>
  Effect.match(verification, {
    onSuccess: () => assert.fail("the token was accepted"),
    onFailure: (error) => (error instanceof JwtInvalid ? error.reason : assert.fail(`${error._tag}: ${error.message}`)),
  })

/** How an effect that waits for attempts upstream ends, a minute later. */
export const aMinuteLater = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    yield* letTimePass
    return yield* Fiber.join(fiber)
  })

/** A minute, in steps: signatures take turns of the event loop, in which the clock stands still. */
export const letTimePass = Effect.forEach(
  Array.from({ length: 60 }),
  () => Effect.andThen(TestClock.adjust("1 second"), TestClock.withLive(Effect.yieldNow)),
  { discard: true },
)

/** Seconds later. */
export const after = (seconds: number) => TestClock.setTime(start + seconds * 1_000)

/** What a token's signature covers, and the signature. */
export const signedTextOf = (token: string) => {
  const lastDot = token.lastIndexOf(".")
  return { input: token.slice(0, lastDot), signature: token.slice(lastDot + 1) }
}

/** What a key says of a token, without anything that `verify` asks before. */
export const saidOf = (token: string, jwk: Jwk, alg: JwsAlgorithm): Effect.Effect<Said> =>
  check(signedTextOf(token), jwk, alg, Effect.succeed)
