/**
 * The hit path: prebuilt answers of one set behind one mutable slot, so that a hit is a look-up and two
 * counters, without a permit, a generator or an allocation.
 */
import * as Exit from "effect/Exit"
import type { Instant } from "../Instant.ts"
import type { ParsedJwks, UsableKey } from "../jwk/Jwks.ts"
import type { Freshness, ResolvedJwks, ResolvedKey } from "../Resolved.ts"

/** What every answer of one set has in common. */
export interface AnswerFrame {
  readonly tenant: string
  readonly provider: string
  readonly freshness: Freshness
  readonly fetchedAt: number
  readonly expiresAt: number
}

/** A key with its prebuilt answer. */
export interface Answer {
  readonly key: UsableKey
  readonly exit: Exit.Exit<ResolvedKey>
  readonly stale: boolean
}

/** Prebuilt answers of one set. */
export interface Answers {
  /** By kid, wherever nothing has to be told apart; under `undefined` for tokens without one. */
  readonly sole: ReadonlyMap<string | undefined, Exit.Exit<ResolvedKey>>
  /** Every answer by kid; under `undefined` all of them. */
  readonly all: ReadonlyMap<string | undefined, ReadonlyArray<Answer>>
  readonly jwks: Exit.Exit<ResolvedJwks>
  readonly stale: boolean
}

/** Builds the one frozen answer for `key`. */
export const answerFor = (frame: AnswerFrame, key: UsableKey): Answer => ({
  key,
  stale: frame.freshness === "stale",
  exit: Exit.succeed(
    Object.freeze({
      tenant: frame.tenant,
      provider: frame.provider,
      kid: key.kid,
      jwk: key.jwk,
      thumbprint: key.thumbprint,
      freshness: frame.freshness,
      fetchedAt: frame.fetchedAt,
      expiresAt: frame.expiresAt,
    }),
  ),
})

/** Builds every answer of a set once. */
export const buildAnswers = (frame: AnswerFrame, jwks: ParsedJwks): Answers => {
  const all = jwks.keys.map((key) => answerFor(frame, key))
  const frozenKeys = jwks.keys.map(({ jwk }) => jwk)
  Object.freeze(frozenKeys)
  const byKid = new Map<string | undefined, Array<Answer>>()
  for (const answer of all) {
    if (answer.key.kid === undefined) continue
    const same = byKid.get(answer.key.kid)
    if (same === undefined) byKid.set(answer.key.kid, [answer])
    else same.push(answer)
  }
  byKid.set(undefined, all)
  return {
    stale: frame.freshness === "stale",
    all: byKid,
    sole: new Map(
      Array.from(byKid).flatMap(([kid, answers]) => {
        const [first] = answers
        const isOneKey = first !== undefined && answers.every(({ key }) => key.thumbprint === first.key.thumbprint)
        return isOneKey ? [[kid, first.exit]] : []
      }),
    ),
    jwks: Exit.succeed(
      Object.freeze({
        tenant: frame.tenant,
        provider: frame.provider,
        jwks: Object.freeze({ keys: frozenKeys }),
        freshness: frame.freshness,
        fetchedAt: frame.fetchedAt,
        expiresAt: frame.expiresAt,
      }),
    ),
  }
}

/** The prebuilt answer for a key of the set. */
export const answerOf = (answers: Answers, key: UsableKey): Answer | undefined =>
  answers.all.get(key.kid)?.find((answer) => answer.key === key)

/** The one answer whose key may verify `alg`, if there is exactly one such key. */
const fitting = (answers: ReadonlyArray<Answer>, alg: string): Exit.Exit<ResolvedKey> | undefined => {
  let found: Answer | undefined
  for (const answer of answers) {
    if (!answer.key.algorithms.some((algorithm) => algorithm === alg)) continue
    if (found !== undefined && found.key.thumbprint !== answer.key.thumbprint) return undefined
    found ??= answer
  }
  return found?.exit
}

/**
 * Wall-clock time as a small integer, about a second coarse: a number with a fraction or over 31 bits
 * lives in memory of its own, which costs a hit two cache lines. Never decreases with time, so a slot that
 * is open by the tick is open by the millisecond; what happens inside the last tick, the cache decides.
 */
export const tickOf = (epochMillis: number): number => ((epochMillis - 1_577_836_800_000) / tickMillis) | 0

/** Length of a tick. */
export const tickMillis = 1_024

const noAnswers: Pick<Answers, "sole" | "all"> = { sole: new Map(), all: new Map() }

/** What a hit reads and counts. `ProviderCache` keeps it current; a closed slot sends callers to the cache itself. */
export class HitSlot {
  /** Tick at which the answers are over. */
  #until = tickOf(0)
  /** The same on the monotonic clock, in milliseconds. */
  #untilMono = Number.NEGATIVE_INFINITY
  #sole = noAnswers.sole
  #all = noAnswers.all
  /** Whether the answers are stale ones. */
  stale = false
  /** Requests answered from the set at once. */
  hits = 0
  /** Those of them that were stale. */
  staleHits = 0
  /** Tick at which a resolve last used the provider. */
  usedAt = tickOf(0)

  /** Puts answers in place until `until`. */
  open(answers: Answers, until: Instant): void {
    this.#sole = answers.sole
    this.#all = answers.all
    this.stale = answers.stale
    this.#until = tickOf(until.wall)
    this.#untilMono = until.mono
  }

  /** Sends every caller to the cache. */
  close(): void {
    this.#sole = noAnswers.sole
    this.#all = noAnswers.all
    this.#until = tickOf(0)
  }

  /** Whether the answers are over by the monotonic clock, whatever the wall clock says: for who has no timer that closes it. */
  isOverBy(mono: number): boolean {
    return mono >= this.#untilMono
  }

  /** The answer for `kid`, counted, or `undefined` where the cache has to decide. */
  hit(now: number, kid: string | undefined): Exit.Exit<ResolvedKey> | undefined {
    const tick = tickOf(now)
    if (tick >= this.#until) return undefined
    const exit = this.#sole.get(kid)
    if (exit !== undefined) this.#count(tick, this.stale)
    return exit
  }

  /** The same for a key that may verify `alg`. */
  hitFor(now: number, kid: string | undefined, alg: string): Exit.Exit<ResolvedKey> | undefined {
    const tick = tickOf(now)
    if (tick >= this.#until) return undefined
    const answers = this.#all.get(kid)
    const exit = answers && fitting(answers, alg)
    if (exit !== undefined) this.#count(tick, this.stale)
    return exit
  }

  /** Counts a request that the cache answered from the set at once. */
  count(now: number, stale: boolean): void {
    this.#count(tickOf(now), stale)
  }

  #count(tick: number, stale: boolean): void {
    this.hits += 1
    if (stale) this.staleHits += 1
    this.usedAt = tick
  }
}
