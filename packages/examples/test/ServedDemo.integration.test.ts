/**
 * The demo that goes on serving: what a real Prometheus reads off it is what its providers have counted.
 */
import { setTimeout as pause } from "node:timers/promises"
import { describe, expect, it, onTestFinished } from "vitest"
import { hasNoPrometheus, startPrometheus } from "./support/PrometheusServer.ts"
import { startExample } from "./support/RunningExample.ts"

const bearer = "the-token-of-this-test-alone"

/** What a provider has counted at its own socket. */
interface Counted {
  readonly requests: number
  readonly notModified: number
}

describe.skipIf(hasNoPrometheus)("The demo, as it serves", () => {
  it("is scraped behind its token, and the numbers are those of its providers", async () => {
    const demo = startExample("10_demo", { DEMO_TOKEN: bearer }, ["--serve", "--still"])
    onTestFinished(demo.stop)
    const [, target = ""] = await demo.written(/^ {2}http:\/\/(\S+)\/$/m)
    const providers = await Promise.all(
      ["idp-a", "idp-b"].map(async (id) => {
        const [, origin = ""] = await demo.written(new RegExp(`^ {2}${id} +curl -i (\\S+)/jwks$`, "m"))
        return { id, origin }
      }),
    )
    expect((await fetch(`http://${target}/metrics`)).status).toBe(401)

    const prometheus = await startPrometheus({ target, bearer, intervalMillis: 250 })
    onTestFinished(prometheus.stop)
    const value = async (expression: string) => (await prometheus.query(expression))[0]?.value
    await prometheus.queryUntil("jwks_cache_snapshot_unwritten", ([sample]) => sample?.value === 0)

    for (const { id, origin } of providers) {
      const refreshed = `sum(jwks_cache_refresh_total{provider="${id}"})`
      // Attempts that were reset have reached no provider.
      const failed = `(sum(jwks_cache_refresh_errors_total{provider="${id}"}) or vector(0))`
      for (;;) {
        const counted = (await (await fetch(`${origin}/counted`)).json()) as Counted
        const seen = {
          requests: await value(`${refreshed} - ${failed}`),
          notModified: await value(`sum(jwks_cache_not_modified_total{provider="${id}"})`),
        }
        // Timers go on: the next scrape may know of a refresh that this one does not.
        if (seen.requests === counted.requests && seen.notModified === counted.notModified) break
        await pause(100)
      }
    }
    // The steps themselves: an outage of A at both of its tenants, told in errors and stale answers.
    expect(
      await value(`min(jwks_cache_refresh_errors_total{provider="idp-a",reason="TransportFailed"})`),
    ).toBeGreaterThan(0)
    expect(await value(`sum(jwks_cache_stale_total{provider="idp-a"})`)).toBe(4)
    expect(await value(`sum(jwks_cache_stale_total{provider="idp-b"})`)).toBe(0)
    expect(
      await value(`sum(jwks_cache_hits_total) + sum(jwks_cache_misses_total) - sum(jwks_cache_requests_total)`),
    ).toBe(0)
    expect(await value(`jwks_cache_unknown_kid_total{tenant="acme"}`)).toBeGreaterThanOrEqual(800)
  }, 60_000)
})
