/**
 * Providers that a test brings into any state, and what the admin API would say about them. The page's tests run
 * against it; the real server, which derives the same from a registry, has tests of its own.
 */
import { createHash } from "node:crypto"
import type {
  Health,
  ProviderDetail,
  ProviderName,
  ProviderSummary,
  ProvidersAnswer,
  TimelineEvent,
} from "../../../page/model/Wire.ts"

const minute = 60_000

const text = (seed: number, length: number): string => {
  const digest = createHash("sha512").update(String(seed)).digest("base64url")
  return digest.repeat(Math.ceil(length / digest.length)).slice(0, length)
}

export const thumbprint = (seed: number): string => text(seed, 43)

const key = (seed: number): ProviderDetail["keyList"][number] => ({
  kid: `2026-${String((seed % 12) + 1).padStart(2, "0")}-${text(seed, 6)}`,
  kty: "RSA",
  alg: "RS256",
  use: "sig",
  thumbprint: thumbprint(seed),
  jwk: { kty: "RSA", use: "sig", alg: "RS256", n: text(seed + 7, 342), e: "AQAB" },
})

interface Held {
  summary: ProviderSummary
  detail: Pick<ProviderDetail, "keyList" | "droppedList" | "errors">
}

type Changes = Partial<Omit<ProviderSummary, "tenant" | "provider">>

const rank: Readonly<Record<Health, number>> = { failed: 0, stale: 1, waiting: 2, fresh: 3 }

export class FakeFleet {
  readonly providers = new Map<string, Held>()
  readonly events: Array<TimelineEvent> = []
  /** Told of each new event. */
  readonly subscribers = new Set<(event: TimelineEvent) => void>()
  /** What a forced refresh answers. */
  refreshAnswer: { readonly status: number; readonly body: unknown } = {
    status: 200,
    body: { _tag: "NotModified", expiresAt: 0 },
  }
  now: () => number = Date.now

  /** A fresh provider. */
  add(tenant: string, provider: string, seed = this.providers.size): void {
    const now = this.now()
    const age = (seed * 37_000) % (8 * minute)
    const requests = 40_000 + ((seed * 7_919) % 900_000)
    const refreshes = 40 + (seed % 200)
    const keyList = [key(seed + 1), key(seed + 101)]
    this.providers.set(`${tenant}/${provider}`, {
      summary: {
        tenant,
        provider,
        url: `https://${provider}.${tenant}.example/.well-known/jwks.json`,
        state: "Ready",
        health: "fresh",
        keys: keyList.length,
        dropped: 0,
        fetchedAt: now - age,
        nextRefreshAt: now - age + 8 * minute,
        expiresAt: now - age + 10 * minute,
        staleUntil: now - age + 70 * minute,
        requests,
        hits: requests - (seed % 900),
        misses: seed % 900,
        stale: 0,
        refreshes,
        refreshErrors: 0,
        notModified: Math.floor(refreshes * 0.9),
      },
      detail: { keyList, droppedList: [], errors: [] },
    })
  }

  held(name: ProviderName): Held | undefined {
    return this.providers.get(`${name.tenant}/${name.provider}`)
  }

  change(tenant: string, provider: string, changes: Changes): void {
    const held = this.held({ tenant, provider })
    if (held === undefined) throw new Error(`no provider ${tenant}/${provider}`)
    held.summary = { ...held.summary, ...changes }
  }

  tell(
    tenant: string,
    provider: string,
    tag: string,
    text: string,
    details: Readonly<Record<string, unknown>> = {},
    level: TimelineEvent["level"] = "info",
    time = this.now(),
  ): void {
    const event = { id: (this.events.at(-1)?.id ?? 0) + 1, tenant, provider, time, tag, level, text, details }
    this.events.push(event)
    for (const subscriber of this.subscribers) subscriber(event)
  }

