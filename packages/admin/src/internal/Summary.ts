/**
 * How a provider stands, in the API's words. Pure.
 */
import { describeReason, type ProviderStatus } from "@effect-jwks/core"
import type { Health, ProviderDetail, ProviderFailure, ProviderSummary } from "../ProviderModel.ts"
import type { TimelineEvent } from "../TimelineModel.ts"

/** How a provider does. */
export const healthOf = ({ failure, freshness, usable }: ProviderStatus): Health => {
  if (usable) return freshness === "stale" ? "stale" : "fresh"
  return failure === undefined ? "waiting" : "failed"
}

/** A time that will come; what never comes has none. */
const isTime = (millis: number | undefined): millis is number => millis !== undefined && Number.isFinite(millis)

const failureOf = ({ failure }: ProviderStatus): Pick<ProviderSummary, "failure"> =>
  failure === undefined
    ? {}
    : {
        failure: {
          reason: failure.reason._tag,
          message: describeReason(failure.reason),
          at: failure.at,
          count: failure.count,
          ...(isTime(failure.nextAttemptAt) && { nextAttemptAt: failure.nextAttemptAt }),
        },
      }

/** One provider, as a row. */
export const summaryOf = (status: ProviderStatus): ProviderSummary => ({
  tenant: status.tenant,
  provider: status.provider,
  url: status.url,
  state: status.state,
  health: healthOf(status),
  keys: status.keys.length,
  dropped: status.dropped.length,
  ...(isTime(status.fetchedAt) && { fetchedAt: status.fetchedAt }),
  ...(isTime(status.nextRefreshAt) && { nextRefreshAt: status.nextRefreshAt }),
  ...(isTime(status.expiresAt) && { expiresAt: status.expiresAt }),
  ...(isTime(status.staleUntil) && { staleUntil: status.staleUntil }),
  ...failureOf(status),
  requests: status.requests,
  hits: status.hits,
  misses: status.misses,
  stale: status.stale,
  refreshes: status.refreshes,
  refreshErrors: status.refreshErrors,
  notModified: status.notModified,
})

/** One provider, with all that is known of it. */
export const detailOf = (
  now: number,
  status: ProviderStatus,
  errors: ReadonlyArray<ProviderFailure>,
  events: ReadonlyArray<TimelineEvent>,
): ProviderDetail => ({
  now,
  ...summaryOf(status),
  keyList: status.keys.map(({ alg, jwk, kid, kty, thumbprint, use }) => ({
    ...(kid !== undefined && { kid }),
    kty,
    ...(alg !== undefined && { alg }),
    ...(use !== undefined && { use }),
    thumbprint,
    ...(status.usable && { jwk }),
  })),
  droppedList: status.dropped,
  errors,
  events,
})
