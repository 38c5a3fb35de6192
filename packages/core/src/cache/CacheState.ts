/**
 * The state of one provider as a tagged union, and its transitions: pure, total, without a clock.
 *
 * ```
 *             begin                        begin
 *   Empty ------------> Loading     Ready ------------> Refreshing
 *     ^  fail, abandon     | succeed  ^  succeed, fail, abandon |
 *     '--------------------'          '-------------------------'
 * ```
 *
 * A snapshot makes `Ready` of `Empty`, and `Refreshing` of `Loading`.
 *
 * A set past its stale window stays `Ready`, unusable, so that its validators can still save a body.
 * `F` is the flight: to this module only an identity, so that a late answer can be told from the
 * current one.
 */
import type { Validators } from "../http/Validators.ts"
import { type Instant, isOver, plus } from "../Instant.ts"
import type { UnavailableReason } from "../JwksError.ts"
import type { ParsedJwks, UsableKey } from "../jwk/Jwks.ts"

/** Clocks of different machines may differ by so much (milliseconds). */
export const clockTolerance = 60_000

/** How long an expired set waits for a flight before it is served stale (resolving rule 4). */
export const staleReleaseMillis = 1_000

/** A key that vanished from the document and still resolves for `removedKeyGrace`. */
export interface RemovedKey {
  readonly key: UsableKey
  readonly until: Instant
  readonly removedAt: Instant
  /** Times of the last set that held it (epoch milliseconds). */
  readonly fetchedAt: number
  readonly expiresAt: number
}

/** A good set with its times. */
export interface HeldSet {
  readonly jwks: ParsedJwks
  /** The URL that was asked, before redirects. */
  readonly jwksUrl: string
  /** The URL that answered, after redirects. */
  readonly finalUrl: string
  /** When the response that last confirmed the set was received. */
  readonly receivedAt: Instant
  readonly expiresAt: Instant
  readonly staleUntil: Instant
  /** When a background refresh is due; absent for sets that are revalidated on use only. */
  readonly refreshAt: Instant | undefined
  /** When the document itself was last received; a full GET is due `maxTtl` later. */
  readonly fetchedInFullAt: Instant
  /** The response headers that the times came from. */
  readonly headers: Readonly<Record<string, string>>
  readonly validators: Validators | undefined
  readonly removed: ReadonlyArray<RemovedKey>
}

/** The failure of the last flight. */
export interface Failure {
  readonly reason: UnavailableReason
  readonly at: Instant
  /** Failed flights in a row. */
  readonly count: number
  /** When the timer starts the next flight. */
  readonly nextAttemptAt: Instant
  /** Until then a resolve without a usable set gets this failure at once. */
  readonly rememberedUntil: Instant
  /** Until then the provider asked not to be asked (`Retry-After`, RFC 9110 section 10.2.3). */
  readonly retryAfterUntil: Instant | undefined
}

/** What survives outside a flight. `pausedUntil`: no permit was had, so the timer waits a little. */
interface Standing {
  readonly failure: Failure | undefined
  readonly pausedUntil: Instant | undefined
}

export type CacheState<F> =
  | (Standing & { readonly _tag: "Empty" })
  | (Standing & { readonly _tag: "Loading"; readonly flight: F })
  | (Standing & { readonly _tag: "Ready"; readonly held: HeldSet })
  | (Standing & { readonly _tag: "Refreshing"; readonly held: HeldSet; readonly flight: F })

/** Nothing held, nothing under way. */
export const empty: CacheState<never> = { _tag: "Empty", failure: undefined, pausedUntil: undefined }

/** A state without a flight: a set that is held, a failure that lasts, or nothing. */
export const initial = (held: HeldSet | undefined, failure: Failure | undefined): CacheState<never> =>
  held === undefined ? { ...empty, failure } : ready(held, failure)

/** What is known outside a flight. */
interface Known extends Standing {
  readonly held: HeldSet | undefined
}

/** What a provider starts with: whatever is known of it. */
export const standing = ({ failure, held, pausedUntil }: Known): CacheState<never> => ({
  ...initial(held, failure),
  pausedUntil,
})

/** The same flight, or none, over what has become known meanwhile. */
export const rebase = <F>(state: CacheState<F>, known: Known): CacheState<F> => {
  const flight = flightOf(state)
  return flight === undefined ? standing(known) : begin<F>(standing(known), flight)
}

/** The flight is over, and what is known says what it brought. */
export const land = <F>(state: CacheState<F>, flight: F): CacheState<F> => {
  if (flightOf(state) !== flight) return state
  return standing({ held: heldOf(state), failure: state.failure, pausedUntil: state.pausedUntil })
}

