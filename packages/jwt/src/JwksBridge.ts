/**
 * The registry for callers without Effect: promises, jose's key function, and an `AbortSignal`.
 */
import {
  JwksRegistry,
  type NotRegistered,
  type ProviderRegistration,
  type ResolvedKey,
  type ResolveKeyOptions,
  type WarmUpResult,
} from "@effect-jwks/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type { CryptoKey, FlattenedJWSInput, JWTVerifyGetKey } from "jose"
import { isAsymmetric, objectIn } from "./internal/CompactJws.ts"
import { bind } from "./internal/IssuerBinding.ts"
import { resolveVerifier, type VerifierSettings } from "./internal/Policy.ts"
import { keyOf } from "./internal/SignatureCheck.ts"
import { makeVerify } from "./internal/Verification.ts"
import { JwtInvalid, type JwtInvalidReason } from "./JwtError.ts"
import type { JwtVerifierService } from "./JwtVerifierService.ts"
import type { VerifiedJwt } from "./VerifiedJwt.ts"
import type { JwtVerifierOptions, VerifyOptions, VerifyOptionsWithClaims } from "./VerifyOptions.ts"

/** Ends the wait of one caller, with the signal's reason; the fetch goes on for the others. */
export interface Abortable {
  readonly signal?: AbortSignal
}

/** What a key function asks for besides the token's `kid` and `alg`. */
export interface KeyFunctionOptions extends Abortable {
  /** Which provider of the tenant. Default: the one that vouches for the token's `iss`, or the only one. */
  readonly provider?: string
  /** `false` refuses keys from a set past its lifetime. Default: `true`. */
  readonly allowStale?: boolean
}

/**
 * A registry behind promises.
 *
 * **Details**
 *
 * Promises are rejected with the same errors that effects fail with: `_tag` tells them apart, and `isOutage` says which of
 * them are 503. Where a usable set is held, the answer is there before the call returns: no timer and no further turn of
 * the event loop lies in between.
 *
 * **Example** (jose's `jwtVerify` with the registry's keys)
 *
 * ```ts
 * import { JwksBridge } from "@effect-jwks/jwt"
 * import { FakeProvider, TestRegistry } from "@effect-jwks/testing"
 * import { Effect } from "effect"
 * import { jwtVerify } from "jose"
 *
 * const program = Effect.gen(function* () {
 *   const { issuer, jwksUrl, token } = yield* FakeProvider
 *   const bearer = yield* token({ sub: "ada", aud: "orders" })
 *   return yield* Effect.promise(async () => {
 *     await using jwks = JwksBridge.open(TestRegistry.layer())
 *     await jwks.register({ tenant: "acme", provider: "idp", issuer, jwksUrl })
 *     const { payload } = await jwtVerify(bearer, jwks.keyFor("acme"), { issuer, audience: "orders" })
 *     return payload.sub // => "ada"
 *   })
 * })
 *
 * await Effect.runPromise(Effect.provide(program, FakeProvider.layer()))
 * ```
 */
export class JwksBridge<E = never> implements AsyncDisposable {
  readonly #runtime: ManagedRuntime.ManagedRuntime<JwksRegistry, E>
  readonly #settings: VerifierSettings
  #made: JwtVerifierService["verify"] | undefined

  private constructor(runtime: ManagedRuntime.ManagedRuntime<JwksRegistry, E>, options: JwtVerifierOptions) {
    this.#runtime = runtime
    this.#settings = Result.getOrThrow(resolveVerifier(options))
  }

  /**
   * Over a runtime that the application has anyway, and disposes of itself or through the bridge. Throws
   * `InvalidRegistration` for wrong options; they are those of `JwtVerifier.layer`, and `verify` alone reads them.
   */
  static fromRuntime<E>(
    runtime: ManagedRuntime.ManagedRuntime<JwksRegistry, E>,
    options: JwtVerifierOptions = {},
  ): JwksBridge<E> {
    return new JwksBridge(runtime, options)
  }

  /** Over a layer, such as `NodeJwks.layer(...)`; a layer that fails rejects every call with its error. */
  static open<E>(layer: Layer.Layer<JwksRegistry, E>, options: JwtVerifierOptions = {}): JwksBridge<E> {
    return new JwksBridge(ManagedRuntime.make(layer), options)
  }

  /** One key, as `JwksRegistry.resolveKey` has it. */
  getKey(
    tenant: string,
    kid: string | undefined,
    { signal, ...options }: ResolveKeyOptions & Abortable = {},
  ): Promise<ResolvedKey> {
    return this.#promise(JwksRegistry.resolveKey(tenant, kid, options), signal)
  }