  /** The provider answers 503: its set is past its lifetime, and is served until the stale limit. */
  turnStale(tenant: string, provider: string, staleFor = 20 * minute): void {
    const now = this.now()
    const failure = {
      reason: "HttpStatus",
      message: `https://${provider}.${tenant}.example/.well-known/jwks.json answered with status 503`,
      at: now - 4_000,
      count: 3,
      nextAttemptAt: now + 26_000,
    }
    this.change(tenant, provider, {
      health: "stale",
      nextRefreshAt: now + 26_000,
      expiresAt: now - 1_000,
      fetchedAt: now - 10 * minute,
      staleUntil: now + staleFor,
      failure,
      refreshErrors: 3,
      stale: 214,
    })
    this.#remember(tenant, provider, failure)
    this.tell(tenant, provider, "RefreshFailed", failure.message, { reason: { _tag: "HttpStatus" }, count: 3 }, "warn")
    this.tell(tenant, provider, "StaleServing", "answers come from a set past its lifetime", { until: now }, "warn")
  }

  /** The stale window is over too. */
  turnFailed(tenant: string, provider: string): void {
    const now = this.now()
    const failure = {
      reason: "TimedOut",
      message: `https://${provider}.${tenant}.example/.well-known/jwks.json did not answer within its attempt of 5000 ms`,
      at: now - 9_000,
      count: 14,
      nextAttemptAt: now + 51_000,
    }
    this.change(tenant, provider, {
      health: "failed",
      fetchedAt: now - 80 * minute,
      nextRefreshAt: now + 51_000,
      expiresAt: now - 70 * minute,
      staleUntil: now - 10 * minute,
      failure,
      refreshErrors: 14,
    })
    this.#remember(tenant, provider, failure)
    this.tell(tenant, provider, "StaleEnded", "the stale window is over", { recovered: false }, "error")
  }

  /** One key is replaced under its own kid, one appears and one vanishes. */
  rotate(tenant: string, provider: string): void {
    this.tell(tenant, provider, "KeysChanged", "3 keys changed", {
      added: [thumbprint(501), thumbprint(502)],
      removed: [thumbprint(503), thumbprint(504)],
      changed: [{ kid: "signing", from: thumbprint(503), to: thumbprint(501) }],
      isFirst: false,
      kids: { [thumbprint(502)]: "2026-12-next", [thumbprint(504)]: "2026-09-last" },
    })
  }

  drop(tenant: string, provider: string): void {
    const held = this.held({ tenant, provider })
    if (held === undefined) return
    held.summary = { ...held.summary, dropped: 1 }
    held.detail = { ...held.detail, droppedList: [{ kid: "weak-1", reason: "RsaModulusTooSmall" }] }
    this.tell(
      tenant,
      provider,
      "KeyDropped",
      "key weak-1 was dropped",
      { kid: "weak-1", reason: "RsaModulusTooSmall" },
      "warn",
    )
  }

  list(query: URLSearchParams): ProvidersAnswer {
    const search = (query.get("search") ?? "").toLowerCase()
    const tenant = query.get("tenant")
    const health = query.get("health")
    const counts = { fresh: 0, stale: 0, failed: 0, waiting: 0 }
    const found: Array<ProviderSummary> = []
    for (const { summary } of this.providers.values()) {
      if (tenant !== null && summary.tenant !== tenant) continue
      if (
        search !== "" &&
        !summary.tenant.toLowerCase().includes(search) &&
        !summary.provider.toLowerCase().includes(search) &&
        !summary.url.toLowerCase().includes(search)
      ) {
        continue
      }
      counts[summary.health] += 1
      if (health === null || summary.health === health) found.push(summary)
    }
    const measure = measures[query.get("sort") ?? "name"] ?? (() => 0)
    const direction = query.get("order") === "desc" ? -1 : 1
    const byName = (one: ProviderSummary, other: ProviderSummary): number =>
      one.tenant !== other.tenant ? (one.tenant < other.tenant ? -1 : 1) : one.provider < other.provider ? -1 : 1
    const nameDirection = (query.get("sort") ?? "name") === "name" ? direction : 1
    found.sort((one, other) => direction * (measure(one) - measure(other)) || nameDirection * byName(one, other))
    const offset = Number(query.get("offset") ?? 0)
    const limit = Number(query.get("limit") ?? 100)
    return { now: this.now(), total: found.length, counts, offset, items: found.slice(offset, offset + limit) }
  }

