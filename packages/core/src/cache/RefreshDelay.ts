/**
 * How long until the next flight, as Effect schedules: ahead of a set's expiry, and after a failed
 * flight. The scheduler steps them; nothing here sleeps.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { ResolvedSettings } from "../Provider.ts"

/** First back-off after a failed flight. */
const firstBackoffMillis = 1_000

/** Longest back-off after a failed flight, unless a `Retry-After` says longer. */
const maxBackoffMillis = 60_000

/**
 * From a set's lifetime (milliseconds) to the delay of its background refresh: the lifetime less
 * `refreshEarly`, at most a fifth of the lifetime, less a random part of `prefetchJitter`, at most a tenth.
 */
export const earlyRefresh = (
  settings: Pick<ResolvedSettings, "refreshEarly" | "prefetchJitter">,
): Schedule.Schedule<number, number> =>
  Schedule.identity<number>().pipe(
    Schedule.modifyDelay(({ input }) =>
      Effect.map(Random.next, (random) =>
        Duration.millis(
          input - Math.min(settings.refreshEarly, input / 5) - random * Math.min(settings.prefetchJitter, input / 10),
        ),
      ),
    ),
  )

/** What the delay after a failed flight depends on besides the flights before it. */
export interface BackoffInput {
  /** The floor that a `Retry-After` sets. */
  readonly retryAfterMillis: number
}

/** After failed flights in a row: full jitter over 1 s, 2 s, 4 s, ... 60 s, and never before a `Retry-After`. */
export const backoff: Schedule.Schedule<unknown, BackoffInput> = Schedule.min([
  Schedule.exponential(firstBackoffMillis),
  Schedule.spaced(maxBackoffMillis),
]).pipe(
  Schedule.setInputType<BackoffInput>(),
  Schedule.modifyDelay(({ duration, input }) =>
    Effect.map(Random.next, (random) =>
      Duration.millis(Math.max(random * Duration.toMillis(duration), input.retryAfterMillis)),
    ),
  ),
)

/** A schedule that is asked for one delay (milliseconds) at a time. */
export type Stepper<Input> = (now: number, input: Input) => Effect.Effect<number>

/** Makes a stepper over an endless schedule. */
export const stepper = <Input>(schedule: Schedule.Schedule<unknown, Input>): Effect.Effect<Stepper<Input>> =>
  Effect.map(
    Schedule.toStep(schedule),
    (step) => (now, input) =>
      // The schedules of this module never end.
      step(now, input).pipe(
        Effect.map(([, delay]) => Math.round(Duration.toMillis(delay))),
        Effect.orDie,
      ),
  )
