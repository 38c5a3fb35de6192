/**
 * A test clock on a machine that can be suspended, or whose wall clock is set: the wall time moves, timers
 * and the monotonic clock stand still.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"

/** A test clock whose wall time can be moved while its timers and the monotonic time stand still. */
export interface SteppedClock extends TestClock.TestClock {
  /** Moves the wall clock alone, forwards or backwards. */
  readonly stepWall: (millis: number) => void
}

/** Runs a test on a {@link SteppedClock}. */
export const withSteppedClock = <A, E, R>(test: (clock: SteppedClock) => Effect.Effect<A, E, R>) =>
  TestClock.testClockWith((inner) => {
    let step = 0
    const millis = () => inner.currentTimeMillisUnsafe() + step
    const nanos = () => inner.currentTimeNanosUnsafe() + BigInt(step) * 1_000_000n
    const clock: SteppedClock = {
      ...inner,
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      stepWall: (by) => {
        step += by
      },
    }
    return Effect.provideService(test(clock), Clock.Clock, clock)
  })
