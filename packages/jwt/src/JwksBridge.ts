/**
 * The registry for callers without Effect: promises, jose's key function, and an `AbortSignal`.
 */
import {
  InvalidRegistration,
  type JwksEvent,
  JwksRegistry,
  type JwksRegistryService,
  JwksUnavailable,
  NotRegistered,
  type ProviderRegistration,
  type ProviderStatus,
  type RefreshOutcome,
  type RegisteredProvider,
  type ResolvedJwks,
  type ResolvedKey,
  type ResolveKeyOptions,
  type WarmUpResult,
} from "@effect-jwks/core"
import { registrationsNow, resolveKeyNow } from "@effect-jwks/core/AnswersNow"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { CompactJWSHeaderParameters, CryptoKey, FlattenedJWSInput } from "jose"
import { allows } from "./internal/AllowedAlgorithms.ts"
import { isAsymmetric, objectIn } from "./internal/CompactJws.ts"
import { bind } from "./internal/IssuerBinding.ts"
import { resolveVerifier, type VerifierSettings, whole } from "./internal/Policy.ts"
import { asymmetricOnly, kidIsNoText, notTheProviders, refusal, unbound, unusable } from "./internal/Refusal.ts"
import { keyOf } from "./internal/SignatureCheck.ts"
import { makeVerify } from "./internal/Verification.ts"
import type { JwtInvalid, VerifyError } from "./JwtError.ts"
import type { JwtVerifierService } from "./JwtVerifierService.ts"
import type { JwtPayload, VerifiedJwt } from "./VerifiedJwt.ts"
import type {
  ExpectedIssuer,
  JwtVerifierOptions,
  PerhapsWithClaims,
  VerifyOptions,
  VerifyOptionsWithClaims,
} from "./VerifyOptions.ts"

/** Ends the wait of one caller, with the signal's reason; the fetch goes on for the others. */
export interface Abortable {
  readonly signal?: AbortSignal
}

/** What a key function asks for besides the token's `kid` and `alg`. */
export interface KeyFunctionOptions extends Abortable {
  /** Which provider of the tenant. Default: the one that vouches for the token's `iss`, or the only one. */
  readonly provider?: string
  /** Whose `iss` is right, where it is not the provider's `issuer`: see `VerifyOptions`. */
  readonly issuer?: ExpectedIssuer
  /** `false` refuses keys from a set past its lifetime. Default: `true`. */
  readonly allowStale?: boolean
}

/** jose's `JWTVerifyGetKey` and `CompactVerifyGetKey`; no promise for a key that has been used before. */
export type KeyFunction = (
  header: CompactJWSHeaderParameters,
  token: FlattenedJWSInput,
) => CryptoKey | Promise<CryptoKey>

