/**
 * How a flight ended, and what those see of it who must not wait for its request. Plain data.
 */
import * as Instant from "../Instant.ts"
import type { UnavailableReason } from "../JwksError.ts"
import type { KeyChanges } from "../Resolved.ts"
import type { HeldSet } from "./CacheState.ts"

/** How a flight ended, for those who waited. */
export type FlightEnd =
  | {
      readonly _tag: "Refreshed"
      readonly held: HeldSet
      /** Absent after a 304. */
      readonly changes: KeyChanges | undefined
    }
  | {
      readonly _tag: "Failed"
      readonly reason: UnavailableReason
      /** When the next flight starts by timer. */
      readonly retryAt: Instant.Instant
      /** When a question without a usable set may start a flight. */
      readonly askAgainAt: Instant.Instant
    }
  /** The provider was registered anew, unregistered, or the layer was closed. */
  | { readonly _tag: "Superseded" }

/** A flight as those see it who must not wait for what another request does: they look at it now and then. */
export interface FlightMark {
  /** It is over then, whatever became of the request that flies it. */
  readonly until: Instant.Instant
  /** When that request was last known to be there. */
  aliveAt: Instant.Instant
  /** Somebody wants caches on the way to revalidate. */
  noCache: boolean
  /** Stale answers may be given. */
  released: boolean
  end: FlightEnd | undefined
}

/** How often a request says that its flight is still under way (milliseconds). */
export const beatMillis = 250

/** A flight of which nothing was heard for so long has gone with its request. */
const goneAfterMillis = 1_000

/** Whether a flight is under way and its request still there. */
export const isAlive = ({ aliveAt, end, until }: FlightMark, now: Instant.Instant): boolean =>
  end === undefined && !Instant.isOver(until, now) && !Instant.isOver(Instant.plus(aliveAt, goneAfterMillis), now)
