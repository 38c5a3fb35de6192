/**
 * Requests of an edge platform: each has a registry of its own, over one memory, and is over when that is closed.
 */
import { JwksMemory, JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import type { JwksRegistryOptions, JwksRegistryService, ProviderRegistration } from "@effect-jwks/core"
import { ScriptedProvider, type ScriptedProviderOptions } from "@effect-jwks/testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { settle, start } from "./support.ts"

/** How the platform's requests begin. */
export interface PlatformOptions {
  readonly registration?: Partial<ProviderRegistration>
  readonly options?: Partial<JwksRegistryOptions>
  readonly provider?: ScriptedProviderOptions
  readonly persistence?: Layer.Layer<Persistence.Persistence>
  readonly metrics?: Layer.Layer<JwksMetrics>
}

/** A request that is under way. */
export interface Request {
  readonly registry: JwksRegistryService
  /** The key with this kid, the provider's current one if none is given. */
  readonly resolve: (kid?: string) => ReturnType<JwksRegistryService["resolveKey"]>
  /** What the platform waits for after the response. */
  readonly end: Effect.Effect<void>
}

/** One provider, one memory, and requests. */
export const setUpPlatform = Effect.fnUntraced(function* ({
  metrics = JwksMetrics.layerNoop,
  options,
  persistence = Persistence.layerMemory,
  provider,
  registration,
}: PlatformOptions = {}) {
  if ((yield* Clock.currentTimeMillis) < start) yield* TestClock.setTime(start)
  const idp = yield* ScriptedProvider.make({ keptRequests: 10_000, ...provider })
  const registered: ProviderRegistration = {
    tenant: "acme",
    provider: "idp",
    jwksUrl: idp.jwksUrl,
    prefetchJitter: 0,
    ...registration,
  }
  const memory = JwksMemory.make()
  const given: JwksRegistryOptions = {
    requireHttps: false,
    allowPrivateAddresses: true,
    defaults: { requireHttps: false },
    memory,
    providers: [registered],
    ...options,
  }
  const outside = Layer.mergeAll(ScriptedProvider.layerClient(idp), persistence, metrics)

  /** Begins a request, with other options where they are given. */
  const request = Effect.fnUntraced(function* (changed: Partial<JwksRegistryOptions> = {}) {
    // One that the platform throws away is never ended.
    const scope = yield* Scope.make()
    const all = Object.keys(changed).length === 0 ? given : { ...given, ...changed }
    const registry = yield* JwksRegistry.layer(all).pipe(
      Layer.provide(outside),
      (layer) => Layer.buildWithScope(layer, scope),
      Effect.map((context) => Context.get(context, JwksRegistry)),
    )
    const begun: Request = {
      registry,
      resolve: (kid) => Effect.suspend(() => registry.resolveKey("acme", kid ?? idp.keys.current.kid)),
      end: Scope.close(scope, Exit.void),
    }
    return begun
  })

  /** One whole request: its question is answered, then it ends. */
  const ask = (kid?: string) => Effect.flatMap(request(), ({ end, resolve }) => Effect.ensuring(resolve(kid), end))

  return { idp, memory, given, registered, request, ask }
})

/** A request that asks, and has not been answered yet or has: the platform goes on meanwhile. */
export const asking = Effect.fnUntraced(function* <A, E, R>(question: Effect.Effect<A, E, R>) {
  const fiber: Fiber.Fiber<A, E> = yield* Effect.forkScoped(question)
  yield* settle
  return fiber
})

/** A clock whose sleepers never wake: that of a request which the platform has thrown away. */
export const abandoned = Effect.map(Clock.Clock, (clock): Clock.Clock => ({
  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
  currentTimeMillis: clock.currentTimeMillis,
  currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
  currentTimeNanos: clock.currentTimeNanos,
  monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
  monotonicTimeNanos: clock.monotonicTimeNanos,
  sleep: () => Effect.never,
}))
