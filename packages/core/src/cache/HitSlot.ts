/**
 * The hit path: prebuilt answers of one set behind one mutable slot, so that a hit is a look-up and two
 * counters, without a permit, a generator or an allocation.
 */
import * as Exit from "effect/Exit"
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

/** Answers under one kid. */
interface KidAnswers {
  /** The answer where nothing has to be told apart. */
  readonly sole: Answer | undefined
  readonly all: ReadonlyArray<Answer>
}

/** Prebuilt answers of one set. */
export interface Answers {
  /** By kid; under `undefined` every key, for tokens without one. */
  readonly byKid: ReadonlyMap<string | undefined, KidAnswers>
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
    byKid: new Map(Array.from(byKid, ([kid, answers]) => [kid, { sole: soleOf(answers), all: answers }])),
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

/** The answer if all of them are for one key. */
const soleOf = (answers: ReadonlyArray<Answer>): Answer | undefined => {
  const [first] = answers
  return first !== undefined && answers.every(({ key }) => key.thumbprint === first.key.thumbprint) ? first : undefined
}

/** The prebuilt answer for a key of the set. */
export const answerOf = (answers: Answers, key: UsableKey): Answer | undefined =>
  answers.byKid.get(key.kid)?.all.find((answer) => answer.key === key)

const noAnswers: Answers["byKid"] = new Map()

/**
 * What a hit reads and counts. `ProviderCache` keeps it current; a slot that is not `until` past now
 * sends the caller to the cache itself.
 */
export class HitSlot {
  /** Wall clock (epoch milliseconds) at which the answers are over. */
  until = 0
  /** Whether the answers are stale ones. */
  stale = false
  byKid: Answers["byKid"] = noAnswers
  /** Requests answered from the set at once. */
  hits = 0
  /** Those of them that were stale. */
  staleHits = 0
  /** When a resolve last used the provider (epoch milliseconds). */
  usedAt = 0

  /** Puts answers in place until `until`. */
  open(answers: Answers, until: number): void {
    this.byKid = answers.byKid
    this.stale = answers.stale
    this.until = until
  }

  /** Sends every caller to the cache. */
  close(): void {
    this.until = 0
    this.byKid = noAnswers
  }

  /** The answer for `kid`, not counted yet, or `undefined` where the cache has to decide. */
  look(now: number, kid: string | undefined, alg: string | undefined): Answer | undefined {
    if (now >= this.until) return undefined
    const answers = this.byKid.get(kid)
    if (answers === undefined) return undefined
    return alg === undefined ? answers.sole : fitting(answers.all, alg)
  }

  /** Counts a request that was answered from the set at once. */
  count(now: number, stale: boolean): void {
    this.hits += 1
    if (stale) this.staleHits += 1
    this.usedAt = now
  }
}

/** The one answer whose key may verify `alg`, if there is exactly one such key. */
const fitting = (answers: ReadonlyArray<Answer>, alg: string): Answer | undefined => {
  let found: Answer | undefined
  for (const answer of answers) {
    if (!(answer.key.algorithms as ReadonlyArray<string>).includes(alg)) continue
    if (found !== undefined && found.key.thumbprint !== answer.key.thumbprint) return undefined
    found ??= answer
  }
  return found
}
