/**
 * One provider and one store that outlive processes: registries that are opened and closed one after the
 * other, or side by side.
 */
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import type { JwksRegistryOptions, ProviderRegistration } from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import type { ScriptedProviderOptions } from "@effect-jwks/testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { collectEvents, settle, start, withRandom } from "../rules/support.ts"
import { ScriptedStore } from "./scriptedStore.ts"

/** What processes have in common that can read each other's snapshots. */
export const withKey: JwksRegistryOptions = { snapshotKey: "a key that all processes share" }

export const owner = { tenant: "acme", provider: "idp" }

/** A provider, a store, and processes that use both; whatever is random is half of what it may be. */
export const makeWorld = Effect.fnUntraced(function* (provider: ScriptedProviderOptions = {}) {
  if ((yield* Clock.currentTimeMillis) < start) yield* TestClock.setTime(start)
  const idp = yield* ScriptedProvider.make({ keptRequests: 1_000, ...provider })
  const store = new ScriptedStore()
  const { kid } = idp.keys.current

  /** Opens a registry, as another process would, and collects what it tells. */
  const open = Effect.fnUntraced(function* (options: JwksRegistryOptions = withKey) {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const logs: Array<string> = []
    const metrics = new Map()
    const logger = Logger.make(({ logLevel, message }) => void logs.push(`${logLevel}: ${String(message)}`))
    const registry = yield* JwksRegistry.layer(options).pipe(
      Layer.provide([ScriptedProvider.layerClient(idp), store.layer, JwksMetrics.layer]),
      (layer) => Layer.buildWithScope(layer, scope),
      Effect.map((context) => Context.get(context, JwksRegistry)),
      Effect.provideService(Logger.CurrentLoggers, new Set([logger])),
      Effect.provideService(References.MinimumLogLevel, "Trace"),
      Effect.provideService(Metric.MetricRegistry, metrics),
      withRandom(0.5),
    )
    const events = yield* collectEvents(registry)
    const registered = { ...owner, jwksUrl: idp.jwksUrl, prefetchJitter: 0 }
    return {
      registry,
      events,
      logs,
      close: Scope.close(scope, Exit.void),
      register: (changes: Partial<ProviderRegistration> = {}) => registry.register({ ...registered, ...changes }),
      resolve: registry.resolveKey(owner.tenant, kid),
      status: Effect.orDie(registry.providerStatus(owner.tenant, owner.provider)),
      /** The numbers of the snapshot metrics, without their prefix. */
      metrics: Metric.snapshot.pipe(
        Effect.provideService(Metric.MetricRegistry, metrics),
        Effect.map((snapshots) =>
          Object.fromEntries(
            snapshots.flatMap((one) =>
              one.id.startsWith("jwks_cache_snapshot_")
                ? [
                    [
                      one.id.replace("jwks_cache_snapshot_", ""),
                      one.type === "Counter"
                        ? Number(one.state.count)
                        : one.type === "Gauge"
                          ? Number(one.state.value)
                          : NaN,
                    ] as const,
                  ]
                : [],
            ),
          ),
        ),
      ),
    }
  })

  return {
    idp,
    store,
    kid,
    open,
    /** The times of what is stored. */
    times: () => {
      const [, json = "{}"] = /^effect-jwks\/1 \S+ (.*)$/m.exec(store.textOf(owner) ?? "") ?? []
      const { expiresAt, fetchedAt, fetchedInFullAt, staleUntil } = JSON.parse(json) as Record<string, unknown>
      return { fetchedAt, fetchedInFullAt, expiresAt, staleUntil }
    },
    /** A process that fetches the set, stores it, and ends. */
    before: Effect.fnUntraced(function* (changes: Partial<ProviderRegistration> = {}, options?: JwksRegistryOptions) {
      const process = yield* open(options)
      yield* process.register(changes)
      yield* settle
      yield* process.close
    }),
  }
})
