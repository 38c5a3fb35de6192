/**
 * Both ways to OpenTelemetry, as their examples go them: each is a process that exports to a receiver of this
 * test, and what arrives there is what its provider counted.
 */
import { isDeepStrictEqual } from "node:util"
import { describe, expect, it, onTestFinished } from "vitest"
import { type OtlpReceiver, startOtlpReceiver } from "./support/OtlpReceiver.ts"
import { loginsDone, startExample } from "./support/RunningExample.ts"

const acme = { tenant: "acme", provider: "idp" }

/** The latest value of the series that has these labels and no others; the unit is none of them. */
const valueOf = (receiver: OtlpReceiver, name: string, labels: Readonly<Record<string, string>> = acme) =>
  receiver.metrics
    .get(name)
    ?.points.find(({ attributes: { unit: _, ...attributes } }) => isDeepStrictEqual(attributes, labels))?.value

describe.each([
  ["effect/observability", "30_opentelemetry"],
  ["the SDK of OpenTelemetry", "40_opentelemetry_sdk"],
])("through %s", (_, folder) => {
  it("metrics arrive with names, units, labels and the provider's numbers, and spans with them", async () => {
    const receiver = await startOtlpReceiver()
    onTestFinished(receiver.close)
    const example = startExample(folder, { LOGINS: "40", OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url })
    onTestFinished(example.stop)

    const { byStatus, logins, requests } = await loginsDone(example)
    // Nothing changes any more; the export under way may have been read before.
    await receiver.nextExport()
    while (valueOf(receiver, "jwks_cache_requests_total") !== logins) await receiver.nextExport()

    const notModified = byStatus[304] ?? 0
    const failed = byStatus[404] ?? 0
    expect([notModified, failed]).toEqual([expect.toSatisfy((count: number) => count > 0), 1])
    expect(valueOf(receiver, "jwks_cache_refresh_total")).toBe(requests)
    expect(valueOf(receiver, "jwks_cache_not_modified_total")).toBe(notModified)
    expect(valueOf(receiver, "jwks_cache_refresh_errors_total", { ...acme, reason: "HttpStatus" })).toBe(failed)
    expect(valueOf(receiver, "jwks_cache_refresh_duration_seconds")).toBe(requests)
    expect(valueOf(receiver, "jwks_cache_unknown_kid_total")).toBe(4)
    expect(valueOf(receiver, "jwks_cache_keys")).toBe(1)
    expect(valueOf(receiver, "jwks_cache_snapshot_unwritten", {})).toBe(0)
    const hits = valueOf(receiver, "jwks_cache_hits_total") ?? 0
    expect(hits + (valueOf(receiver, "jwks_cache_misses_total") ?? 0)).toBe(logins)
    expect(hits).toBeGreaterThanOrEqual(logins - 5)
    const expiresAt = valueOf(receiver, "jwks_cache_expires_at_seconds") ?? 0
    expect(Math.abs(expiresAt - Date.now() / 1_000 - 600)).toBeLessThan(60)

    const ours = Array.from(receiver.metrics.values()).filter(({ name }) => name.startsWith("jwks_cache_"))
    for (const { description, isCounter, kind, name } of ours) {
      expect(description, name).not.toBe("")
      expect([kind, isCounter], name).toEqual(
        name.endsWith("_total") ? ["sum", true] : [name.includes("duration") ? "histogram" : "gauge", false],
      )
    }
    expect(Object.fromEntries(ours.flatMap(({ name, unit }) => (unit === "1" ? [] : [[name, unit]])))).toEqual({
      jwks_cache_keys: "{key}",
      jwks_cache_expires_at_seconds: "s",
      jwks_cache_refresh_duration_seconds: "s",
      jwks_cache_snapshot_unwritten: "{snapshot}",
    })

    const logIns = () => receiver.spans.filter(({ name }) => name === "login")
    while (logIns().length < logins) await receiver.nextExport()
    expect(logIns().map(({ attributes }) => attributes["tenant"])).toEqual(Array.from({ length: logins }, () => "acme"))

    const named = (name: string) => receiver.spans.filter((span) => span.name === name)
    while (named("jwks.refresh").length < requests) await receiver.nextExport()
    const refreshes = named("jwks.refresh")
    expect(refreshes).toHaveLength(requests)
    expect(refreshes.filter(({ parentSpanId }) => parentSpanId !== undefined)).toEqual([])
    const forUnknownKids = refreshes.filter(({ attributes }) => attributes["jwks.refresh.trigger"] === "unknown_kid")
    // Those that the budget lets through.
    expect(forUnknownKids.length).toBeGreaterThan(0)
    expect(forUnknownKids.filter(({ links }) => links.length !== 1)).toEqual([])
    const outcomes = refreshes.map(({ attributes }) => attributes["jwks.refresh.outcome"])
    const counted = (outcome: string) => outcomes.filter((one) => one === outcome).length
    expect([counted("not_modified"), counted("failed")]).toEqual([notModified, failed])
    expect(refreshes.filter(({ hasFailed }) => hasFailed)).toHaveLength(failed)

    // One attempt each, below its refresh; and whoever missed is linked to it, below his own login.
    const fetches = named("jwks.fetch")
    expect(fetches).toHaveLength(requests)
    expect(new Set(fetches.map(({ parentSpanId }) => parentSpanId))).toEqual(
      new Set(refreshes.map(({ spanId }) => spanId)),
    )
    for (const { attributes, isClient } of fetches) {
      expect(isClient).toBe(true)
      expect(attributes).toMatchObject({ "http.request.method": "GET", "server.address": "127.0.0.1" })
      expect([200, 304, 404]).toContain(Number(attributes["http.response.status_code"]))
    }
    const misses = new Map(named("jwks.resolveKey").map((span) => [span.spanId, span]))
    expect(misses.size).toBe(valueOf(receiver, "jwks_cache_misses_total"))
    const parents = new Set(logIns().map(({ spanId }) => spanId))
    for (const link of refreshes.flatMap(({ links }) => links)) {
      expect(parents).toContain(misses.get(link)?.parentSpanId)
    }
    expect(receiver.services).toEqual(new Set(["shop"]))
  })
})
