/**
 * A key set with its times, as the contract's Freshness rules give them for responses that say `max-age`,
 * `Age`, or nothing.
 */
import type { PublishedKey, Settings } from "./Trace.ts"

/** What a response says about its lifetime, in seconds. */
export interface Lifetime {
  readonly maxAge: number | undefined
  readonly age: number | undefined
}

/** A set that was delivered; times are epoch milliseconds. */
export interface KeySet {
  readonly keys: ReadonlyArray<PublishedKey>
  readonly maxAge: number | undefined
  /** Lifetime less age, before any clamp. */
  readonly unclamped: number
  /** When the last 200 or 304 came. */
  readonly fetchedAt: number
  /** When the last 200 came. */
  readonly wholeAt: number
  readonly expiresAt: number
  readonly staleUntil: number
}

const clamp = (unclamped: number, { minTtl, maxTtl }: Settings): number => Math.min(Math.max(unclamped, minTtl), maxTtl)

const timed = (
  set: Pick<KeySet, "keys" | "wholeAt">,
  { maxAge, age = 0 }: Lifetime,
  now: number,
  settings: Settings,
): KeySet => {
  const unclamped = (maxAge === undefined ? settings.defaultTtl : maxAge * 1000) - age * 1000
  const expiresAt = now + clamp(unclamped, settings)
  return { ...set, maxAge, unclamped, fetchedAt: now, expiresAt, staleUntil: expiresAt + settings.staleWhileError }
}

/** The set that a 200 brought now. */
export const delivered = (
  keys: ReadonlyArray<PublishedKey>,
  lifetime: Lifetime,
  now: number,
  settings: Settings,
): KeySet => timed({ keys, wholeAt: now }, lifetime, now, settings)

/** The set that a 304 confirmed now: its headers replace the stored ones, and the stored `Age` goes. */
export const confirmed = (
  set: KeySet,
  { maxAge = set.maxAge, age }: Lifetime,
  now: number,
  settings: Settings,
): KeySet => timed(set, { maxAge, age }, now, settings)

/** The set under the settings of a later registration: times only get shorter. */
export const reregistered = (set: KeySet, settings: Settings): KeySet => {
  const expiresAt = Math.min(set.expiresAt, set.fetchedAt + clamp(set.unclamped, settings))
  return { ...set, expiresAt, staleUntil: Math.min(set.staleUntil, expiresAt + settings.staleWhileError) }
}

/** Before this moment nothing refreshes a set unasked. */
export const earliestRefresh = ({ expiresAt, fetchedAt }: KeySet, settings: Settings): number => {
  const lifetime = expiresAt - fetchedAt
  return expiresAt - Math.min(settings.refreshEarly, lifetime / 5) - Math.min(settings.prefetchJitter, lifetime / 10)
}

/** Whether two sets hold the same keys under the same names. */
export const sameKeys = (a: ReadonlyArray<PublishedKey>, b: ReadonlyArray<PublishedKey>): boolean => {
  const names = (keys: ReadonlyArray<PublishedKey>) =>
    keys.map(({ kid, thumbprint }) => `${kid} ${thumbprint}`).toSorted()
  return names(a).join() === names(b).join()
}
