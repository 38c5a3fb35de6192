/**
 * What the tests of the rules share: a registry over scripted providers on the test's clock, and the
 * question whether an answer is there without time passing.
 */
import { assert } from "@effect/vitest"
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import type { JwksEvent, JwksRegistryOptions, JwksRegistryService, ProviderRegistration } from "@effect-jwks/core"
import { ScriptedProvider, TestRegistry } from "@effect-jwks/testing"
import type { IdentityProvider, ScriptedProviderOptions } from "@effect-jwks/testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

/** When a test begins: epoch milliseconds, whole seconds. */
export const start = Date.UTC(2026, 10, 20)

export const seconds = (count: number): number => count * 1_000
export const minutes = (count: number): number => count * 60_000
export const hours = (count: number): number => count * 3_600_000

/** Lets every fiber run until it waits for time or for an event; no time passes. */
export const settle = Effect.forEach(Array.from({ length: 100 }), () => Effect.yieldNow, { discard: true })

/** Starts an effect and lets it run until it waits. */
export const begin = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
  Effect.tap(Effect.forkChild(effect), settle)

/** How an effect ends without time passing; fails the test if it waits. */
const atOnce = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Exit.Exit<A, E>, never, R> =>
  Effect.map(begin(effect), (fiber) => fiber.pollUnsafe() ?? assert.fail("waits instead of answering at once"))

/** What an effect answers without time passing. */
export const answerAtOnce = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatten(atOnce(effect))

/** What an effect fails with without time passing. */
export const errorAtOnce = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<E, A, R> =>
  Effect.flip(answerAtOnce(effect))

/** Fails the test if the fiber is done. */
export const assertWaits = (fiber: Fiber.Fiber<unknown, unknown>, message?: string): void =>
  assert.isUndefined(fiber.pollUnsafe(), message ?? "is answered, but should wait")

/** Random numbers that are always the same one, from 0 to less than 1. */
export const withRandom =
  (value: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(effect, Random.Random, {
      nextDoubleUnsafe: () => value,
      nextIntUnsafe: () => Math.floor(value * Number.MAX_SAFE_INTEGER),
    })

/** The largest number that a random generator gives, nearly. */
export const almostOne = 1 - 1e-9

/**
 * Draws no random number between 0 and 0.01: now and then a jittered delay would round to no delay at
 * all, and the next attempt would start where a test has seen to it that no time passes.
 */
const withoutTinyDelays = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Random.Random, (random) =>
    Effect.provideService(effect, Random.Random, {
      nextIntUnsafe: () => random.nextIntUnsafe(),
      nextDoubleUnsafe: () => {
        const value = random.nextDoubleUnsafe()
        return value === 0 ? 0 : Math.max(value, 0.01)
      },
    }),
  )

/** A registry that reaches whatever the client reaches, for as long as the scope lives. */
export const openRegistryOn = (client: HttpClient.HttpClient, options: JwksRegistryOptions = {}) =>
  TestRegistry.layerNoClient(options).pipe(
    Layer.provide(Layer.succeed(HttpClient.HttpClient, client)),
    Layer.build,
    withoutTinyDelays,
    Effect.map((context) => Context.get(context, JwksRegistry)),
  )

/** A registry that reaches these scripted providers, for as long as the scope lives. */
export const openRegistry = (providers: ReadonlyArray<IdentityProvider>, options?: JwksRegistryOptions) =>
  openRegistryOn(ScriptedProvider.client(...providers), options)

/** A registry that the test closes. */
export const openClosableRegistry = Effect.fnUntraced(function* (
  providers: ReadonlyArray<IdentityProvider>,
  options?: JwksRegistryOptions,
) {
  const scope = yield* Scope.make()
  const registry = yield* Scope.provide(openRegistry(providers, options), scope)
  return { registry, close: Scope.close(scope, Exit.void) }
})

/** A registry as an operator gets it: nothing allowed that the options do not allow. */
export const openStrictRegistry = (providers: ReadonlyArray<IdentityProvider>, options: JwksRegistryOptions = {}) =>
  JwksRegistry.layer(options).pipe(
    Layer.provide([ScriptedProvider.layerClient(...providers), Persistence.layerMemory, JwksMetrics.layerNoop]),
    Layer.build,
    withoutTinyDelays,
    Effect.map((context) => Context.get(context, JwksRegistry)),
  )

/** How a test begins. */
export interface SetUp {
  readonly registration?: Partial<ProviderRegistration>
  readonly options?: JwksRegistryOptions
  readonly provider?: ScriptedProviderOptions
  /** Whether the provider is registered. Default: `true`. */
  readonly register?: boolean
  /** A fault that is there before the registration. */
  readonly before?: (provider: IdentityProvider) => Effect.Effect<unknown>
}

/**
 * A scripted provider and a registry, with the provider registered as `idp` of `acme`. Leads have no
 * jitter, so that refreshes come when the settings say.
 */
export const setUp = Effect.fnUntraced(function* ({ before, options, provider, register, registration }: SetUp = {}) {
  if ((yield* Clock.currentTimeMillis) < start) yield* TestClock.setTime(start)
  const idp = yield* ScriptedProvider.make({ keptRequests: 10_000, ...provider })
  yield* before?.(idp) ?? Effect.void
  const registry = yield* openRegistry([idp], options)
  const registered: ProviderRegistration = {
    tenant: "acme",
    provider: "idp",
    jwksUrl: idp.jwksUrl,
    prefetchJitter: 0,
    ...registration,
  }
  const { provider: name, tenant } = registered
  if (register !== false) yield* registry.register(registered)
  return {
    idp,
    registry,
    registered,
    /** The key with this kid, the provider's current one if none is given. */
    resolve: (kid?: string, how: Parameters<JwksRegistryService["resolveKey"]>[2] = {}) =>
      Effect.suspend(() => registry.resolveKey(tenant, kid ?? idp.keys.current.kid, { provider: name, ...how })),
    resolveSet: registry.resolve(tenant, name),
    refresh: registry.refresh(tenant, name),
    /** Registers again with changes. */
    registerAgain: (changes: Partial<ProviderRegistration>) => registry.register({ ...registered, ...changes }),
    status: Effect.orDie(registry.providerStatus(tenant, name)),
  }
})

/** {@link setUp}, with the first set already there. */
export const setUpLoaded = Effect.fnUntraced(function* (how?: SetUp) {
  const world = yield* setUp(how)
  yield* Effect.orDie(world.resolveSet)
  yield* settle
  return world
})

/** Collects the events of a registry from now on. */
export const collectEvents = Effect.fnUntraced(function* (registry: JwksRegistryService) {
  const events: Array<JwksEvent> = []
  yield* registry.events.pipe(
    Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
    Effect.forkScoped({ startImmediately: true }),
  )
  yield* settle
  return events
})

/** The events of one tag. */
export const tagged = <Tag extends JwksEvent["_tag"]>(
  events: ReadonlyArray<JwksEvent>,
  tag: Tag,
): ReadonlyArray<Extract<JwksEvent, { readonly _tag: Tag }>> =>
  events.filter((event): event is Extract<JwksEvent, { readonly _tag: Tag }> => event._tag === tag)

/** When the requests of a provider arrived, relative to the start of the test, in milliseconds. */
export const arrivals = (provider: IdentityProvider): ReadonlyArray<number> => provider.log.map(({ at }) => at - start)
