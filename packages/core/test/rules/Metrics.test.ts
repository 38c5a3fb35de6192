import { assert, describe, it } from "@effect/vitest"
import { JwksMetrics, JwksRegistry, type JwksRegistryOptions } from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Persistence from "effect/persistence/Persistence"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { errorAtOnce, minutes, settle, start } from "./support.ts"

const counterNames = [
  "jwks_cache_requests_total",
  "jwks_cache_hits_total",
  "jwks_cache_misses_total",
  "jwks_cache_stale_total",
  "jwks_cache_refresh_total",
  "jwks_cache_refresh_errors_total",
  "jwks_cache_not_modified_total",
  "jwks_cache_unknown_kid_total",
]

/** A sample of the Prometheus text format: name, labels and value. */
interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const parse = (text: string): ReadonlyArray<Sample> =>
  text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, name = "", labels = "", value = ""] = /^([^{ ]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      const pairs = Array.from(labels.matchAll(/([^=,]+)="((?:[^"\\]|\\.)*)"/g), ([, key = "", text = ""]) => [
        key,
        text,
      ])
      return { name, labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value) }
    })

/** Runs a test with a metric registry of its own. */
const isolated = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map()))

const setUp = Effect.fnUntraced(function* (options: JwksRegistryOptions = {}) {
  yield* TestClock.setTime(start)
  const idp = yield* ScriptedProvider.make()
  const scope = yield* Scope.make()
  const registry = yield* JwksRegistry.layer(options).pipe(
    Layer.provide([ScriptedProvider.layerClient(idp), Persistence.layerMemory, JwksMetrics.layer]),
    (layer) => Layer.buildWithScope(layer, scope),
    Effect.map((context) => Context.get(context, JwksRegistry)),
  )
  const samples = Effect.map(PrometheusMetrics.format(), parse)
  return {
    idp,
    registry,
    samples,
    close: Scope.close(scope, Exit.void),
    register: (tenant = "acme", provider = "idp") =>
      registry.register({ tenant, provider, jwksUrl: idp.jwksUrl, prefetchJitter: 0 }),
    /** The only value under a name and labels, 0 where there is none yet. */
    read: (name: string, labels: Readonly<Record<string, string>> = { tenant: "acme", provider: "idp" }) =>
      Effect.map(samples, (all) => {
        const fitting = all.filter(
          (sample) =>
            sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
        )
        assert.isAtMost(fitting.length, 1, `${name} ${JSON.stringify(labels)}`)
        return fitting[0]?.value ?? 0
      }),
  }
})

