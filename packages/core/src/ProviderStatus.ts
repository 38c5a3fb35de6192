/**
 * The read model: how one provider stands. All times are epoch milliseconds.
 */
import type { Jwk } from "./jwk/Jwk.ts"
import type { DroppedKey } from "./jwk/Jwks.ts"
import type { UnavailableReason } from "./JwksError.ts"
import type { Freshness } from "./Resolved.ts"

/** How one provider stands. */
export interface ProviderStatus {
  readonly tenant: string
  readonly provider: string
  /** Origin and path of the JWKS URL, never its query. */
  readonly url: string
  readonly state: "Empty" | "Loading" | "Ready" | "Refreshing"
  /** Whether a resolve could be answered from the held set now. */
  readonly usable: boolean
  readonly freshness?: Freshness
  readonly keys: ReadonlyArray<{
    readonly kid: string | undefined
    readonly kty: string
    readonly alg: string | undefined
    readonly use: string | undefined
    readonly thumbprint: string
    /** The frozen key as it was published: public members only. */
    readonly jwk: Jwk
  }>
  readonly dropped: ReadonlyArray<DroppedKey>
  readonly fetchedAt?: number
  readonly expiresAt?: number
  readonly staleUntil?: number
  /** When the next background refresh is due. */
  readonly nextRefreshAt?: number
  /** The failure that lasts, if the last flight failed. */
  readonly failure?: {
    readonly reason: UnavailableReason
    readonly at: number
    /** Failed flights in a row. */
    readonly count: number
    readonly nextAttemptAt: number
  }
  /** `hits` plus `misses`. */
  readonly requests: number
  /** Resolves answered from the set at once, stale ones included. */
  readonly hits: number
  readonly misses: number
  /** Resolves answered from a set past its lifetime. */
  readonly stale: number
  /** Flights that ended. */
  readonly refreshes: number
  /** Flights that ended in a failure. */
  readonly refreshErrors: number
  /** Flights that ended with a 304. */
  readonly notModified: number
  /** `hits / requests`, 0 before the first request. */
  readonly hitRatio: number
}
