import { describe, expect, it } from "vitest"
import { activityText, healthAt, nextAttemptAt, shortMessage } from "../../../page/model/Standing.ts"
import type { ProviderSummary } from "../../../page/model/Wire.ts"

const failure = {
  reason: "HttpStatus",
  message: "https://idp.example/jwks answered 503",
  at: 90,
  count: 2,
  nextAttemptAt: 160,
}

const fresh: ProviderSummary = {
  tenant: "acme",
  provider: "okta",
  url: "https://idp.example/jwks",
  state: "Ready",
  health: "fresh",
  keys: 2,
  dropped: 0,
  fetchedAt: 0,
  nextRefreshAt: 80,
  expiresAt: 100,
  staleUntil: 200,
  requests: 0,
  hits: 0,
  misses: 0,
  stale: 0,
  refreshes: 1,
  refreshErrors: 0,
  notModified: 0,
}

describe("health by passing time", () => {
  it("is fresh until expiry, stale until the limit, failed after it", () => {
    const failing = { ...fresh, failure }
    expect([99, 100, 199, 200].map((now) => healthAt(failing, now))).toEqual(["fresh", "stale", "stale", "failed"])
  })

  it("is waiting after the limit where nothing failed", () => {
    expect(healthAt(fresh, 200)).toBe("waiting")
  })

  it("never gets better by time alone", () => {
    expect(healthAt({ ...fresh, health: "failed" }, 0)).toBe("failed")
    expect(healthAt({ ...fresh, health: "waiting" }, 0)).toBe("waiting")
    expect(healthAt({ ...fresh, health: "stale" }, 0)).toBe("stale")
  })
})

describe("a row's words", () => {
  it("name the next attempt after a failure, else the refresh", () => {
    expect(nextAttemptAt(fresh)).toBe(80)
    expect(nextAttemptAt({ ...fresh, failure })).toBe(160)
  })

  it("say what is under way", () => {
    expect(activityText(fresh)).toBe("")
    expect(activityText({ ...fresh, state: "Refreshing" })).toBe("refreshing")
    expect(activityText({ ...fresh, state: "Loading" })).toBe("first fetch")
    expect(activityText({ ...fresh, state: "Empty" })).toBe("not asked for yet")
    expect(activityText({ ...fresh, state: "Empty", failure })).toBe("")
  })

  it("leave the provider's own URL out of its message", () => {
    expect(shortMessage({ ...fresh, failure })).toBe("\u2026 answered 503")
    expect(shortMessage(fresh)).toBe("")
  })
})