describe("JwksMetrics.layer", () => {
  it.effect("counts under the contract's names, with tenant and provider", () =>
    Effect.gen(function* () {
      const { idp, read, register, registry, samples } = yield* setUp()
      yield* register()
      yield* registry.resolve("acme", "idp")
      const { kid } = idp.keys.current
      const resolve = registry.resolveKey("acme", kid, { provider: "idp" })
      const [hits, misses] = [yield* read("jwks_cache_hits_total"), yield* read("jwks_cache_misses_total")]
      assert.strictEqual(hits + misses, 1)
      yield* Effect.replicateEffect(resolve, 7)
      assert.strictEqual(yield* read("jwks_cache_hits_total"), hits + 7)
      yield* registry.refresh("acme", "idp")
      yield* errorAtOnce(registry.resolveKey("acme", "ghost", { provider: "idp" }))
      assert.strictEqual(yield* read("jwks_cache_unknown_kid_total"), 1)
      assert.strictEqual(yield* read("jwks_cache_misses_total"), misses + 1)
      assert.strictEqual(yield* read("jwks_cache_requests_total"), 9)
      assert.strictEqual(yield* read("jwks_cache_refresh_total"), 3)
      assert.strictEqual(yield* read("jwks_cache_not_modified_total"), 2)
      yield* idp.faults.status(404)
      yield* Effect.flip(registry.refresh("acme", "idp"))
      assert.strictEqual(yield* read("jwks_cache_refresh_total"), 4)
      assert.strictEqual(yield* read("jwks_cache_refresh_errors_total"), 1)
      yield* TestClock.adjust("20 minutes")
      yield* resolve
      yield* resolve
      assert.strictEqual(yield* read("jwks_cache_stale_total"), 2)
      const names = new Set((yield* samples).map(({ name }) => name))
      for (const name of counterNames) assert.isTrue(names.has(name), name)
      for (const { labels, name } of yield* samples) {
        // The store and the stream are everybody's.
        if (!/^jwks_cache_(snapshot|events)_/.test(name))
          assert.deepInclude(labels, { tenant: "acme", provider: "idp" })
        assert.match(name, /^jwks_cache_/)
      }
    }).pipe(isolated),
  )

  it.effect("declares counters as counters, gauges as gauges, the duration as a histogram", () =>
    Effect.gen(function* () {
      const { idp, register, registry } = yield* setUp()
      yield* idp.faults.status(404, { next: 1 })
      yield* register()
      yield* Effect.flip(registry.resolve("acme", "idp"))
      yield* registry.refresh("acme", "idp")
      const text = yield* PrometheusMetrics.format()
      for (const name of counterNames) assert.include(text, `# TYPE ${name} counter`)
      assert.include(text, "# TYPE jwks_cache_keys gauge")
      assert.include(text, "# TYPE jwks_cache_expires_at_seconds gauge")
      assert.include(text, "# TYPE jwks_cache_refresh_duration_seconds histogram")
    }).pipe(isolated),
  )

  it.effect("tells errors apart by reason", () =>
    Effect.gen(function* () {
      const { idp, read, register, registry } = yield* setUp()
      yield* register()
      yield* registry.resolve("acme", "idp")
      const refresh = Effect.flip(registry.refresh("acme", "idp"))
      yield* idp.faults.status(404)
      yield* refresh
      yield* refresh
      yield* idp.faults.body("{")
      yield* refresh
      const of = (reason: string) =>
        read("jwks_cache_refresh_errors_total", { tenant: "acme", provider: "idp", reason })
      assert.deepStrictEqual([yield* of("HttpStatus"), yield* of("BodyInvalid"), yield* of("TimedOut")], [2, 1, 0])
    }).pipe(isolated),
  )

  it.effect("gives the number of keys and the expiry in seconds", () =>
    Effect.gen(function* () {
      const { idp, read, register, registry } = yield* setUp()
      yield* register()
      yield* registry.resolve("acme", "idp")
      assert.strictEqual(yield* read("jwks_cache_keys"), 1)
      assert.strictEqual(yield* read("jwks_cache_expires_at_seconds"), (start + minutes(10)) / 1_000)
      yield* idp.keys.rotate()
      yield* registry.refresh("acme", "idp")
      assert.strictEqual(yield* read("jwks_cache_keys"), 2)
      yield* idp.faults.status(404)
      yield* TestClock.adjust(minutes(70) - 1)
      assert.strictEqual(yield* read("jwks_cache_keys"), 2)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* read("jwks_cache_keys"), 0, "past the stale window they are of no use")
    }).pipe(isolated),
  )

  it.effect("measures how long flights take, in seconds", () =>
    Effect.gen(function* () {
      const { idp, read, register } = yield* setUp()
      yield* idp.faults.delay("1500 millis", { next: 1 })
      yield* register()
      yield* TestClock.adjust("1500 millis")
      yield* settle
      assert.strictEqual(yield* read("jwks_cache_refresh_duration_seconds_count"), 1)
      assert.closeTo(yield* read("jwks_cache_refresh_duration_seconds_sum"), 1.5, 0.01)
    }).pipe(isolated),
  )

  it.effect("is exact after 10,000 concurrent calls", () =>
    Effect.gen(function* () {
      const { idp, read, register, registry } = yield* setUp()
      yield* idp.faults.hold
      yield* register()
      const { kid } = idp.keys.current
      const callers = yield* Effect.forEach(Array.from({ length: 10_000 }), () =>
        Effect.forkChild(registry.resolveKey("acme", kid)),
      )
      yield* settle
      yield* idp.faults.release()
      yield* settle
      for (const caller of callers) assert.isTrue(caller.pollUnsafe()?._tag === "Success")
      assert.strictEqual(yield* read("jwks_cache_requests_total"), 10_000)
      assert.strictEqual(yield* read("jwks_cache_misses_total"), 10_000)
      yield* Effect.all(
        Array.from({ length: 10_000 }, () => registry.resolveKey("acme", kid)),
        { concurrency: "unbounded" },
      )
      assert.strictEqual(yield* read("jwks_cache_hits_total"), 10_000)
      assert.strictEqual(yield* read("jwks_cache_requests_total"), 20_000)
      assert.strictEqual(yield* read("jwks_cache_refresh_total"), 1)
    }).pipe(isolated),
  )

  it.effect("says the same as the status", () =>
    Effect.gen(function* () {
      const { idp, read, register, registry } = yield* setUp()
      yield* register()
      yield* Effect.replicateEffect(registry.resolveKey("acme", idp.keys.current.kid), 5)
      for (let i = 0; i < 5; i += 1) yield* Effect.flip(registry.resolveKey("acme", `ghost-${i}`))
      yield* idp.faults.status(404)
      yield* TestClock.adjust("1 hour")
      yield* registry.resolveKey("acme", idp.keys.current.kid)
      const status = yield* registry.providerStatus("acme", "idp")
      assert.deepStrictEqual(
        {
          requests: yield* read("jwks_cache_requests_total"),
          hits: yield* read("jwks_cache_hits_total"),
          misses: yield* read("jwks_cache_misses_total"),
          stale: yield* read("jwks_cache_stale_total"),
          refreshes: yield* read("jwks_cache_refresh_total"),
          refreshErrors: yield* read("jwks_cache_refresh_errors_total"),
          notModified: yield* read("jwks_cache_not_modified_total"),
        },
        {
          requests: status.requests,
          hits: status.hits,
          misses: status.misses,
          stale: status.stale,
          refreshes: status.refreshes,
          refreshErrors: status.refreshErrors,
          notModified: status.notModified,
        },
      )
    }).pipe(isolated),
  )

  it.effect("keeps providers apart", () =>
    Effect.gen(function* () {
      const { idp, read, register, registry } = yield* setUp()
      const { kid } = idp.keys.current
      for (const [tenant, provider] of [
        ["a", "b"],
        ["a", "c"],
        ["b", "b"],
      ] as const) {
        yield* register(tenant, provider)
        yield* registry.resolve(tenant, provider)
      }
      yield* Effect.replicateEffect(registry.resolveKey("a", kid, { provider: "c" }), 3)
      const hits = (tenant: string, provider: string) => read("jwks_cache_hits_total", { tenant, provider })
      assert.strictEqual((yield* hits("a", "c")) - (yield* hits("a", "b")), 3)
      assert.strictEqual(yield* hits("a", "b"), yield* hits("b", "b"))
    }).pipe(isolated),
  )

  it.effect("drops the labels with metricLabels none, sums, and never counts backwards", () =>
    Effect.gen(function* () {
      const { idp, read, register, registry, samples } = yield* setUp({ metricLabels: "none" })
      const { kid } = idp.keys.current
      yield* register("a")
      yield* register("b")
      yield* registry.resolve("a", "idp")
      yield* registry.resolve("b", "idp")
      const before = yield* read("jwks_cache_requests_total", {})
      yield* Effect.replicateEffect(registry.resolveKey("a", kid), 3)
      yield* Effect.replicateEffect(registry.resolveKey("b", kid), 4)
      assert.strictEqual((yield* read("jwks_cache_requests_total", {})) - before, 7)
      assert.strictEqual(yield* read("jwks_cache_keys", {}), 2)
      for (const { labels } of yield* samples) {
        assert.notProperty(labels, "tenant")
        assert.notProperty(labels, "provider")
      }
      const requests = yield* read("jwks_cache_requests_total", {})
      yield* registry.unregister("b", "idp")
      assert.strictEqual(yield* read("jwks_cache_requests_total", {}), requests)
      assert.strictEqual(yield* read("jwks_cache_keys", {}), 1)
    }).pipe(isolated),
  )

  it.effect("ends the series of a provider that is unregistered, and all when the layer closes", () =>
    Effect.gen(function* () {
      const { close, register, registry, samples } = yield* setUp()
      yield* register("a")
      yield* register("b")
      yield* settle
      yield* registry.unregister("b", "idp")
      assert.deepStrictEqual([...new Set((yield* samples).flatMap(({ labels }) => labels["tenant"] ?? []))], ["a"])
      yield* close
      assert.isEmpty(yield* samples)
    }).pipe(isolated),
  )

  it.effect("goes on counting where a provider is registered again", () =>
    Effect.gen(function* () {
      const { idp, read, register, registry } = yield* setUp()
      yield* register()
      yield* registry.resolve("acme", "idp")
      yield* Effect.replicateEffect(registry.resolveKey("acme", idp.keys.current.kid), 5)
      const before = yield* read("jwks_cache_requests_total")
      yield* register()
      yield* registry.resolveKey("acme", idp.keys.current.kid)
      assert.strictEqual(yield* read("jwks_cache_requests_total"), before + 1)
    }).pipe(isolated),
  )

  it.effect("escapes ids that the text format gives a meaning", () =>
    Effect.gen(function* () {
      const { register, registry, samples } = yield* setUp()
      yield* register('te"nant\\', "auth0|7")
      yield* registry.resolve('te"nant\\', "auth0|7")
      const requests = (yield* samples).filter(({ name }) => name === "jwks_cache_requests_total")
      assert.deepStrictEqual(
        requests.map(({ labels }) => labels),
        [{ tenant: 'te\\"nant\\\\', provider: "auth0|7" }],
      )
    }).pipe(isolated),
  )
})

describe("JwksMetrics.layerNoop", () => {
  it.effect("publishes nothing", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider.make()
      const registry = yield* JwksRegistry.layer({}).pipe(
        Layer.provide([ScriptedProvider.layerClient(idp), Persistence.layerMemory, JwksMetrics.layerNoop]),
        Layer.build,
        Effect.map((context) => Context.get(context, JwksRegistry)),
      )
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
      yield* registry.resolve("acme", "idp")
      assert.strictEqual(yield* PrometheusMetrics.format(), "")
    }).pipe(isolated),
  )
})
