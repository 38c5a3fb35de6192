/**
 * What keeps a flood of unknown kids from reaching the provider: a token bucket for forced
 * revalidations, and a bounded memory of absences that the provider itself has confirmed. Deterministic:
 * every moment is an argument.
 *
 * **Details**
 *
 * Effect's `RateLimiter` is a service whose answer arrives as an effect; here the token must be taken
 * and the flight put into the state in one synchronous step, on the monotonic clock, and the bucket
 * outlives a new registration of its provider.
 */
import { type Instant, isOver, plus } from "../Instant.ts"

/** A bucket as of `at` (monotonic milliseconds); `credit` is counted in milliseconds, `every` of them make a token. */
export interface KidBudget {
  readonly credit: number
  readonly at: number
}

/** How many tokens a full bucket has, and how many milliseconds it takes for one to come back. */
export interface KidBudgetLimits {
  readonly burst: number
  readonly every: number
}

/** A full bucket. */
export const fullBudget = (limits: KidBudgetLimits, now: Instant): KidBudget => ({
  credit: limits.burst * limits.every,
  at: now.mono,
})

/** The same number of tokens under other limits, at most a full bucket of them. */
export const rescale = (budget: KidBudget, from: KidBudgetLimits, to: KidBudgetLimits): KidBudget => ({
  credit: Math.min(to.burst, budget.credit / from.every) * to.every,
  at: budget.at,
})

/** Takes a token, or says in how many milliseconds there will be one. */
export const takeToken = (
  budget: KidBudget,
  limits: KidBudgetLimits,
  now: Instant,
): { readonly taken: boolean; readonly budget: KidBudget; readonly retryAfterMillis: number } => {
  const credit = Math.min(limits.burst * limits.every, budget.credit + Math.max(0, now.mono - budget.at))
  return credit >= limits.every
    ? { taken: true, budget: { credit: credit - limits.every, at: now.mono }, retryAfterMillis: 0 }
    : // The bucket stays as it was, so that refusals add no rounding.
      { taken: false, budget, retryAfterMillis: Math.ceil(limits.every - credit) }
}

/** Most absences that are remembered for one provider. */
export const maxAbsences = 1_024

/** Kids that the provider has confirmed not to have; when full, the oldest goes. */
export class Absences {
  readonly #until = new Map<string, Instant>()

  /** Remembers `question` for `ttl` milliseconds from `now`. */
  remember(question: string, now: Instant, ttl: number): void {
    if (ttl <= 0) return
    this.#until.delete(question)
    this.#until.set(question, plus(now, ttl))
    if (this.#until.size > maxAbsences) {
      for (const oldest of this.#until.keys()) {
        this.#until.delete(oldest)
        break
      }
    }
  }

  /** Whether the absence of `question` is still known. Looking extends nothing. */
  has(question: string, now: Instant): boolean {
    const until = this.#until.get(question)
    if (until === undefined) return false
    if (!isOver(until, now)) return true
    this.#until.delete(question)
    return false
  }

  /** Forgets everything: the set changed. */
  clear(): void {
    this.#until.clear()
  }

  get size(): number {
    return this.#until.size
  }
}
