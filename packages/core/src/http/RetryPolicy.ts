/**
 * What is retried, and when: settings become a `Schedule` over failures. Transient failures only, with
 * exponential back-off and jitter, never earlier than the server asked, never past the deadline.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { isTransient, type UnavailableReason } from "../JwksError.ts"
import type { ResolvedSettings } from "../Provider.ts"

/** Why an attempt failed, and when the server wants to be asked again. */
export interface FetchFailure {
  readonly reason: UnavailableReason
  /** From `Retry-After`, counted from the time of receipt. */
  readonly retryAfterMillis?: number
}

type RetryPolicy = ResolvedSettings["retryPolicy"]

/** The back-off after `retries` retries; `random` is in [0, 1), `previous` the back-off before this one. */
const backoffMillis = (policy: RetryPolicy, retries: number, previous: number, random: number): number => {
  const { initialBackoff, jitter, maxBackoff } = policy
  const exponential = Math.min(maxBackoff, initialBackoff * 2 ** retries)
  switch (jitter) {
    case "none":
      return exponential
    case "full":
      return Math.round(random * exponential)
    case "decorrelated":
      return Math.round(Math.min(maxBackoff, initialBackoff + random * (previous * 3 - initialBackoff)))
  }
}

/**
 * When to try again after a failure.
 *
 * **Details**
 *
 * `timeLeft` is asked at each failure for the milliseconds until the flight's deadline: a retry that
 * could start only then is none, so the flight fails at once instead of waiting for nothing.
 * `Retry-After` is a floor for the delay and does not enter the next back-off. The output is the number
 * of retries so far.
 */
export const retrySchedule = (policy: RetryPolicy, timeLeft: () => number): Schedule.Schedule<number, FetchFailure> =>
  Schedule.fromStep(
    Effect.sync(() => {
      let retries = 0
      let previous = policy.initialBackoff
      return (_now: number, { reason, retryAfterMillis = 0 }: FetchFailure) =>
        Effect.flatMap(Random.next, (random) => {
          if (retries >= policy.maxRetries || !isTransient(reason)) return Cause.done(retries)
          const backoff = backoffMillis(policy, retries, previous, random)
          const delay = Math.max(backoff, retryAfterMillis)
          if (delay >= timeLeft()) return Cause.done(retries)
          previous = backoff
          retries += 1
          return Effect.succeed<[number, Duration.Duration]>([retries, Duration.millis(delay)])
        })
    }),
  )

const maxRetryAfterMillis = 600_000

/**
 * Milliseconds that a `Retry-After` header asks to wait (RFC 9110 section 10.2.3): 0 for what is past or
 * negative, at most 10 minutes, `undefined` for what is neither seconds nor a date.
 */
export const retryAfterMillis = (header: string | undefined, now: number): number | undefined => {
  const text = header?.trim() ?? ""
  if (/^-\d+$/.test(text)) return 0
  // No number that means something is longer; the parser would read any length exactly.
  if (text.length > 64) return undefined
  const parsed = Headers.parseRetryAfter(text)
  if (Result.isFailure(parsed)) return undefined
  return Math.min(maxRetryAfterMillis, Duration.toMillis(Headers.retryAfterDelay(parsed.success, now)))
}
