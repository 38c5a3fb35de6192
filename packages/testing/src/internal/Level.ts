/**
 * A number that goes up and down, and effects that wait until it is high enough. Tests meet on these
 * instead of sleeping.
 */
import * as Effect from "effect/Effect"

/** A number that others can wait for. */
export interface Level {
  readonly value: number
  /** Adds to the number; whoever waits for the new value goes on when the caller is done. */
  readonly add: (delta: number) => void
  /** Waits until the number is at least `target`. */
  readonly atLeast: (target: number) => Effect.Effect<void>
}

/** A level that starts at 0. */
export const make = (): Level => {
  const waiting = new Set<{ readonly target: number; readonly resume: () => void }>()
  let value = 0
  return {
    get value() {
      return value
    },
    add(delta) {
      value += delta
      for (const waiter of [...waiting]) {
        if (waiter.target > value) continue
        waiting.delete(waiter)
        waiter.resume()
      }
    },
    atLeast: (target) =>
      Effect.callback<void>((resume) => {
        if (value >= target) return resume(Effect.void)
        const waiter = { target, resume: () => resume(Effect.yieldNow) }
        waiting.add(waiter)
        return Effect.sync(() => {
          waiting.delete(waiter)
        })
      }),
  }
}
