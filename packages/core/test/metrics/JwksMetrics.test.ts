import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Scope from "effect/Scope"
import { JwksMetrics, type ProviderLabels, type ProviderReading } from "../../src/metrics/JwksMetrics.ts"

const reading = (hits: number): ProviderReading => ({
  hits,
  misses: 1,
  stale: 0,
  refreshes: 1,
  notModified: 0,
  unknownKids: 0,
  keys: 2,
  expiresAt: 60_000,
  refreshErrors: new Map([["HttpStatus", hits]]),
})

const labels: ProviderLabels = { tenant: "acme", provider: "idp" }

/** A layer of its own on the metric registry of the test, and how to close it. */
const open = Effect.gen(function* () {
  const scope = yield* Scope.make()
  // Fresh: layers are memoised by value, and two applications build two.
  const context = yield* Layer.buildWithScope(Layer.fresh(JwksMetrics.layer), scope)
  return { metrics: Context.get(context, JwksMetrics), close: Scope.close(scope, Exit.void) }
})

/** Every series by name, with what it reads. */
const series = Effect.map(Metric.snapshot, (snapshots) =>
  Object.fromEntries(
    snapshots.map(({ id, state }) => [id, "count" in state ? state.count : "value" in state && state.value]),
  ),
)

const withOwnRegistry = Effect.provideService(Metric.MetricRegistry, new Map())

describe("two applications on one metric registry", () => {
  it.effect("are summed while both live, and the one that stays keeps its series", () =>
    Effect.gen(function* () {
      const [older, newer] = [yield* open, yield* open]
      older.metrics.open(labels, () => reading(3)).flightEnded(0.2)
      newer.metrics.open(labels, () => reading(5)).flightEnded(0.3)
      expect(yield* series).toMatchObject({
        jwks_cache_hits_total: 8,
        jwks_cache_requests_total: 10,
        jwks_cache_refresh_errors_total: 8,
        jwks_cache_refresh_duration_seconds: 2,
      })
      yield* newer.close
      expect(yield* series).toMatchObject({ jwks_cache_hits_total: 8, jwks_cache_refresh_duration_seconds: 2 })
      yield* older.close
      expect(yield* series).toEqual({})
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())),
  )

  it.effect("leave nothing behind without labels, and nothing is lost before", () =>
    Effect.gen(function* () {
      const [older, newer] = [yield* open, yield* open]
      const provider = older.metrics.open({}, () => reading(3))
      newer.metrics.open({}, () => reading(5))
      provider.close()
      expect(yield* series).toMatchObject({ jwks_cache_hits_total: 8, jwks_cache_keys: 2 })
      yield* older.close
      expect(yield* series).toMatchObject({ jwks_cache_hits_total: 8 })
      yield* newer.close
      expect(yield* series).toEqual({})
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())),
  )
})

describe("every series", () => {
  it.effect("says what it is, and what it is measured in", () =>
    Effect.gen(function* () {
      const { close, metrics } = yield* open
      const endRegistry = metrics.openRegistry(() => ({
        writes: 0,
        writeErrors: 0,
        readErrors: 0,
        restored: 0,
        ignored: 0,
        unwritten: 0,
        eventsDropped: 0,
      }))
      metrics.open(labels, () => reading(1)).flightEnded(0.1)
      const units: Record<string, string | undefined> = {}
      for (const { attributes, description, id, type } of yield* Metric.snapshot) {
        expect(description, id).toMatch(/^[A-Z].*[.a-z]$/)
        if (type === "Counter") expect(id).toMatch(/_total$/)
        units[id] = attributes?.["unit"]
      }
      expect(Object.fromEntries(Object.entries(units).filter(([, unit]) => unit !== undefined))).toEqual({
        jwks_cache_keys: "{key}",
        jwks_cache_expires_at_seconds: "s",
        jwks_cache_refresh_duration_seconds: "s",
        jwks_cache_snapshot_unwritten: "{snapshot}",
      })
      expect(yield* PrometheusMetrics.format()).not.toContain("unit=")
      endRegistry()
      yield* close
      expect(yield* series).toEqual({})
    }).pipe(withOwnRegistry),
  )
})

describe("series with labels", () => {
  it.effect("end with their provider, and begin anew with the next of the same name", () =>
    Effect.gen(function* () {
      const { close, metrics } = yield* open
      metrics.open(labels, () => reading(3)).close()
      expect(yield* series).toEqual({})
      metrics.open(labels, () => reading(1)).flightEnded(0.1)
      expect(yield* series).toMatchObject({ jwks_cache_hits_total: 1, jwks_cache_refresh_duration_seconds: 1 })
      yield* close
      expect(yield* series).toEqual({})
    }).pipe(withOwnRegistry),
  )

  it.effect("gain one for a reason that is new", () =>
    Effect.gen(function* () {
      const { close, metrics } = yield* open
      const errors = new Map<string, number>()
      const provider = metrics.open(labels, () => ({ ...reading(0), refreshErrors: errors }))
      expect(yield* series).not.toHaveProperty("jwks_cache_refresh_errors_total")
      errors.set("TimedOut", 2)
      provider.failedFor("TimedOut")
      expect(yield* series).toMatchObject({ jwks_cache_refresh_errors_total: 2 })
      yield* close
    }).pipe(withOwnRegistry),
  )
})