/**
 * A registry behind promises.
 *
 * **Details**
 *
 * Promises are rejected with the same errors that effects fail with: `_tag` tells them apart, and `isOutage` says which of
 * them are 503. An aborted call is rejected with the signal's reason, as everywhere on the platform. Where a usable set is
 * held, the answer is there before the call returns: no timer and no further turn of the event loop lies in between.
 *
 * Once it is closed it says what a closed registry says: `JwksUnavailable` with the reason `RegistryClosed`.
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
export class JwksBridge implements AsyncDisposable {
  readonly #runtime: ManagedRuntime.ManagedRuntime<JwksRegistry, unknown>
  readonly #isOurs: boolean
  readonly #settings: VerifierSettings
  #opened: Opened | undefined
  #isClosed = false
  /** The bridge is closed, and the application's runtime goes on: a loop over events has to end all the same. */
  readonly #left = Deferred.makeUnsafe<void>()

  private constructor(
    runtime: ManagedRuntime.ManagedRuntime<JwksRegistry, unknown>,
    isOurs: boolean,
    options: JwtVerifierOptions,
  ) {
    this.#runtime = runtime
    this.#isOurs = isOurs
    this.#settings = Result.getOrThrow(resolveVerifier(options))
  }

  /**
   * Over a runtime that the application has anyway, and disposes of itself: closing the bridge leaves it alone. Throws
   * `InvalidRegistration` for wrong options; they are those of `JwtVerifier.layer`, and `verify` alone reads them.
   */
  static fromRuntime(
    runtime: ManagedRuntime.ManagedRuntime<JwksRegistry, unknown>,
    options: JwtVerifierOptions = {},
  ): JwksBridge {
    return new JwksBridge(runtime, false, options)
  }

  /**
   * Over a layer, such as `NodeJwks.layer(...)`, which is built by the first call and ends with the bridge. A layer that
   * fails rejects every call with its error.
   */
  static open(layer: Layer.Layer<JwksRegistry, unknown>, options: JwtVerifierOptions = {}): JwksBridge {
    return new JwksBridge(ManagedRuntime.make(layer), true, options)
  }

  /** One key, as `JwksRegistry.resolveKey` has it. */
  getKey(tenant: string, kid: string | undefined, options: ResolveKeyOptions & Abortable = {}): Promise<ResolvedKey> {
    const { signal, ...asked } = whole(options)
    return this.#promise(() => JwksRegistry.resolveKey(tenant, kid, asked), unavailable(tenant), signal)
  }

  /** The whole usable set of a provider, as `JwksRegistry.resolve` has it. */
  getKeys(tenant: string, provider: string, { signal }: Abortable = {}): Promise<ResolvedJwks> {
    return this.#promise(() => JwksRegistry.resolve(tenant, provider), unavailable(tenant, provider), signal)
  }

  /**
   * The key function that jose's `jwtVerify` and `compactVerify` take. A key that has been used before is returned as it is,
   * not as a promise.
   *
   * **Details**
   *
   * A token is tried against the keys of the one provider that vouches for its `iss`. Where the tenant has one provider
   * that names no issuer, or `provider` says which one, tokens without a trusted `iss` get that far, too: jose's `issuer`
   * has to judge them. With `provider`, an `iss` that is there still has to be that provider's, if it has one.
   *
   * **Gotchas**
   *
   * jose checks what its own options say: name `issuer` and `audience` there. It asks for a key once, so a new key under
   * an old `kid` is found by the next refresh alone, and keys that nothing but a signature tells apart are `KeyAmbiguous`;
   * `verify` copes with both.
   */
  keyFor(tenant: string, options: KeyFunctionOptions = {}): KeyFunction {
    return ({ alg, kid }, token) => {
      // Before any look-up: a token must not choose a secret, or nothing, to be checked with (RFC 8725 section 3.1).
      if (!isAsymmetric(alg)) {
        throw refusal(tenant, undefined, { _tag: "Algorithm", alg: String(alg), rule: asymmetricOnly })
      }
      if (kid !== undefined && typeof kid !== "string") throw refusal(tenant, undefined, kidIsNoText)
      const toKey = ({ jwk, provider }: ResolvedKey) => {
        const key = keyOf(jwk, alg)
        if (!(key instanceof Promise)) return key
        return key.catch(() => {
          throw refusal(tenant, provider, unusable(alg))
        })
      }
      const found = this.#run(
        ({ registry }) =>
          Effect.withFiber((fiber) =>
            Effect.flatMap(
              registrationsNow(registry, tenant),
              (registered): Effect.Effect<ResolvedKey, VerifyError> => {
                const found = providerOf(tenant, registered, token, options)
                if (Result.isFailure(found)) return Effect.fail(found.failure)
                const { algorithms, provider } = found.success
                if (!allows(algorithms, alg)) return Effect.fail(refusal(tenant, provider, notTheProviders(alg)))
                const allowStale = options.allowStale !== false
                return resolveKeyNow(registry, tenant, kid, { provider, alg, allowStale }, fiber)
              },
            ),
          ),
        unavailable(tenant, options.provider),
        options.signal,
      )
      return found instanceof Promise ? found.then(toKey) : toKey(found)
    }
  }

  /** A token's claims, as `JwtVerifier.verify` has them. */
  verify<S extends Schema.ConstraintDecoder<unknown>>(
    tenant: string,
    token: string,
    options: VerifyOptionsWithClaims<S> & Abortable,
  ): Promise<VerifiedJwt<S["Type"]>>
  verify<S extends Schema.ConstraintDecoder<unknown> = never>(
    tenant: string,
    token: string,
    options?: PerhapsWithClaims<S> & Abortable,
  ): Promise<VerifiedJwt<S["Type"] | JwtPayload>>
  verify(tenant: string, token: string, options?: VerifyOptions & Abortable): Promise<VerifiedJwt>
  verify(
    tenant: string,
    token: string,
    options: PerhapsWithClaims<Schema.ConstraintDecoder<unknown>> & Abortable = {},
  ): Promise<VerifiedJwt<unknown>> {
    const { signal, ...asked } = whole(options)
    return this.#promise(({ verify }) => verify(tenant, token, asked), unavailable(tenant, options.provider), signal)
  }

  /** See `JwksRegistry.register`. */
  register(registration: ProviderRegistration): Promise<void> {
    return this.#promise(
      () => JwksRegistry.register(registration),
      Effect.suspend(() => Effect.fail(new InvalidRegistration({ issues: [closedIssue] }))),
    )
  }

  /** See `JwksRegistry.unregister`. */
  unregister(tenant: string, provider: string): Promise<boolean> {
    return this.#promise(() => JwksRegistry.unregister(tenant, provider), Effect.succeed(false))
  }

  /** See `JwksRegistry.unregisterTenant`. */
  unregisterTenant(tenant: string): Promise<number> {
    return this.#promise(() => JwksRegistry.unregisterTenant(tenant), Effect.succeed(0))
  }

  /** See `JwksRegistry.refresh`. */
  refresh(tenant: string, provider: string, { signal }: Abortable = {}): Promise<RefreshOutcome> {
    return this.#promise(() => JwksRegistry.refresh(tenant, provider), unavailable(tenant, provider), signal)
  }

  /** See `JwksRegistry.warmUp`. */
  warmUp(options: { readonly timeout: Duration.Input }): Promise<ReadonlyArray<WarmUpResult>> {
    return this.#promise(() => JwksRegistry.warmUp(options), Effect.succeed([]))
  }

  /** See `JwksRegistry.providerStatus`. */
  providerStatus(tenant: string, provider: string): Promise<ProviderStatus> {
    return this.#promise(
      () => JwksRegistry.providerStatus(tenant, provider),
      Effect.suspend(() => Effect.fail(new NotRegistered({ tenant, provider }))),
    )
  }

  /** See `JwksRegistry.allStatuses`. */
  allStatuses(): Promise<ReadonlyArray<ProviderStatus>> {
    return this.#promise(() => JwksRegistry.allStatuses, Effect.succeed([]))
  }

  /**
   * What happens from the first `next()` on, until the bridge is closed, as `JwksRegistry.events` has it. A loop that lags
   * behind loses the oldest events.
   */
  events(): AsyncIterable<JwksEvent> {
    const opened = Effect.suspend(() => this.#whenOpen(({ registry }) => Effect.succeed(registry.events), noEvents))
    const untilClosed = Stream.interruptWhen(Stream.unwrap(opened), Deferred.await(this.#left))
    return Stream.toAsyncIterable(Stream.mapError(untilClosed, toError))
  }

  /**
   * Takes no more calls. With a layer of its own: timers end, snapshots are written, and whoever waits gets
   * `JwksUnavailable`. Calls after the first wait for it.
   */
  close(): Promise<void> {
    this.#isClosed = true
    if (this.#isOurs) return this.#runtime.dispose()
    Deferred.doneUnsafe(this.#left, Exit.void)
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #promise<A>(ask: Ask<A>, whenClosed: Effect.Effect<A, unknown>, signal?: AbortSignal): Promise<A> {
    return new Promise((resolve) => resolve(this.#run(ask, whenClosed, signal)))
  }

  /** What an effect gives; at once, where it does not wait. Throws what it fails with. */
  #run<A>(ask: Ask<A>, whenClosed: Effect.Effect<A, unknown>, signal: AbortSignal | undefined): A | Promise<A> {
    signal?.throwIfAborted()
    const fiber = this.#fork(ask, whenClosed)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return valueOf(exit)
    return new Promise<A>((resolve, reject) => {
      // Nobody reads what the interrupted fiber ends with: the promise is settled before.
      const onAbort = () => {
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- whatever it is, it is the caller's
        reject(signal?.reason)
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

  /** Not on the runtime, which interrupts what runs on it before its registry can tell those who wait that it closes. */
  #fork<A>(ask: Ask<A>, whenClosed: Effect.Effect<A, unknown>): Fiber.Fiber<A, unknown> {
    const opened = this.#opened
    return opened === undefined || this.#isClosed
      ? Effect.runFork(this.#whenOpen(ask, whenClosed))
      : Effect.runForkWith(opened.context)(ask(opened))
  }

  #whenOpen<A>(ask: Ask<A>, whenClosed: Effect.Effect<A, unknown>): Effect.Effect<A, unknown> {
    if (this.#isClosed) return whenClosed
    return Effect.matchCauseEffect(this.#runtime.contextEffect, {
      onSuccess: (context) => {
        const opened = this.#open(context)
        return Effect.provideContext(ask(opened), opened.context)
      },
      onFailure: (cause) => (this.#hasEnded ? whenClosed : Effect.failCause(cause)),
    })
  }

  #open(context: Context.Context<JwksRegistry>): Opened {
    const registry = Context.get(context, JwksRegistry)
    return (this.#opened ??= {
      context,
      registry,
      verify: makeVerify(registry, this.#settings),
    })
  }

  /** Whether the runtime is disposed of, by us or by the application: its build says it with a defect, or is interrupted. */
  get #hasEnded(): boolean {
    return this.#isClosed || this.#runtime.scope.state._tag === "Closed"
  }
}

/** What there is once the layer is built. */
interface Opened {
  readonly context: Context.Context<JwksRegistry>
  readonly registry: JwksRegistryService
  readonly verify: JwtVerifierService["verify"]
}

/** A question to the registry. */
type Ask<A> = (opened: Opened) => Effect.Effect<A, unknown, JwksRegistry>

/** As the registry has it for who asks a closed one. */
const unavailable = (tenant: string, provider?: string): Effect.Effect<never, JwksUnavailable> =>
  Effect.suspend(() =>
    Effect.fail(
      new JwksUnavailable({
        tenant,
        ...(provider === undefined ? {} : { provider }),
        reason: { _tag: "RegistryClosed" },
      }),
    ),
  )

const noEvents: Effect.Effect<Stream.Stream<JwksEvent>> = Effect.succeed(Stream.empty)

const closedIssue = { field: "registry", rule: "is closed: register with a new one" }

const valueOf = <A>(exit: Exit.Exit<A, unknown>): A => {
  if (Exit.isSuccess(exit)) return exit.value
  throw toError(Cause.squash(exit.cause))
}

/** What is thrown may be anything; errors stay what they are. */
const toError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)))

/** Whose keys the token may be tried against. */
const providerOf = (
  tenant: string,
  registered: ReadonlyArray<RegisteredProvider>,
  { payload }: FlattenedJWSInput,
  { issuer, provider: named }: KeyFunctionOptions,
): Result.Result<RegisteredProvider, JwtInvalid | NotRegistered> => {
  const claims = (typeof payload === "string" ? objectIn(payload) : undefined) ?? {}
  const [first, second] = registered
  const only = second === undefined ? first : undefined
  const provider = named === undefined ? only : registered.find(({ provider }) => provider === named)
  // Nobody says whose tokens they are, or this one does not; but the caller knows.
  const isSilent = provider?.issuer === undefined || (named !== undefined && claims["iss"] === undefined)
  if (provider !== undefined && issuer === undefined && isSilent) return Result.succeed(provider)
  const bound = bind(tenant, registered, claims, { issuer, provider: named })
  return Result.mapBoth(bound, {
    onSuccess: ({ provider }) => provider,
    onFailure: (failure) => unbound(tenant, failure),
  })
}
