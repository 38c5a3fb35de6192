/**
 * A registry over a Redis, with what it tells: events, metrics, log lines.
 */
import {
  JwksMetrics,
  JwksRegistry,
  type JwksEvent,
  type JwksRegistryOptions,
  type JwksRegistryService,
} from "@effect-jwks/core"
import { RedisPersistence, type RedisPersistenceOptions } from "@effect-jwks/redis"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import type * as Persistence from "effect/persistence/Persistence"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** The key that signs the snapshots of all registries of the tests. */
const snapshotKey = Redacted.make("0123456789abcdef0123456789abcdef")

/** A client that drops a silent connection early, so that tests need not wait. */
export const persistenceOn = (port: number, options: RedisPersistenceOptions = {}) =>
  Layer.orDie(
    RedisPersistence.layer({ host: "127.0.0.1", port, silenceTimeout: "1 second", maxReconnectDelay: 200, ...options }),
  )

/** A registry that the test closes, or its scope. */
export const openRegistryOn = Effect.fnUntraced(function* (
  persistence: Layer.Layer<Persistence.Persistence>,
  options: JwksRegistryOptions = {},
) {
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const logged: Array<string> = []
  const logger = Logger.make(({ cause, message }) => void logged.push(`${String(message)} ${JSON.stringify(cause)}`))
  const series = new Map()
  const context = yield* JwksRegistry.layer({
    requireHttps: false,
    defaults: { requireHttps: false },
    allowPrivateAddresses: ["127.0.0.1"],
    snapshotKey,
    ...options,
  }).pipe(
    Layer.provide([persistence, FetchHttpClient.layer, JwksMetrics.layer]),
    Layer.buildWithScope(scope),
    Effect.provideService(Logger.CurrentLoggers, new Set([logger])),
    Effect.provideService(Metric.MetricRegistry, series),
  )
  const registry = Context.get(context, JwksRegistry)

  const events: Array<JwksEvent> = []
  const waiting = new Set<() => void>()
  yield* registry.events.pipe(
    Stream.runForEach((event) =>
      Effect.sync(() => {
        events.push(event)
        for (const look of waiting) look()
      }),
    ),
    Effect.forkIn(scope, { startImmediately: true }),
  )
  return {
    registry,
    events,
    logged,
    close: Scope.close(scope, Exit.void),
    /** The first event of a tag, from event number `from` on, that has this text in it. */
    event: (tag: JwksEvent["_tag"], text = "", from = 0) =>
      Effect.gen(function* () {
        const found = yield* Deferred.make<JwksEvent>()
        const look = () => {
          const event = events
            .slice(from)
            .find(({ _tag, ...rest }) => _tag === tag && JSON.stringify(rest).includes(text))
          if (event !== undefined) Deferred.doneUnsafe(found, Exit.succeed(event))
        }
        waiting.add(look)
        look()
        return yield* Effect.ensuring(
          Deferred.await(found),
          Effect.sync(() => waiting.delete(look)),
        )
      }),
    /** The value of a counter or gauge without labels. */
    metric: (id: string) =>
      Metric.snapshot.pipe(
        Effect.provideService(Metric.MetricRegistry, series),
        Effect.map((all) => {
          const state = all.find((metric) => metric.id === id)?.state
          return state !== undefined && "count" in state
            ? Number(state.count)
            : state !== undefined && "value" in state
              ? Number(state.value)
              : 0
        }),
      ),
  }
})

/** A registry on the server at a port. */
export const openRegistry = (port: number, options?: JwksRegistryOptions) =>
  openRegistryOn(persistenceOn(port), options)

/** Writes everything, as soon as the store takes it: the connection of a new client may not be there yet. */
export const persistedAll = ({ persistAll }: JwksRegistryService) =>
  Effect.retry(
    Effect.filterOrFail(persistAll, ({ failed }) => failed.length === 0),
    { times: 100, schedule: Schedule.spaced("50 millis") },
  )

/** How long an effect takes, in milliseconds. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const begin = performance.now()
    return Effect.map(effect, (value) => ({ value, millis: performance.now() - begin }))
  })
