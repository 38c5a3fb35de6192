/**
 * The read model of a provider, from its state and its counts. Pure.
 */
import { displayUrl } from "../JwksError.ts"
import type { ProviderReading } from "../metrics/JwksMetrics.ts"
import type { Provider } from "../Provider.ts"
import type { ProviderStatus } from "../ProviderStatus.ts"
import { type CacheState, heldOf, nextFlightAt, type Usability } from "./CacheState.ts"

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
  return {
    tenant,
    provider,
    url: displayUrl(url),
    state: state._tag,
    usable: usability !== "Unusable",
    ...(usability !== "Unusable" && { freshness: usability === "Fresh" ? ("fresh" as const) : ("stale" as const) }),
    keys: (held?.jwks.keys ?? []).map(({ jwk, kid, thumbprint }) => ({
      kid,
      kty: jwk.kty,
      alg: jwk.alg,
      use: jwk.use,
      thumbprint,
      jwk,
    })),
    dropped: held?.jwks.dropped ?? [],
    ...(held !== undefined && {
      fetchedAt: held.receivedAt.wall,
      expiresAt: held.expiresAt.wall,
      staleUntil: held.staleUntil.wall,
    }),
    ...(nextRefreshAt !== undefined && { nextRefreshAt }),
    ...(failure !== undefined && {
      failure: {
        reason: failure.reason,
        at: failure.at.wall,
        count: failure.count,
        nextAttemptAt: failure.nextAttemptAt.wall,
      },
    }),
    requests,
    hits: reading.hits,
    misses: reading.misses,
    stale: reading.stale,
    refreshes: reading.refreshes,
    refreshErrors: Array.from(reading.refreshErrors.values()).reduce((sum, count) => sum + count, 0),
    notModified: reading.notModified,
    hitRatio: requests === 0 ? 0 : reading.hits / requests,
  }
}
