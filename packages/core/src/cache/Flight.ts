/**
 * One flight, from the moment it enters the state to the moment its waiters are answered.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Instant } from "../Instant.ts"
import type { PermitRequest } from "./FetchPermits.ts"
import type { FlightEnd, FlightMark } from "./FlightMark.ts"
import { FlightTrace, type FlightTrigger } from "./FlightTrace.ts"

/** What a flight is for. */
export interface FlightKind {
  /** Caches on the way must revalidate too. */
  readonly noCache: boolean
  /** No retry. */
  readonly oneAttempt: boolean
  /** Somebody waits. */
  readonly isWaitedFor: boolean
  readonly trigger: FlightTrigger
}

/** Started by the timer. */
export const background: FlightKind = { noCache: false, oneAttempt: false, isWaitedFor: false, trigger: "timer" }
/** Started by a resolve that has no usable set. */
export const awaited: FlightKind = { noCache: false, oneAttempt: false, isWaitedFor: true, trigger: "resolve" }
/** Started by an unknown kid. */
export const forced: FlightKind = { noCache: true, oneAttempt: true, isWaitedFor: true, trigger: "unknown_kid" }
/** Started by `refresh`. */
export const demanded: FlightKind = { noCache: true, oneAttempt: false, isWaitedFor: true, trigger: "refresh" }

export class Flight {
  readonly done = Deferred.makeUnsafe<FlightEnd>()
  #changed = Deferred.makeUnsafe<void>()
  readonly trace = new FlightTrace()
  readonly startedAt: Instant
  readonly trigger: FlightTrigger
  readonly oneAttempt: boolean
  noCache: boolean
  isWaitedFor: boolean
  /** An attempt failed, or the flight is a second old: stale answers may be given. */
  released = false
  /** When the latest attempt was sent, in the cache's own order of events; 0 before the first. */
  sentAt = 0
  /** The latest request for a permit. */
  permit: PermitRequest | undefined
  /** What other requests see of it, where they share what it brings. */
  mark: FlightMark | undefined
  /** Ends the fiber that flies it. */
  interrupt: () => void = () => {}

  constructor(startedAt: Instant, kind: FlightKind) {
    this.startedAt = startedAt
    this.noCache = kind.noCache
    this.oneAttempt = kind.oneAttempt
    this.trigger = kind.trigger
    this.isWaitedFor = kind.isWaitedFor
  }

  get isDone(): boolean {
    return Deferred.isDoneUnsafe(this.done)
  }

  /** Lets stale answers be given. */
  release(): void {
    this.released = true
    if (this.mark !== undefined) this.mark.released = true
    this.signal()
  }

  /** Completed when the next thing happens that may let those who wait be answered: it is to be looked again. */
  get changed(): Deferred.Deferred<void> {
    return this.#changed
  }

  /** Something happened that may let those who wait be answered, before the end or by it. */
  signal(): void {
    const changed = this.#changed
    this.#changed = Deferred.makeUnsafe<void>()
    Deferred.doneUnsafe(changed, Effect.void)
  }

  /** Answers everybody who waits; only the first end counts. */
  end(end: FlightEnd): void {
    if (this.isDone) return
    Deferred.doneUnsafe(this.done, Effect.succeed(end))
    this.signal()
  }
}
