/**
 * Keys that vanished from the document and still resolve for `removedKeyGrace`: replicas of a provider
 * may disagree for a while. Pure.
 */
import { earlier, type Instant, isOver, plus } from "../Instant.ts"
import { isUnwanted, type ParsedJwks } from "../jwk/Jwks.ts"
import type { HeldSet, RemovedKey } from "./CacheState.ts"

/**
 * The side list after `after` replaced `before`: what vanished now, and what vanished earlier and is
 * still in grace. Nothing outlives the stale window of the set that last held it, and a kid that the new
 * document names in any way ends its grace.
 */
export const removedKeys = (
  before: HeldSet | undefined,
  after: ParsedJwks,
  graceMillis: number,
  now: Instant,
): ReadonlyArray<RemovedKey> => {
  if (before === undefined || graceMillis <= 0) return []
  const named = new Set<string | undefined>([
    ...after.keys.map(({ kid }) => kid),
    ...after.dropped.map(({ kid }) => kid),
    // Without a kid nobody could ask for it.
    undefined,
  ])
  const vanished = before.jwks.keys.map((key): RemovedKey => ({
    key,
    until: earlier(plus(now, graceMillis), before.staleUntil),
    removedAt: now,
    fetchedAt: before.receivedAt.wall,
    expiresAt: before.expiresAt.wall,
  }))
  return [...vanished, ...before.removed].filter(({ key, until }) => !named.has(key.kid) && !isOver(until, now))
}

/** The key in grace under `kid` that fits, if there is exactly one. */
export const findRemoved = (
  removed: ReadonlyArray<RemovedKey>,
  query: {
    readonly kid: string | undefined
    readonly alg: string | undefined
    readonly notThumbprint: string | ReadonlyArray<string> | undefined
  },
  now: Instant,
): RemovedKey | undefined => {
  const fitting = removed.filter(
    ({ key, until }) =>
      key.kid === query.kid &&
      !isUnwanted(query, key.thumbprint) &&
      (query.alg === undefined || key.algorithms.some((algorithm) => algorithm === query.alg)) &&
      !isOver(until, now),
  )
  return fitting.every(({ key }) => key.thumbprint === fitting[0]?.key.thumbprint) ? fitting[0] : undefined
}
