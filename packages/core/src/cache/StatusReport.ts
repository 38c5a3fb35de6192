/**
 * The read model of a provider, from its state and its counts. Pure.
 */
import type { ParsedJwks } from "../jwk/Jwks.ts"
import { displayUrl } from "../JwksError.ts"
import type { ProviderReading } from "../metrics/JwksMetrics.ts"
import type { Provider } from "../Provider.ts"
import type { ProviderStatus } from "../ProviderStatus.ts"
import { type CacheState, heldOf, nextFlightAt, type Usability } from "./CacheState.ts"

type Draft = { -readonly [Member in keyof ProviderStatus]: ProviderStatus[Member] }

type StatusKeys = ProviderStatus["keys"]

/** A set is looked at far more often than it changes, and there may be ten thousand of them; frozen, since all looks share it. */
const keysOfSet = new WeakMap<ParsedJwks, StatusKeys>()

const noKeys: StatusKeys = Object.freeze([])

const keysOf = (jwks: ParsedJwks | undefined): StatusKeys => {
  if (jwks === undefined) return noKeys
  const known = keysOfSet.get(jwks)
  if (known !== undefined) return known
  const keys = Object.freeze(
    jwks.keys.map(({ jwk, kid, thumbprint }) =>
      Object.freeze({ kid, kty: jwk.kty, alg: jwk.alg, use: jwk.use, thumbprint, jwk }),
    ),
  )
  keysOfSet.set(jwks, keys)
  return keys
}

const sum = (counts: Iterable<number>): number => {
  let total = 0
  for (const count of counts) total += count
  return total
}

/** How a provider stands; `url` is where its JWK Set or its metadata are asked for; an idle one has no next refresh. */
export const statusOf = (
  { provider, tenant }: Provider,
  url: URL,
  state: CacheState<unknown>,
  usability: Usability,
  isIdle: boolean,
  reading: ProviderReading,
): ProviderStatus => {
  const held = heldOf(state)
  const { failure } = state
  const requests = reading.hits + reading.misses
  const nextRefreshAt = isIdle ? undefined : nextFlightAt(state)?.wall
  // Member by member: over ten thousand of them spreads take half as long again, and leave more to collect.
  const status: Draft = {
    tenant,
    provider,
    url: displayUrl(url),
    state: state._tag,
    usable: usability !== "Unusable",
    keys: keysOf(held?.jwks),
    dropped: held?.jwks.dropped ?? [],
    requests,
    hits: reading.hits,
    misses: reading.misses,
    stale: reading.stale,
    refreshes: reading.refreshes,
    refreshErrors: sum(reading.refreshErrors.values()),
    notModified: reading.notModified,
    hitRatio: requests === 0 ? 0 : reading.hits / requests,
  }
  if (usability !== "Unusable") status.freshness = usability === "Fresh" ? "fresh" : "stale"
  if (held !== undefined) {
    status.fetchedAt = held.receivedAt.wall
    status.expiresAt = held.expiresAt.wall
    status.staleUntil = held.staleUntil.wall
  }
  if (nextRefreshAt !== undefined) status.nextRefreshAt = nextRefreshAt
  if (failure !== undefined) {
    status.failure = {
      reason: failure.reason,
      at: failure.at.wall,
      count: failure.count,
      nextAttemptAt: failure.nextAttemptAt.wall,
    }
  }
  return status
}
