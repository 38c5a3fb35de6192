/**
 * The settings of a registration, as they are written and as the oracle knows them.
 */
import type { ProviderSettings } from "@effect-jwks/core"
import type { Command, Setup } from "./Commands.ts"
import type { Settings } from "./Trace.ts"

/** The settings of a registration: as it is written, and as the oracle knows them. */
export const settingsOf = (setup: Setup, change: Extract<Command, { _tag: "Register" }>["change"]) => {
  const { attemptTimeout, maxRetries, negativeCacheTtl } = setup
  const numbers = {
    minTtl: 60_000,
    defaultTtl: 600_000,
    refreshEarly: 30_000,
    prefetchJitter: 5_000,
    negativeCacheTtl,
    kidRefresh: { burst: setup.burst, every: setup.every },
    maxTtl: change === "short maxTtl" ? 300_000 : 86_400_000,
    staleWhileError: change === "no window" ? 0 : change === "short window" ? 120_000 : 3_600_000,
    removedKeyGrace:
      change === "no grace"
        ? 0
        : change === "short grace"
          ? Math.min(setup.removedKeyGrace, 60_000)
          : setup.removedKeyGrace,
    maxRedirects: change === "other transport" ? 2 : 3,
  }
  const attempts = { maxRetries, attemptTimeout, deadline: attemptTimeout * 2.5 }
  const written: ProviderSettings = { ...numbers, retryPolicy: attempts }
  const known: Settings = { ...numbers, ...attempts }
  return { written, known }
}
