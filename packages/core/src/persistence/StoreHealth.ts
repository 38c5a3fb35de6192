/**
 * Whether one kind of operation on a store works, and for how long it is left alone where it does not. A
 * store that is full or read-only can still be read: reads and writes have one each.
 */
import * as Effect from "effect/Effect"
import { backoff, type BackoffInput, type Stepper, stepper } from "../cache/RefreshDelay.ts"
import * as Instant from "../Instant.ts"

export class StoreHealth {
  readonly #now: () => Instant.Instant
  /** Delays of the present row of failures. */
  #backoff: Stepper<BackoffInput> | undefined
  #failures = 0
  #retryAt: Instant.Instant | undefined

  constructor(now: () => Instant.Instant) {
    this.#now = now
  }

  /** Whether the last operation failed. */
  get isFailing(): boolean {
    return this.#failures > 0
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures
  }

  /** How long the store is still left alone, in milliseconds. */
  get pauseMillis(): number {
    return this.#retryAt === undefined ? 0 : Instant.remaining(this.#retryAt, this.#now())
  }

  /** An operation succeeded. */
  succeed(): void {
    this.#failures = 0
    this.#retryAt = undefined
    this.#backoff = undefined
  }

  /** An operation failed; the next one is put off, as flights are. */
  readonly fail: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    this.#failures += 1
    this.#backoff ??= yield* stepper(backoff)
    const now = this.#now()
    this.#retryAt = Instant.plus(now, yield* this.#backoff(now.wall, { retryAfterMillis: 0 }))
  })
}