  /**
   * The key function that jose's `jwtVerify` and `compactVerify` take. A key that has been used before is returned as it is,
   * not as a promise.
   *
   * **Gotchas**
   *
   * jose checks what its own options say: name `issuer` and `audience` there. It asks for a key once, so a new key under
   * an old `kid` is found by the next refresh alone; `verify` looks for it.
   */
  keyFor(tenant: string, options: KeyFunctionOptions = {}): JWTVerifyGetKey<CryptoKey> {
    return ({ alg, kid }, token) => {
      // Before any look-up: a token must not choose a secret, or nothing, to be checked with (RFC 8725 section 3.1).
      if (!isAsymmetric(alg)) {
        const rule = "only asymmetric signatures are accepted (RFC 8725 section 3.1)"
        throw refusal(tenant, { _tag: "Algorithm", alg: String(alg), rule })
      }
      const found = this.#run(
        Effect.flatMap(providerOf(tenant, token, options.provider), (provider) =>
          JwksRegistry.resolveKey(tenant, kid, { provider, alg, allowStale: options.allowStale !== false }),
        ),
        options.signal,
      )
      return found instanceof Promise ? found.then(({ jwk }) => keyOf(jwk, alg)) : keyOf(found.jwk, alg)
    }
  }

  /** A token's claims, as `JwtVerifier.verify` has them. */
  verify<S extends Schema.ConstraintDecoder<unknown>>(
    tenant: string,
    token: string,
    options: VerifyOptionsWithClaims<S> & Abortable,
  ): Promise<VerifiedJwt<S["Type"]>>
  verify(tenant: string, token: string, options?: VerifyOptions & Abortable): Promise<VerifiedJwt>
  verify(tenant: string, token: string, options: VerifyOptions & Abortable = {}): Promise<VerifiedJwt> {
    const { signal, ...asked } = options
    return this.#promise(
      Effect.flatMap(this.#verifier, (verify) => verify(tenant, token, asked)),
      signal,
    )
  }

  /** See `JwksRegistry.register`. */
  register(registration: ProviderRegistration): Promise<void> {
    return this.#promise(JwksRegistry.register(registration))
  }

  /** See `JwksRegistry.unregister`. */
  unregister(tenant: string, provider: string): Promise<boolean> {
    return this.#promise(JwksRegistry.unregister(tenant, provider))
  }

  /** See `JwksRegistry.warmUp`. */
  warmUp(options: { readonly timeout: Duration.Input }): Promise<ReadonlyArray<WarmUpResult>> {
    return this.#promise(JwksRegistry.warmUp(options))
  }

  /** Disposes of the runtime: timers end, snapshots are written, and whoever waits gets `JwksUnavailable`. */
  close(): Promise<void> {
    return this.#runtime.dispose()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  readonly #verifier: Effect.Effect<JwtVerifierService["verify"], never, JwksRegistry> = Effect.suspend(() =>
    this.#made !== undefined
      ? Effect.succeed(this.#made)
      : Effect.map(
          Effect.all([JwksRegistry, Clock.Clock]),
          ([registry, clock]) => (this.#made ??= makeVerify(registry, clock, this.#settings)),
        ),
  )

  #promise<A>(effect: Effect.Effect<A, unknown, JwksRegistry>, signal?: AbortSignal): Promise<A> {
    try {
      return Promise.resolve(this.#run(effect, signal))
    } catch (error) {
      return Promise.reject(toError(error))
    }
  }

  /** What an effect gives; at once, where it does not wait. Throws what it fails with. */
  #run<A>(effect: Effect.Effect<A, unknown, JwksRegistry>, signal: AbortSignal | undefined): A | Promise<A> {
    signal?.throwIfAborted()
    const fiber = this.#runtime.runFork(effect)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return valueOf(exit)
    return new Promise<A>((resolve, reject) => {
      const onAbort = () => {
        reject(toError(signal?.reason))
        fiber.interruptUnsafe()
      }
      signal?.addEventListener("abort", onAbort, { once: true })
      fiber.addObserver((exit) => {
        signal?.removeEventListener("abort", onAbort)
        if (Exit.isSuccess(exit)) resolve(exit.value)
        else reject(toError(Cause.squash(exit.cause)))
      })
    })
  }
}

const valueOf = <A>(exit: Exit.Exit<A, unknown>): A => {
  if (Exit.isSuccess(exit)) return exit.value
  throw toError(Cause.squash(exit.cause))
}

/** What is thrown may be anything; errors stay what they are. */
const toError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)))

const refusal = (tenant: string, reason: JwtInvalidReason): JwtInvalid => new JwtInvalid({ tenant, reason })

/** Whose keys the token may be tried against. */
const providerOf = (
  tenant: string,
  { payload }: FlattenedJWSInput,
  named: string | undefined,
): Effect.Effect<string, JwtInvalid | NotRegistered, JwksRegistry> =>
  named !== undefined
    ? Effect.succeed(named)
    : Effect.flatMap(JwksRegistry.registrations(tenant), (registered) => {
        const [first, second] = registered
        // Nobody says whose tokens they are, but there is nobody else.
        if (first !== undefined && second === undefined && first.issuer === undefined) {
          return Effect.succeed(first.provider)
        }
        const claims = typeof payload === "string" ? objectIn(payload) : undefined
        return Result.match(bind(tenant, registered, claims ?? {}, {}), {
          onSuccess: ({ provider }) => Effect.succeed(provider.provider),
          onFailure: (failure) => Effect.fail(failure._tag === "NotRegistered" ? failure : refusal(tenant, failure)),
        })
      })
