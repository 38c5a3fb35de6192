/**
 * How long a response may be used: RFC 9111 freshness, the registration's clamps, and RFC 5861
 * `stale-if-error`. Pure; the time of receipt is an argument.
 *
 * `http-cache-semantics` turns the headers into a freshness lifetime. It is given only what was read
 * and cleaned here, because it takes directive names by case, follows a negative `Age`, reads
 * `Expires: 3600` as a year, and answers 0 both for "nothing said" and for "do not reuse".
 */
import CachePolicy from "http-cache-semantics"
import * as DateTime from "effect/DateTime"
import * as Headers from "effect/http/Headers"
import * as Result from "effect/Result"
import type { ResolvedSettings } from "../Provider.ts"
import { type Directives, directivesOf, fieldOf, type Fields, listMembers } from "./CacheControl.ts"

/** The settings that bear on freshness. */
export type FreshnessSettings = Pick<
  ResolvedSettings,
  "minTtl" | "maxTtl" | "defaultTtl" | "staleWhileError" | "strictHttp"
>

/** What a response's headers mean for the set that came with it. */
export interface FreshnessVerdict {
  /** Remaining lifetime from the time of receipt, clamped; never negative. 0 validates before each use. */
  readonly lifetimeMillis: number
  /** How long past its expiry the set may be served while refreshes fail. */
  readonly staleMillis: number
  /** `false`: neither stored nor persisted (`strictHttp` and `no-store`). */
  readonly keep: boolean
}

const tenYearsMillis = 10 * 365 * 86_400_000

/** HTTP-date in any of the three forms of RFC 9110 section 5.6.7. */
const dateOf = (text: string | undefined): DateTime.Utc | undefined =>
  text === undefined ? undefined : Result.getOrUndefined(Headers.parseHttpDate(text))

// -----------------------------------------------------------------------------
// Lifetime and age
// -----------------------------------------------------------------------------

/** What {@link TimedPolicy} takes for now; its constructor asks for it already. */
let policyNow = 0

/** http-cache-semantics with the time of receipt as its clock. */
class TimedPolicy extends CachePolicy {
  now(): number {
    return policyNow
  }
}

/** Freshness lifetime (RFC 9111 section 4.2.1); `undefined` when the response says nothing usable. */
const explicitLifetimeMillis = (
  { maxAge, noCache, noStore }: Directives,
  headers: Fields,
  receivedAt: number,
): number | undefined => {
  const expires = fieldOf(headers, "expires")
  // Section 4.1: a response that varies on everything matches no further request.
  const varies = listMembers(fieldOf(headers, "vary") ?? "").includes("*")
  if (!noStore && !noCache && !varies && maxAge === undefined && expires === undefined) return undefined

  const cacheControl = [
    ...(noStore ? ["no-store"] : []),
    ...(noCache ? ["no-cache"] : []),
    ...(maxAge === undefined ? [] : [`max-age=${maxAge}`]),
  ]
  const date = dateOf(fieldOf(headers, "date"))
  const epoch = DateTime.makeUnsafe(0)
  const cleaned = {
    ...(cacheControl.length > 0 && { "cache-control": cacheControl.join(", ") }),
    // Section 5.3: an invalid date, "0" and several of them mean "already expired".
    ...(expires !== undefined && { expires: Headers.formatHttpDate(dateOf(expires) ?? epoch) }),
    // A server without a clock says 1970; then the time of receipt is the better base.
    ...(date !== undefined &&
      date.epochMilliseconds > receivedAt - tenYearsMillis && { date: Headers.formatHttpDate(date) }),
    ...(varies && { vary: "*" }),
  }
  const options = { shared: false, cacheHeuristic: 0, immutableMinTimeToLive: 0 }
  policyNow = receivedAt
  const policy = new TimedPolicy({ headers: {} }, { status: 200, headers: cleaned }, options)
  // Not `timeToLive()`: that adds stale-while-revalidate and stale-if-error.
  return Math.round(policy.maxAge() * 1_000)
}

/**
 * Age at receipt (RFC 9111 section 4.2.3): the larger of `Age` and the apparent age, in whole seconds as
 * `Date` is. What is no number, or over ten years, is ignored, and so is a `Date` in the future.
 */
const ageMillis = (headers: Fields, receivedAt: number): number => {
  // Section 5.1: of a list the first member counts.
  const age = fieldOf(headers, "age")?.split(",")[0]?.trim() ?? ""
  const date = dateOf(fieldOf(headers, "date"))
  const told = /^\d+$/.test(age) ? Number(age) * 1_000 : 0
  const apparent = date === undefined ? 0 : Math.floor((receivedAt - date.epochMilliseconds) / 1_000) * 1_000
  return Math.max(0, ...[told, apparent].filter((millis) => millis <= tenYearsMillis))
}

/**
 * What a response's headers mean for the set that came with it.
 *
 * **Details**
 *
 * Remaining lifetime = clamp(lifetime - age, `minTtl`, `maxTtl`); with `strictHttp` nothing is lifted to
 * `minTtl`. A malformed `max-age` counts as absent, or as 0 with `strictHttp` (RFC 9111 section 4.2.1
 * encourages that). `Last-Modified` alone gives `defaultTtl`, never a heuristic.
 */
export const evaluate = (headers: Fields, receivedAt: number, settings: FreshnessSettings): FreshnessVerdict => {
  const { defaultTtl, maxTtl, minTtl, staleWhileError, strictHttp } = settings
  const said = directivesOf(headers)
  const directives = strictHttp && said.maxAgeMalformed ? { ...said, maxAge: 0 } : said
  const { mustRevalidate, noCache, noStore, staleIfError } = directives

  const lifetime = explicitLifetimeMillis(directives, headers, receivedAt) ?? defaultTtl
  const remaining = lifetime - ageMillis(headers, receivedAt)
  // RFC 9111 sections 4.2.4 and 5.2.2.2
  const neverStale = strictHttp && (mustRevalidate || noCache || noStore)
  return {
    lifetimeMillis: Math.min(maxTtl, Math.max(strictHttp ? 0 : minTtl, remaining)),
    staleMillis: neverStale ? 0 : Math.min(staleWhileError, (staleIfError ?? Infinity) * 1_000),
    keep: !(strictHttp && noStore),
  }
}

// -----------------------------------------------------------------------------
// 304
// -----------------------------------------------------------------------------

/** The fields that {@link evaluate} reads: of a response nothing else is kept. */
const readFields = ["age", "cache-control", "date", "expires", "vary"]

/** What of a response's headers is stored with the set: no cookie that somebody set ends up in a snapshot. */
export const storedFields = (received: Fields): Record<string, string> =>
  Object.fromEntries(
    readFields.flatMap((name) => {
      const value = fieldOf(received, name)
      return value === undefined ? [] : [[name, value]]
    }),
  )

/**
 * The stored headers after a 304: its fields replace those of the same name (RFC 9111 section 4.3.4).
 *
 * **Details**
 *
 * The stored `Age` and `Date` go first: they tell of the response that was revalidated, and would count
 * twice where the 304 brings none.
 */
export const mergeNotModified = (stored: Fields, received: Fields): Record<string, string> => {
  const hopByHop = new Set((received["connection"] ?? "").split(",").map((name) => name.trim().toLowerCase()))
  return storedFields(
    Object.fromEntries([
      ...Object.entries(stored).filter(([name]) => name !== "age" && name !== "date"),
      ...Object.entries(received).filter(([name]) => !hopByHop.has(name)),
    ]),
  )
}
