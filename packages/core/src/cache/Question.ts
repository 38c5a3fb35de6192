/**
 * What a caller asks, and what a set says to it.
 */
import type * as Tracer from "effect/Tracer"
import type { Instant } from "../Instant.ts"
import type { DropReason } from "../jwk/Jwks.ts"
import { select } from "../jwk/KeyPolicy.ts"
import type { Provider } from "../Provider.ts"
import type { ResolveKeyOptions } from "../Resolved.ts"
import type { HeldSet, RemovedKey } from "./CacheState.ts"
import { type Answer, type Answers, answerFor, answerOf } from "./HitSlot.ts"
import { findRemoved } from "./RemovedKeys.ts"

/** A caller's question. */
export interface Question {
  readonly kid: string | undefined
  readonly alg: string | undefined
  readonly notThumbprint: string | ReadonlyArray<string> | undefined
  readonly allowStale: boolean
  /** What the caller traces. */
  readonly span: Tracer.AnySpan | undefined
  /** Orders the question against the requests that were sent. */
  readonly askedAt: number
  /** Whether it was counted as one for an unknown kid. */
  isCountedAsUnknown: boolean
}

/** The question that a resolve asks. */
export const questionOf = (
  kid: string | undefined,
  options: ResolveKeyOptions | undefined,
  span: Tracer.AnySpan | undefined,
  askedAt: number,
): Question => ({
  kid,
  alg: options?.alg,
  notThumbprint: options?.notThumbprint,
  allowStale: options?.allowStale !== false,
  span,
  askedAt,
  isCountedAsUnknown: false,
})

/** What the memory of absences knows a question by. */
export const idOf = ({ kid, notThumbprint }: Question): string => JSON.stringify([kid, notThumbprint])

/** Longest kid that a set may hold, in UTF-8 bytes: nothing longer is looked for upstream. */
const maxKidBytes = 1_024

/** Whether a set could hold this kid at all; token headers are not typed, so it may not even be text. */
export const mayBeKid = (kid: unknown): boolean =>
  typeof kid === "string" && kid.length <= maxKidBytes && new TextEncoder().encode(kid).length <= maxKidBytes

/** A set and its prebuilt answers. */
export interface Servable {
  readonly held: HeldSet
  readonly answers: Answers
}

/** What a set says. */
export type Said =
  | { readonly _tag: "Found"; readonly answer: Answer }
  | { readonly _tag: "Ambiguous"; readonly thumbprints: ReadonlyArray<string> }
  | { readonly _tag: "Dropped"; readonly reason: DropReason }
  | { readonly _tag: "Absent" }

/** Answers for keys in grace, so that they are the same objects each time. */
const removedAnswers = new WeakMap<RemovedKey, Answer>()

/** Asks a set: its keys, and the ones in grace where it lacks the kid. */
export const ask = (question: Question, { answers, held }: Servable, provider: Provider, now: Instant): Said => {
  const selected = select(held.jwks, question)
  if (selected._tag === "Found") {
    const answer = answerOf(answers, selected.key)
    return answer === undefined ? { _tag: "Absent" } : { _tag: "Found", answer }
  }
  if (selected._tag !== "Absent" || !question.allowStale) return selected
  const removed = findRemoved(held.removed, question, now)
  if (removed === undefined) return selected
  const answer =
    removedAnswers.get(removed) ?? answerFor({ ...identityOf(provider), ...removed, freshness: "stale" }, removed.key)
  removedAnswers.set(removed, answer)
  return { _tag: "Found", answer }
}

const identityOf = ({ provider, tenant }: Provider) => ({ tenant, provider })
