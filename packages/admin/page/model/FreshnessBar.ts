/**
 * The freshness bar: fetched, refresh point, expiry and stale limit on one line, and where now is on it.
 *
 * The line is no linear scale. A set that is fresh for ten minutes may be served stale for a day, which would squeeze
 * the part that matters into a few pixels. The lifetime always takes the same share of the bar and the stale window the
 * rest; each part is linear in itself.
 */
import { lengthText, relativeText } from "./TimeText.ts"
import type { SetTimes } from "./Wire.ts"

/** The share of the lifetime, in percent. */
const lifetimeShare = 62

export interface FreshnessBar {
  /** Positions in percent of the bar's width. */
  readonly refresh: number | undefined
  readonly expiry: number
  readonly now: number
  readonly phase: "fresh" | "stale" | "ended"
  /** Whether there is a stale window at all. */
  readonly hasStaleWindow: boolean
}

const share = (at: number, from: number, to: number): number =>
  to <= from ? 1 : Math.min(1, Math.max(0, (at - from) / (to - from)))

/** The geometry at `now`; `undefined` where no set is held. */
export const freshnessBar = (times: SetTimes, now: number): FreshnessBar | undefined => {
  const { fetchedAt, nextRefreshAt, expiresAt } = times
  if (fetchedAt === undefined || expiresAt === undefined) return undefined
  const staleUntil = times.staleUntil ?? expiresAt
  const hasStaleWindow = staleUntil > expiresAt
  const expiry = hasStaleWindow ? lifetimeShare : 100
  const place = (at: number): number =>
    at < expiresAt || !hasStaleWindow
      ? share(at, fetchedAt, expiresAt) * expiry
      : expiry + share(at, expiresAt, staleUntil) * (100 - expiry)
  return {
    // A retry after a failure may lie behind the expiry; it is placed like every other time.
    refresh: nextRefreshAt === undefined ? undefined : place(nextRefreshAt),
    expiry,
    now: place(now),
    phase: now < expiresAt ? "fresh" : now < staleUntil ? "stale" : "ended",
    hasStaleWindow,
  }
}

/** What the bar says at `now`, in a few words. */
export const freshnessText = (times: SetTimes, now: number): string => {
  const { fetchedAt, expiresAt } = times
  if (fetchedAt === undefined || expiresAt === undefined) return "no set held"
  const staleUntil = times.staleUntil ?? expiresAt
  if (now < expiresAt) return `fresh for ${lengthText(expiresAt - now)}`
  if (now < staleUntil) return `stale, ${lengthText(staleUntil - now)} left`
  return `ended ${relativeText(staleUntil, now)}`
}

/** All that the bar shows, as a sentence for those who do not see it. */
export const freshnessSentence = (times: SetTimes, now: number): string => {
  const { fetchedAt, nextRefreshAt, expiresAt, staleUntil } = times
  if (fetchedAt === undefined || expiresAt === undefined) return "No set held"
  const passed = (at: number, past: string, ahead: string): string =>
    `${at <= now ? past : ahead} ${relativeText(at, now)}`
  return [
    `Fetched ${relativeText(fetchedAt, now)}`,
    ...(nextRefreshAt === undefined ? [] : [passed(nextRefreshAt, "refresh was due", "refresh due")]),
    passed(expiresAt, "expired", "expires"),
    ...(staleUntil === undefined || staleUntil <= expiresAt
      ? []
      : [passed(staleUntil, "stale limit passed", "stale limit")]),
  ].join(", ")
}
