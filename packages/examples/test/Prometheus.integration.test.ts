/**
 * A real Prometheus scrapes a registry, and its query API says what the fake providers and this test have
 * counted.
 */
import { JwksRegistry } from "@effect-jwks/core"
import { FakeProvider, type ListeningProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect, it } from "vitest"
import { type PrometheusServer, hasNoPrometheus, promtool, startPrometheus } from "./support/PrometheusServer.ts"
import { loginsDone, startExample } from "./support/RunningExample.ts"
import { type Watched, withWatchedRegistry } from "./support/WatchedRegistry.ts"

/** What the test itself has counted at a provider. */
interface Asked {
  hits: number
  misses: number
  stale: number
  unknownKids: number
}

/** A provider that keeps its log, and says nothing of the time: the registry's clock is ahead of it. */
const startProvider = FakeProvider.make({
  keptRequests: 10_000,
  response: { cacheControl: "max-age=600", date: undefined },
})

const register = (tenant: string, { jwksUrl }: ListeningProvider) =>
  JwksRegistry.register({ tenant, provider: "idp", jwksUrl })

const scraping = (target: string) =>
  Effect.acquireRelease(
    Effect.promise(() => startPrometheus({ target, intervalMillis: 200 })),
    (prometheus) => Effect.promise(prometheus.stop),
  )

/** Waits for a scrape that began after this moment; Prometheus may date one a few milliseconds early. */
const scrapedAnew = (prometheus: PrometheusServer) =>
  Effect.promise(() => {
    const after = Date.now() / 1_000 + 0.01
    return prometheus.queryUntil("timestamp(jwks_cache_snapshot_unwritten)", ([sample]) => (sample?.value ?? 0) > after)
  })

/** The value of the only series that the expression gives. */
const valueOf = (prometheus: PrometheusServer, expression: string) =>
  Effect.promise(async () => {
    const samples = await prometheus.query(expression)
    expect(samples.length, expression).toBe(1)
    return samples[0]?.value
  })

/** Hits, misses, a rotation, 304s, every kind of failure, stale answers and a recovery. */
const traffic = Effect.fnUntraced(function* ({ clock }: Watched, idp: ListeningProvider) {
  const asked: Asked = { hits: 0, misses: 0, stale: 0, unknownKids: 0 }
  const ask = (kid: string) => JwksRegistry.resolveKey("acme", kid, { provider: "idp" })
  const hit = (times: number) =>
    ask(idp.keys.current.kid).pipe(
      Effect.tap(({ freshness }) => {
        asked.hits += 1
        if (freshness === "stale") asked.stale += 1
        return Effect.void
      }),
      Effect.replicateEffect(times, { discard: true }),
    )

  // Three wait for the first document.
  yield* idp.faults.hold
  yield* register("acme", idp)
  const waiting = yield* Effect.all(
    [1, 2, 3].map(() => ask(idp.keys.current.kid)),
    {
      concurrency: "unbounded",
    },
  ).pipe(Effect.forkChild({ startImmediately: true }))
  asked.misses += 3
  yield* idp.faults.awaitHeld(1)
  yield* idp.faults.release()
  yield* Fiber.join(waiting)
  yield* hit(50)

  // The provider is asked for it once; then its absence is remembered.
  yield* Effect.flip(ask("ghost"))
  yield* Effect.flip(ask("ghost"))
  asked.misses += 2
  asked.unknownKids += 2

  // A new key, found because somebody asks for it.
  yield* idp.keys.rotate({ keepOld: false })
  yield* ask(idp.keys.current.kid)
  asked.misses += 1
  asked.unknownKids += 1
  yield* hit(10)
  yield* Effect.replicateEffect(JwksRegistry.refresh("acme", "idp"), 2)

  // Everything fails, in different ways, until the set is past its life.
  yield* idp.faults.body("{", { next: 1 })
  yield* idp.faults.refuse({ next: 1 })
  yield* idp.faults.status(503)
  yield* Effect.replicateEffect(Effect.flip(JwksRegistry.refresh("acme", "idp")), 4)
  yield* clock.jump("20 minutes")
  yield* hit(7)

  yield* idp.faults.heal
  yield* JwksRegistry.refresh("acme", "idp")
  yield* hit(5)
  return asked
})

