/**
 * What is known of one provider in one generation, as plain data: sets with their times and prebuilt answers,
 * the last failure, budgets and counts. One registry has it to itself, or registries that live for one request
 * each share it: so nothing in here is a fiber, a timer or a promise.
 */
import type { JwksLocation } from "../http/IssuerMetadata.ts"
import * as Instant from "../Instant.ts"
import { usableKeys } from "../jwk/JudgedLater.ts"
import type { ProviderReading } from "../metrics/JwksMetrics.ts"
import * as CacheState from "./CacheState.ts"
import { type FlightMark, isAlive } from "./FlightMark.ts"
import type { Counts, Handover } from "./Handover.ts"
import { type Answers, HitSlot } from "./HitSlot.ts"
import type { BackoffInput, Stepper } from "./RefreshDelay.ts"
import { Absences, fullBudget, type KidBudget, type KidBudgetLimits } from "./UnknownKids.ts"

export class ProviderMemory {
  readonly slot = new HitSlot()
  readonly counts: Counts
  readonly absences = new Absences()
  budget: KidBudget
  /** Whether the present lack of tokens, or the present back-off, has been reported. */
  refusalReported = false
  /** What survives outside a flight, and how often it has changed. */
  held: CacheState.HeldSet | undefined
  failure: CacheState.Failure | undefined
  pausedUntil: Instant.Instant | undefined
  version = 0
  /** Delays of the present row of failures. */
  backoff: Stepper<BackoffInput> | undefined
  lastAttemptTimedOut: boolean
  /** What the issuer's metadata said last; outlives failed flights, and is no part of the set. */
  location: JwksLocation | undefined
  /** The order of questions and sent requests. */
  sequence = 0
  /** When the request was sent that last brought or confirmed a set, in that order. */
  confirmedAt = 0
  /** Sets that came, from upstream or from a snapshot. */
  commits = 0
  /** The latest moment of the wall clock at which one of them was fetched. */
  newestAt: number
  /** Prebuilt answers of the held set. */
  answers: { readonly of: CacheState.HeldSet; fresh?: Answers; stale?: Answers } | undefined
  /** A restored first set whose keys nobody has been told yet. */
  untold: CacheState.HeldSet | undefined
  /** What the slot shows. */
  shown: CacheState.Usability = "Unusable"
  /** The set that is served stale, as `StaleServing` has told; also while a flight has its callers wait. */
  toldStale: CacheState.HeldSet | undefined
  /** The flight of the request that flies for all. */
  mark: FlightMark | undefined
  /** Unregistered, or registered otherwise: what comes of it now is stored nowhere. */
  isGone = false
  /** Reads the numbers for the metrics; one for all who share them. */
  read: (() => ProviderReading) | undefined

  constructor(kidRefresh: KidBudgetLimits, now: Instant.Instant, before: Handover | undefined) {
    this.budget = before?.budget ?? fullBudget(kidRefresh, now)
    this.counts = before?.counts ?? {
      misses: 0,
      staleMisses: 0,
      unknownKids: 0,
      refreshes: 0,
      notModified: 0,
      refreshErrors: new Map(),
    }
    this.held = before?.held
    this.failure = before?.failure
    this.location = before?.location
    this.newestAt = before?.newestAt ?? Number.NEGATIVE_INFINITY
    this.lastAttemptTimedOut = before?.lastAttemptTimedOut ?? false
    this.slot.hits = before?.hits ?? 0
    this.slot.staleHits = before?.staleHits ?? 0
  }

  /** Takes down what outlives a flight. */
  keep<F>(state: CacheState.CacheState<F>): void {
    this.held = CacheState.heldOf(state)
    this.failure = state.failure
    this.pausedUntil = state.pausedUntil
    this.version += 1
  }

  /** The flight of some request, if one is under way and that request is still there. */
  underWay(now: Instant.Instant): FlightMark | undefined {
    return this.mark !== undefined && isAlive(this.mark, now) ? this.mark : undefined
  }

  /** Numbers for the metrics. */
  reading(now: Instant.Instant): ProviderReading {
    const { counts, held, slot } = this
    return {
      hits: slot.hits,
      misses: counts.misses,
      stale: slot.staleHits + counts.staleMisses,
      refreshes: counts.refreshes,
      notModified: counts.notModified,
      unknownKids: counts.unknownKids,
      keys: held === undefined || Instant.isOver(held.staleUntil, now) ? 0 : usableKeys(held.jwks),
      expiresAt: held?.expiresAt.wall ?? 0,
      refreshErrors: counts.refreshErrors,
    }
  }

  /** What the next generation may take over. */
  get handover(): Handover {
    return {
      held: this.held,
      location: this.location,
      newestAt: this.newestAt,
      failure: this.failure,
      budget: this.budget,
      lastAttemptTimedOut: this.lastAttemptTimedOut,
      counts: this.counts,
      hits: this.slot.hits,
      staleHits: this.slot.staleHits,
    }
  }
}
