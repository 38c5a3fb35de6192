/**
 * How a provider stands at a moment. The server says how it stood when it answered; a set's own times say what has
 * become of it since, so a row turns stale before the viewer's eyes also where the server is silent.
 */
import type { Health, ProviderSummary } from "./Wire.ts"

/** The health at `now`, which is not before the answer that `summary` came with. */
export const healthAt = (summary: ProviderSummary, now: number): Health => {
  const { health, expiresAt, staleUntil, failure } = summary
  if (health !== "fresh" && health !== "stale") return health
  if (staleUntil !== undefined && now >= staleUntil) return failure === undefined ? "waiting" : "failed"
  if (expiresAt !== undefined && now >= expiresAt) return "stale"
  return health
}

const words: Readonly<Record<Health, string>> = {
  fresh: "Fresh",
  stale: "Stale",
  failed: "Failed",
  waiting: "Waiting",
}

export const healthText = (health: Health): string => words[health]

/** What the provider does at the moment, where that is more than its health says; empty otherwise. */
export const activityText = (summary: ProviderSummary): string => {
  switch (summary.state) {
    case "Loading":
      return "first fetch"
    case "Refreshing":
      return "refreshing"
    case "Empty":
      return summary.failure === undefined ? "not asked for yet" : ""
    case "Ready":
      return ""
  }
}

/** The failure's message without the provider's own URL, which would fill a row and push out what went wrong. */
export const shortMessage = ({ failure, url }: ProviderSummary): string =>
  failure === undefined ? "" : failure.message.replace(url, "\u2026")

/** When the provider is fetched next: the attempt after a failure, or the refresh ahead of expiry. */
export const nextAttemptAt = (summary: ProviderSummary): number | undefined =>
  summary.failure?.nextAttemptAt ?? summary.nextRefreshAt
