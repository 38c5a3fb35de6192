/**
 * What no registration may loosen. Registrations may come from tenants, so a limit bounds each field in
 * the one direction that costs the registry or its users something: longer lives of keys, larger
 * answers, more requests, weaker keys.
 */
import type { ResolvedSettings } from "../Provider.ts"
import type { RuleIssue } from "./OptionSchema.ts"
import type { GivenSettings } from "./SettingsSchema.ts"

/**
 * `most`: the limit is the largest value; `least`: the smallest; `pins`: the choice, of which at least one;
 * the others as their names say.
 */
type Direction = "most" | "least" | "subset" | "pins" | "onlyTrue" | "onlyFalse"

const directions: {
  readonly [K in Exclude<keyof ResolvedSettings, "kidRefresh" | "retryPolicy">]: Direction | undefined
} = {
  algorithms: "subset",
  requireHttps: "onlyTrue",
  // Every list must be passed, so the limit's is one more list; nothing to compare.
  allowedDomains: undefined,
  minTtl: "least",
  maxTtl: "most",
  defaultTtl: "most",
  refreshEarly: "most",
  prefetchJitter: "most",
  staleWhileError: "most",
  // A short memory means more requests for the same unknown kid.
  negativeCacheTtl: "least",
  maxResponseBytes: "most",
  maxKeys: "most",
  maxRedirects: "most",
  pinnedSpki: "pins",
  minRsaBits: "least",
  removedKeyGrace: "most",
  strictHttp: "onlyTrue",
  warm: "onlyFalse",
}

const kidRefreshDirections: Readonly<Record<string, Direction>> = { burst: "most", every: "least" }

const retryDirections: Readonly<Record<string, Direction>> = {
  maxRetries: "most",
  attemptTimeout: "most",
  initialBackoff: "least",
  maxBackoff: "least",
  deadline: "most",
}

/** Every breach of `limits` in what was given; `prefix` leads the field names. */
export const checkLimits = (given: GivenSettings, limits: GivenSettings, prefix: string): Array<RuleIssue> => [
  ...breaches(given, limits, directions, prefix),
  ...breaches(given.kidRefresh ?? {}, limits.kidRefresh ?? {}, kidRefreshDirections, `${prefix}kidRefresh.`),
  ...breaches(given.retryPolicy ?? {}, limits.retryPolicy ?? {}, retryDirections, `${prefix}retryPolicy.`),
  ...(given.retryPolicy?.jitter === "none" &&
  limits.retryPolicy?.jitter !== undefined &&
  limits.retryPolicy.jitter !== "none"
    ? [
        {
          field: `${prefix}retryPolicy.jitter`,
          rule: "must be full or decorrelated: the registry's limits forbid none",
        },
      ]
    : []),
]

/** Settings that nobody gave, kept within the limits. */
export const tighten = (settings: ResolvedSettings, limits: GivenSettings): ResolvedSettings => ({
  ...settings,
  ...bounded(settings, limits, directions),
  kidRefresh: {
    ...settings.kidRefresh,
    ...bounded(settings.kidRefresh, limits.kidRefresh ?? {}, kidRefreshDirections),
  },
  retryPolicy: {
    ...settings.retryPolicy,
    ...bounded(settings.retryPolicy, limits.retryPolicy ?? {}, retryDirections),
    ...(settings.retryPolicy.jitter === "none" &&
      limits.retryPolicy?.jitter !== undefined && {
        jitter: limits.retryPolicy.jitter,
      }),
  },
})

const breaches = (
  given: object,
  limits: object,
  by: Readonly<Record<string, Direction | undefined>>,
  prefix: string,
): ReadonlyArray<RuleIssue> =>
  Object.entries(limits).flatMap(([name, limit]) => {
    const value: unknown = Object.entries(given).find(([key]) => key === name)?.[1]
    const rule = value === undefined ? undefined : breach(value, limit, by[name])
    return rule === undefined ? [] : [{ field: `${prefix}${name}`, rule: `${rule}, by the registry's limits` }]
  })

const breach = (value: unknown, limit: unknown, direction: Direction | undefined): string | undefined => {
  switch (direction) {
    case "most":
      return Number(value) > Number(limit) ? `must be at most ${Number(limit)}` : undefined
    case "least":
      return Number(value) < Number(limit) ? `must be at least ${Number(limit)}` : undefined
    case "onlyTrue":
      return limit === true && value === false ? "must be true" : undefined
    case "onlyFalse":
      return limit === false && value === true ? "must be false" : undefined
    case "subset": {
      const allowed = Array.isArray(limit) ? limit : []
      const outside = (Array.isArray(value) ? value : []).filter((item) => !allowed.includes(item))
      return outside.length > 0 ? `must only name ${allowed.join(", ")}` : undefined
    }
    case "pins": {
      const allowed = Array.isArray(limit) ? limit : []
      if (allowed.length === 0) return undefined
      const pins: ReadonlyArray<unknown> = Array.isArray(value) ? value : []
      // No pin at all is the widest choice.
      if (pins.length === 0) return "must name a pin"
      return pins.every((pin) => allowed.includes(pin)) ? undefined : `must only name ${allowed.join(", ")}`
    }
    case undefined:
      return undefined
  }
}

const bounded = (
  settings: object,
  limits: object,
  by: Readonly<Record<string, Direction | undefined>>,
): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(limits).flatMap(([name, limit]: [string, unknown]) => {
      const value: unknown = Object.entries(settings).find(([key]) => key === name)?.[1]
      if (breach(value, limit, by[name]) === undefined) return []
      return [[name, by[name] === "subset" ? common(value, limit) : limit]]
    }),
  )

const common = (value: unknown, limit: unknown): ReadonlyArray<unknown> => {
  const allowed: ReadonlyArray<unknown> = Array.isArray(limit) ? limit : []
  return Array.isArray(value) ? value.filter((item) => allowed.includes(item)) : []
}
