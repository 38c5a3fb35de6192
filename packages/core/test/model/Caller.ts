/**
 * Who asks: how long an answer may take, what it may cost, and which answers are right across providers.
 */
import type { Slot } from "./Slot.ts"
import type { Answer, Question } from "./Trace.ts"
import { judge } from "./Verdict.ts"
import type { Moment, View } from "./View.ts"
import { fitting, fittingVanished, nameOf, owedVanished } from "./View.ts"

/** Somebody who waits for an answer. */
export interface Caller {
  readonly question: Question
  readonly since: Moment
  /** When the answer must be there. */
  endBy: number
  /** The answer must cost no request. */
  free: boolean
  /** A look-up upstream is owed: the bucket has a token, and nothing fails. */
  owed: boolean
  /** A registration changed while the caller waited. */
  disturbed: boolean
}

const isFresh = ({ set }: View, now: number): boolean => set !== undefined && now < set.expiresAt

const most = (slot: Slot): number => 2 * (slot.upstream?.settings.deadline ?? 0) + 1000

/** How long an answer of this provider may take. */
const patience = (slot: Slot, question: Question, now: number): number => {
  const { told, upstream, view } = slot
  if (upstream === undefined) return 0
  if (question._tag === "Refresh" || view.set === undefined || now >= view.set.staleUntil) return most(slot)
  const fresh = isFresh(view, now)
  if (question._tag === "ResolveKey") {
    if (fitting(view, question).length === 0) {
      const inGrace = owedVanished(view, question, now)
      const toldAt = told.get(nameOf(question)) ?? -Infinity
      return fresh && (inGrace || now < toldAt + upstream.settings.negativeCacheTtl) ? 0 : most(slot)
    }
    if (!fresh && !question.allowStale) return most(slot)
  }
  return fresh || view.failed === "yes" ? 0 : 1000
}

/** Somebody asks these providers: the one that the question names, or all of the tenant. */
export const make = (question: Question, slots: ReadonlyArray<Slot>, since: Moment): Caller => {
  const now = since.at
  const waits = slots.map((slot) => ({ slot, wait: patience(slot, question, now) }))
  const knows = ({ view }: Slot) => question._tag === "ResolveKey" && fitting(view, question).length > 0
  // One provider that has the kid is enough; if none has it, all are asked.
  const knowing = waits.filter(({ slot, wait }) => question.provider === undefined && wait === 0 && knows(slot))
  const decisive = knowing.length > 0 ? knowing : waits
  const wait = Math.max(0, ...decisive.map(({ wait }) => wait))
  const [first] = slots
  return {
    question,
    since,
    endBy: now + wait,
    free: wait === 0 && decisive.every(({ slot: { view } }) => isFresh(view, now)),
    owed:
      wait > 0 &&
      question._tag === "ResolveKey" &&
      question.provider !== undefined &&
      first?.upstream !== undefined &&
      isFresh(first.view, now) &&
      fitting(first.view, question).length === 0 &&
      first.view.failed === "no" &&
      now >= first.upstream.notBefore &&
      first.upstream.hasToken(now),
    disturbed: false,
  }
}

/** A registration has changed: the caller waits for the new flight, or ends. */
export const disturbed = (caller: Caller, slot: Slot, now: number): void => {
  const { provider, _tag } = caller.question
  Object.assign(caller, { free: false, owed: false, disturbed: true })
  if (slot.upstream !== undefined) caller.endBy = now + most(slot)
  else if (provider !== undefined) caller.endBy = now
  if (_tag === "Refresh") slot.upstream?.refreshAsked(now)
}

const objectionAt = (slot: Slot, { question, since }: Caller, answer: Answer, now: number): string | undefined => {
  const ttl = slot.upstream?.settings.negativeCacheTtl ?? 0
  const [first, ...others] = slot.viewsSince(since, now).map((view) => judge(view, ttl, question, answer, since, now))
  return others.includes(undefined) ? undefined : first
}

/** The keys that fit; `certain`: only those that must. */
const thumbprintsOf = (
  slots: ReadonlyArray<Slot>,
  question: Question,
  now: number,
  certain: boolean,
): ReadonlySet<string> =>
  new Set(
    slots.flatMap(({ view }) =>
      question._tag === "ResolveKey"
        ? [
            ...fitting(view, question),
            ...(certain && !owedVanished(view, question, now) ? [] : fittingVanished(view, question, now)),
          ].map(({ thumbprint }) => thumbprint)
        : [],
    ),
  )

