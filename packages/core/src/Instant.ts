/**
 * A moment on both clocks, and deadlines that are over as soon as either says so: a suspended machine
 * stops the monotonic clock, an operator can set the wall clock back.
 */
import type * as Clock from "effect/Clock"

/** A moment, in milliseconds: `wall` since the Unix epoch, `mono` since an arbitrary origin. */
export interface Instant {
  readonly wall: number
  readonly mono: number
}

/** The monotonic clock in milliseconds, exact to the microsecond: as a number its nanoseconds may not be. */
export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000n) / 1_000

/** Reads both clocks. */
export const now = (clock: Clock.Clock): Instant => ({
  wall: clock.currentTimeMillisUnsafe(),
  mono: monotonicMillis(clock),
})

/** `instant` moved by `millis` on both clocks. */
export const plus = (instant: Instant, millis: number): Instant => ({
  wall: instant.wall + millis,
  mono: instant.mono + millis,
})

/** Whether `deadline` is reached on either clock. */
export const isOver = (deadline: Instant, at: Instant): boolean => at.wall >= deadline.wall || at.mono >= deadline.mono

/** Milliseconds until `deadline` by the clock that reaches it first; 0 when it is over. */
export const remaining = (deadline: Instant, at: Instant): number =>
  Math.max(0, Math.min(deadline.wall - at.wall, deadline.mono - at.mono))

/** The earlier of two deadlines, on each clock. */
export const earlier = (a: Instant, b: Instant): Instant => ({
  wall: Math.min(a.wall, b.wall),
  mono: Math.min(a.mono, b.mono),
})
