/**
 * A clock that the demo moves ahead, so that expiry, early refresh and forty minutes of outage fit into
 * seconds.
 *
 * Between two jumps it runs as the machine's does: sockets, time limits and back-offs take real time. A
 * jump moves the wall clock and the monotonic clock together, and whoever sleeps until a moment that it
 * passes wakes at once, as after a machine was suspended. The demo's providers date their responses by
 * the same clock, and tokens are verified by it.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export class DemoClock implements Clock.Clock {
  readonly #real = Clock.Clock.defaultValue()
  #aheadMillis = 0
  /** Done at the next jump. */
  #jumped = Deferred.makeUnsafe<void>()

  /** Milliseconds that the clock is ahead of the machine's. */
  get aheadMillis(): number {
    return this.#aheadMillis
  }

  /** Moves the clock ahead. */
  jump(duration: Duration.Input): Effect.Effect<void> {
    return Effect.sync(() => {
      const jumped = this.#jumped
      this.#jumped = Deferred.makeUnsafe<void>()
      this.#aheadMillis += Duration.toMillis(duration)
      Deferred.doneUnsafe(jumped, Effect.void)
    })
  }

  // ---------------------------------------------------------------------------
  // What Effect asks of a clock
  // ---------------------------------------------------------------------------

  currentTimeMillisUnsafe(): number {
    return this.#real.currentTimeMillisUnsafe() + this.#aheadMillis
  }

  currentTimeNanosUnsafe(): bigint {
    return this.#real.currentTimeNanosUnsafe() + this.#aheadNanos
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.#real.monotonicTimeNanosUnsafe() + this.#aheadNanos
  }

  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.suspend(() => this.#sleepUntil(this.#monotonicMillis() + Duration.toMillis(duration)))
  }

  /** Sleeps in real time, and looks again at each jump. */
  #sleepUntil(deadline: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const left = deadline - this.#monotonicMillis()
      if (left <= 0) return Effect.void
      const woken = Effect.raceFirst(this.#real.sleep(Duration.millis(left)), Deferred.await(this.#jumped))
      return Effect.andThen(woken, this.#sleepUntil(deadline))
    })
  }

  #monotonicMillis(): number {
    return Number(this.monotonicTimeNanosUnsafe()) / 1_000_000
  }

  get #aheadNanos(): bigint {
    return BigInt(this.#aheadMillis) * 1_000_000n
  }
}
