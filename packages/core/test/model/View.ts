/**
 * What is true of one registration at one moment.
 */
import type { KeySet } from "./KeySet.ts"
import type { PublishedKey, Question } from "./Trace.ts"

/** A key that vanished from the document; `sure` until a registration may have ended its grace. */
export interface VanishedKey extends PublishedKey {
  readonly vanishedAt: number
  readonly until: number
  readonly sure: boolean
}

/** Something that happened, by its place in the trace and its time. */
export interface Moment {
  readonly seq: number
  readonly at: number
}

/** What is true of one registration; a value that changes replace whole. */
export interface View {
  readonly registered: boolean
  readonly set: KeySet | undefined
  readonly vanished: ReadonlyArray<VanishedKey>
  /** Whether an attempt failed since the last success; `maybe` where a registration may have forgotten it. */
  readonly failed: "no" | "maybe" | "yes"
  readonly lastFailure: Moment | undefined
  readonly lastSuccess: (Moment & { readonly notModified: boolean }) | undefined
  /** A `Retry-After` lasts until then. */
  readonly retryAt: number
  /** Questions by {@link nameOf} whose answer a response has proven absent, and when. */
  readonly absent: ReadonlyMap<string, number>
  /** When the flight under way sent its first request. */
  readonly flightSince: number | undefined
}

/** Nothing is known. */
export const nothing: View = {
  registered: false,
  set: undefined,
  vanished: [],
  failed: "no",
  lastFailure: undefined,
  lastSuccess: undefined,
  retryAt: 0,
  absent: new Map(),
  flightSince: undefined,
}

/** Questions for one key. */
export type KeyQuestion = Extract<Question, { readonly _tag: "ResolveKey" }>

/** One name for questions that one absence answers. */
export const nameOf = ({ kid, notThumbprint }: KeyQuestion): string => `${kid ?? ""} ${notThumbprint ?? ""}`

/** The keys of the set that fit a question. */
export const fitting = ({ set }: View, { kid, notThumbprint }: KeyQuestion): ReadonlyArray<PublishedKey> =>
  (set?.keys ?? []).filter((key) => (kid === undefined || key.kid === kid) && key.thumbprint !== notThumbprint)

/** Vanished keys that fit a question now: only if the set lacks the kid, and never as fresh answers. */
export const fittingVanished = (view: View, question: KeyQuestion, now: number): ReadonlyArray<VanishedKey> =>
  view.set?.keys.some(({ kid }) => kid === question.kid) === true || !question.allowStale
    ? []
    : view.vanished.filter(
        ({ kid, thumbprint, until }) => kid === question.kid && thumbprint !== question.notThumbprint && now <= until,
      )

/** Whether a vanished key must answer the question: only where exactly one fits. */
export const owedVanished = (view: View, question: KeyQuestion, now: number): boolean => {
  const [only, ...others] = fittingVanished(view, question, now)
  return only !== undefined && others.length === 0 && only.sure && now < only.until
}