const ready = (held: HeldSet, failure: Failure | undefined): CacheState<never> => ({
  _tag: "Ready",
  held,
  failure,
  pausedUntil: undefined,
})

/** The set, if one is held. */
export const heldOf = <F>(state: CacheState<F>): HeldSet | undefined => ("held" in state ? state.held : undefined)

/** The flight, if one is under way. */
export const flightOf = <F>(state: CacheState<F>): F | undefined => ("flight" in state ? state.flight : undefined)

/** Starts a flight; a state that has one stays as it is (single flight). */
export const begin = <F>(state: CacheState<F>, flight: F): CacheState<F> => {
  switch (state._tag) {
    case "Empty":
      return { ...state, _tag: "Loading", flight, pausedUntil: undefined }
    case "Ready":
      return { ...state, _tag: "Refreshing", flight, pausedUntil: undefined }
    case "Loading":
    case "Refreshing":
      return state
  }
}

/**
 * The flight brought a set, which replaces the held one whole. With `keep` false (RFC 9111 section
 * 5.2.2.5, `no-store`) it is not kept. An answer of a flight that is not the current one changes nothing.
 */
export const succeed = <F>(state: CacheState<F>, flight: F, held: HeldSet, keep: boolean): CacheState<F> => {
  if (flightOf(state) !== flight) return state
  return keep ? ready(held, undefined) : empty
}

/** A set came back from a snapshot; a flight that is under way goes on. */
export const restore = <F>(state: CacheState<F>, held: HeldSet): CacheState<F> => {
  switch (state._tag) {
    case "Empty":
    case "Ready":
      return { ...state, _tag: "Ready", held }
    case "Loading":
    case "Refreshing":
      return { ...state, _tag: "Refreshing", held }
  }
}

/** The flight failed: the held set, if any, stays. */
export const fail = <F>(state: CacheState<F>, flight: F, failure: Failure): CacheState<F> => {
  if (flightOf(state) !== flight) return state
  return initial(heldOf(state), failure)
}

/** The flight never got to ask the provider: as before it, but the timer waits until `pausedUntil`. */
export const abandon = <F>(state: CacheState<F>, flight: F, pausedUntil: Instant): CacheState<F> => {
  if (flightOf(state) !== flight) return state
  return { ...initial(heldOf(state), state.failure), pausedUntil }
}

/**
 * How a set may be used now (resolving rules 1 to 5).
 *
 * - `Fresh`: answer at once.
 * - `Stale`: past expiry, and refreshing is known to be failing or slow: answer at once.
 * - `Expired`: past expiry inside the stale window, and nobody has tried yet: try first.
 * - `Unusable`: nothing held, or past the stale window.
 */
export type Usability = "Fresh" | "Stale" | "Expired" | "Unusable"

/** `released`: the flight under way failed an attempt, or has been under way for {@link staleReleaseMillis}. */
export const usability = <F>(state: CacheState<F>, now: Instant, released: boolean): Usability => {
  const held = heldOf(state)
  if (held === undefined) return "Unusable"
  if (!isOver(held.expiresAt, now)) return "Fresh"
  if (isOver(held.staleUntil, now)) return "Unusable"
  return released || state.failure !== undefined ? "Stale" : "Expired"
}

/** When the next flight starts by timer, `undefined` for never (or for one that is under way). */
export const nextFlightAt = <F>(state: CacheState<F>): Instant | undefined => {
  if (flightOf(state) !== undefined) return undefined
  const due = state.failure?.nextAttemptAt ?? heldOf(state)?.refreshAt ?? state.pausedUntil
  if (due === undefined || state.pausedUntil === undefined) return due
  return due.mono > state.pausedUntil.mono ? due : state.pausedUntil
}

/**
 * When something changes by itself after `now`: the next flight, the set's expiry, the end of its stale
 * window, or the moment at which a flight that started at `flightStartedAt` releases its stale waiters.
 * Without `mayFly` (idle, or in line for a permit) no flight is waited for.
 */
export const nextChangeAt = <F>(
  state: CacheState<F>,
  now: Instant,
  flightStartedAt: Instant | undefined,
  mayFly: boolean,
): Instant | undefined => {
  const held = heldOf(state)
  const candidates = [
    mayFly ? nextFlightAt(state) : undefined,
    ...(held === undefined ? [] : [held.expiresAt, held.staleUntil].filter((at) => !isOver(at, now))),
    held === undefined || flightStartedAt === undefined ? undefined : plus(flightStartedAt, staleReleaseMillis),
  ]
  return candidates.reduce((first, at) =>
    first === undefined || (at !== undefined && at.mono < first.mono) ? at : first,
  )
}