  detail(name: ProviderName): ProviderDetail | undefined {
    const held = this.held(name)
    if (held === undefined) return undefined
    const events = this.events
      .filter(({ tenant, provider }) => tenant === name.tenant && provider === name.provider)
      .slice(-50)
      .toReversed()
    return { now: this.now(), ...held.summary, ...held.detail, events }
  }

  #remember(tenant: string, provider: string, failure: { readonly at: number; reason: string; message: string }): void {
    const held = this.held({ tenant, provider })
    if (held === undefined) return
    const { at, reason, message } = failure
    held.detail = { ...held.detail, errors: [{ at, reason, message }, ...held.detail.errors].slice(0, 20) }
  }
}

const measures: Readonly<Record<string, (summary: ProviderSummary) => number>> = {
  health: ({ health }) => rank[health],
  expiry: ({ expiresAt }) => expiresAt ?? 0,
  failures: ({ failure }) => failure?.count ?? 0,
  requests: ({ requests }) => requests,
  hitRatio: ({ hits, requests }) => (requests === 0 ? 0 : hits / requests),
  notModifiedRatio: ({ notModified, refreshes }) => (refreshes === 0 ? 0 : notModified / refreshes),
}

/** Twelve providers of five tenants, as different as they come. */
export const smallFleet = (now: () => number = Date.now): FakeFleet => {
  const fleet = new FakeFleet()
  fleet.now = now
  const names = {
    acme: ["entra", "okta", "keycloak"],
    globex: ["google", "entra", "auth0"],
    initech: ["keycloak", "github-actions"],
    umbrella: ["okta", "cognito", "partner-federation-gateway-eu-central"],
    hooli: ["google"],
  }
  for (const [tenant, providers] of Object.entries(names)) {
    for (const provider of providers) fleet.add(tenant, provider)
  }
  fleet.change("hooli", "google", {
    state: "Empty",
    health: "waiting",
    keys: 0,
    requests: 0,
    hits: 0,
    misses: 0,
    refreshes: 0,
    notModified: 0,
  })
  const waiting = fleet.held({ tenant: "hooli", provider: "google" })
  if (waiting !== undefined) {
    const { fetchedAt: _1, nextRefreshAt: _2, expiresAt: _3, staleUntil: _4, ...rest } = waiting.summary
    waiting.summary = rest
    waiting.detail = { keyList: [], droppedList: [], errors: [] }
  }
  const before = (minutes: number) => now() - minutes * minute
  fleet.tell("acme", "entra", "ProviderRegistered", "registered", {}, "info", before(190))
  fleet.tell(
    "acme",
    "entra",
    "KeysChanged",
    "the first set: 2 keys",
    {
      added: [thumbprint(1), thumbprint(101)],
      removed: [],
      changed: [],
      isFirst: true,
      kids: { [thumbprint(1)]: "k1" },
    },
    "info",
    before(189),
  )
  fleet.tell("globex", "auth0", "RefreshSucceeded", "2 keys in 84 ms, not modified", {}, "debug", before(12))
  fleet.tell("initech", "keycloak", "UnknownKid", "kid 7f3 is not in the set", { confirmed: true }, "warn", before(6))
  return fleet
}

/** 10,000 providers of 500 tenants; a few of them in trouble. */
export const largeFleet = (): FakeFleet => {
  const fleet = new FakeFleet()
  for (let index = 0; index < 10_000; index++) {
    fleet.add(`tenant-${String(index % 500).padStart(3, "0")}`, `idp-${String(index).padStart(5, "0")}`, index)
  }
  for (let index = 0; index < 6; index++) {
    const number = 1_111 + index * 1_313
    const tenant = `tenant-${String(number % 500).padStart(3, "0")}`
    if (index < 4) fleet.turnStale(tenant, `idp-${String(number).padStart(5, "0")}`)
    else fleet.turnFailed(tenant, `idp-${String(number).padStart(5, "0")}`)
  }
  return fleet
}