/** What the contract objects to in an error that stands for every provider of a tenant (rule 12). */
const tenantObjection = (caller: Caller, slots: ReadonlyArray<Slot>, answer: Answer, now: number) => {
  const of = (slot: Slot, answer: Answer) => objectionAt(slot, caller, answer, now)
  const lacks = (slot: Slot) => of(slot, { _tag: "KeyNotFound", confirmed: false }) === undefined
  // What was said by a provider that was asked successfully since need not hold any more.
  const steady = slots.filter(({ view }) => (view.lastSuccess?.seq ?? 0) < caller.since.seq)
  if (caller.disturbed) return undefined
  switch (answer._tag) {
    case "NotRegistered":
      return slots.length === 0 ? undefined : "(4) NotRegistered for a tenant that has providers"
    case "KeyNotFound":
      return steady.map((slot) => of(slot, answer)).find((objection) => objection !== undefined)
    case "JwksUnavailable": {
      const objections = steady.map((slot) => of(slot, answer))
      if (steady.length === slots.length && !objections.includes(undefined)) {
        return objections[0] ?? "(4) JwksUnavailable for a tenant without providers"
      }
      return steady.some((slot, i) => objections[i] !== undefined && !lacks(slot))
        ? "(5) one of the providers has the kid"
        : undefined
    }
    case "KeyAmbiguous":
      return thumbprintsOf(slots, caller.question, now, false).size > 1
        ? undefined
        : "(2) KeyAmbiguous where one key fits at most"
    default:
      return "(4) no answer to this question"
  }
}

const objectionTo = (caller: Caller, slots: ReadonlyArray<Slot>, answer: Answer, now: number) => {
  const { free, question } = caller
  if (answer._tag === "Key" || answer._tag === "Set") {
    const { provider, tenant } = answer
    const slot = slots.find((slot) => slot.tenant === tenant && slot.provider === provider)
    if (slot === undefined) return `(2) a key of ${tenant}/${provider}, which was not asked`
    const fresh = slots.filter(({ view }) => isFresh(view, now))
    if (question.provider === undefined && free && thumbprintsOf(fresh, question, now, true).size > 1) {
      return "(2) a key where the providers have different ones"
    }
    return objectionAt(slot, caller, answer, now)
  }
  const [named] = slots
  if (answer._tag === "Broken") return `(4) ${answer.what}`
  if (question.provider === undefined) return tenantObjection(caller, slots, answer, now)
  if (named !== undefined) return objectionAt(named, caller, answer, now)
  return answer._tag === "NotRegistered" ? undefined : "(2) an answer of a provider that was never registered"
}

/** What the contract objects to in this answer, the price it had and the time it took. */
export const judgeAnswer = (
  caller: Caller,
  slots: ReadonlyArray<Slot>,
  answer: Answer,
  now: number,
  closed: boolean,
): ReadonlyArray<string | undefined> => {
  const { endBy, free, owed, question, since } = caller
  const asked = JSON.stringify(question)
  if (answer._tag === "JwksUnavailable" && answer.reason === "RegistryClosed") {
    return [closed ? undefined : "(4) RegistryClosed in an open layer"]
  }
  const objections = [objectionTo(caller, slots, answer, now)]
  if (now > endBy + 0.01) objections.push(`(${free ? 7 : 4}) ${asked} ended late: it had to by ${endBy}`)
  if (free && slots.some(({ upstream }) => (upstream?.lastSeq ?? 0) > since.seq)) {
    objections.push(`(7) a request on the way to an answer that was there: ${asked}`)
  }
  const [slot] = slots
  if (answer._tag !== "KeyNotFound" || question._tag !== "ResolveKey" || question.provider === undefined)
    return objections
  if (owed && !answer.confirmed && (slot?.view.lastFailure?.seq ?? 0) < since.seq) {
    objections.push("(6) nothing failed and the bucket had a token, but the absence is not confirmed")
  }
  const name = nameOf(question)
  const provenAt = slot?.view.absent.get(name)
  if (answer.confirmed && provenAt !== undefined && question.notThumbprint === undefined) slot?.told.set(name, provenAt)
  return objections
}