describe.skipIf(hasNoPrometheus)("Prometheus", () => {
  it.concurrent("has counted what the providers and the callers have", async () => {
    const program = (watched: Watched) =>
      Effect.gen(function* () {
        const [acme, globex] = [yield* startProvider, yield* startProvider]
        const prometheus = yield* scraping(watched.target)
        const asked = yield* traffic(watched, acme)
        yield* register("globex", globex)
        yield* JwksRegistry.resolve("globex", "idp")
        yield* scrapedAnew(prometheus)

        const read = (name: string, labels = 'tenant="acme",provider="idp"') =>
          valueOf(prometheus, `jwks_cache_${name}{${labels}}`)
        const met = (...tags: ReadonlyArray<string | undefined>) =>
          acme.log.filter(({ fault }) => tags.includes(fault)).length
        const ofReason = (reason: string) =>
          read("refresh_errors_total", `tenant="acme",provider="idp",reason="${reason}"`)

        expect(yield* read("hits_total")).toBe(asked.hits)
        expect(asked.hits).toBe(72)
        expect(yield* read("misses_total")).toBe(asked.misses)
        expect(yield* read("requests_total")).toBe(asked.hits + asked.misses)
        expect(yield* read("stale_total")).toBe(asked.stale)
        expect(asked.stale).toBe(7)
        expect(yield* read("unknown_kid_total")).toBe(asked.unknownKids)

        expect(yield* read("refresh_total")).toBe(acme.requests)
        expect(yield* read("refresh_duration_seconds_count")).toBe(acme.requests)
        expect(yield* read("not_modified_total")).toBe(acme.notModified)
        expect(acme.notModified).toBeGreaterThanOrEqual(3)
        expect(yield* ofReason("HttpStatus")).toBe(acme.byStatus[503])
        expect(yield* ofReason("TransportFailed")).toBe(met("Refuse"))
        expect(yield* ofReason("BodyInvalid")).toBe(met("Replace") - (acme.byStatus[503] ?? 0))
        const errors = valueOf(prometheus, 'sum(jwks_cache_refresh_errors_total{tenant="acme"})')
        expect(yield* errors).toBe(met("Replace", "Refuse"))
        expect(yield* errors).toBeGreaterThanOrEqual(4)

        expect(yield* read("keys")).toBe(1)
        const left = ((yield* read("expires_at_seconds")) ?? 0) - watched.clock.currentTimeMillisUnsafe() / 1_000
        expect(left).toBeGreaterThan(570)
        expect(left).toBeLessThan(601)
        expect(yield* read("refresh_total", 'tenant="globex",provider="idp"')).toBe(globex.requests)
        expect(yield* read("misses_total", 'tenant="globex"')).toBe(1)

        const text = yield* Effect.promise(async () => (await fetch(`http://${watched.target}/metrics`)).text())
        expect(yield* Effect.promise(() => promtool(["check", "metrics"], text))).toEqual({ code: 0, output: "" })
      }).pipe(Effect.scoped)
    await Effect.runPromise(withWatchedRegistry(program))
  })

  it.concurrent("sees series end with their providers, however many come and go", async () => {
    const program = ({ target }: Watched) =>
      Effect.gen(function* () {
        const idp = yield* startProvider
        const prometheus = yield* scraping(target)
        const series = (tenant: string) => `count({__name__=~"jwks_cache_.+",tenant=~"${tenant}"})`
        yield* register("stays", idp)
        yield* JwksRegistry.resolve("stays", "idp")

        for (const round of [1, 2, 3]) {
          const tenants = Array.from({ length: 50 }, (_, n) => `round-${round}-${n}`)
          yield* Effect.forEach(tenants, (tenant) => register(tenant, idp))
          yield* Effect.forEach(tenants, (tenant) => JwksRegistry.resolve(tenant, "idp"), { concurrency: 8 })
          yield* scrapedAnew(prometheus)
          // 7 counters, 2 gauges, 12 buckets with their sum and count, and nobody has more.
          expect(yield* valueOf(prometheus, series("stays"))).toBe(23)
          expect(yield* valueOf(prometheus, series("round.*"))).toBe(50 * 23)
          expect(yield* valueOf(prometheus, 'count(jwks_cache_hits_total{tenant=~"round.*"})')).toBe(50)
          yield* Effect.forEach(tenants, (tenant) => JwksRegistry.unregisterTenant(tenant))
          yield* scrapedAnew(prometheus)
          expect(yield* Effect.promise(() => prometheus.query(series("round.*")))).toEqual([])
          expect(yield* valueOf(prometheus, series("stays"))).toBe(23)
        }
      }).pipe(Effect.scoped)
    await Effect.runPromise(withWatchedRegistry(program))
  })

  it.concurrent("scrapes the example as it stands in the guide", async ({ onTestFinished }) => {
    const example = startExample("20_prometheus", { LOGINS: "40", PORT: "0" })
    onTestFinished(example.stop)
    const [, target = ""] = await example.written(/http:\/\/(127\.0\.0\.1:\d+)/)
    const { logins, requests } = await loginsDone(example)
    const prometheus = await startPrometheus({ target, intervalMillis: 200 })
    onTestFinished(prometheus.stop)
    await prometheus.queryUntil("jwks_cache_requests_total", ([sample]) => sample?.value === logins)
    const [flights] = await prometheus.query("jwks_cache_refresh_total")
    expect(flights).toMatchObject({ value: requests, labels: { tenant: "acme", provider: "idp", job: "shop" } })
    const text = await (await fetch(`http://${target}/metrics`)).text()
    expect(await promtool(["check", "metrics"], text)).toEqual({ code: 0, output: "" })
  })
})
