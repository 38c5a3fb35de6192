/**
 * Which answers the contract allows, given what is true of a registration.
 */
import type { KeySet } from "./KeySet.ts"
import { sameKeys } from "./KeySet.ts"
import type { Answer, Labels, PublishedKey, Question } from "./Trace.ts"
import type { KeyQuestion, Moment, View } from "./View.ts"
import { fitting, fittingVanished, nameOf, owedVanished } from "./View.ts"

const differ = (a: number, b: number): boolean => Math.abs(a - b) > 0.01

const judgeLabels = (view: View, set: KeySet, labels: Labels, allowStale: boolean, now: number): string | undefined => {
  const { freshness, fetchedAt, expiresAt } = labels
  if (now > set.staleUntil) return `(1) answered at ${now}, past staleUntil ${set.staleUntil}`
  if (now !== set.expiresAt && freshness !== (now < set.expiresAt ? "fresh" : "stale")) {
    return `(1) labelled ${freshness} at ${now}, the set expires at ${set.expiresAt}`
  }
  if (differ(fetchedAt, set.fetchedAt)) return `(1) fetchedAt ${fetchedAt} instead of ${set.fetchedAt}`
  if (differ(expiresAt, set.expiresAt)) return `(1) expiresAt ${expiresAt} instead of ${set.expiresAt}`
  if (freshness === "fresh") return undefined
  if (!allowStale) return "(1) a stale answer to who refused it"
  const waited = view.flightSince === undefined ? 0 : now - view.flightSince
  return view.failed === "no" && waited < 999.99 ? "(1) stale before an attempt failed or took a second" : undefined
}

const judgeKey = (view: View, question: KeyQuestion, answer: Extract<Answer, { _tag: "Key" }>, now: number) => {
  const isIt = ({ kid, thumbprint }: PublishedKey) => kid === answer.kid && thumbprint === answer.thumbprint
  const inSet = fitting(view, question)
  if (view.set !== undefined && inSet.some(isIt)) {
    if (inSet.length > 1) return `(2) one key answered, ${inSet.length} fit`
    return judgeLabels(view, view.set, answer, question.allowStale, now)
  }
  if (!fittingVanished(view, question, now).some(isIt)) {
    return `(2) kid ${answer.kid} with ${answer.thumbprint} is not in the current document`
  }
  return answer.freshness === "fresh" ? "(1) a vanished key labelled fresh" : undefined
}

const judgeNotFound = (view: View, question: Question, confirmed: boolean, since: Moment, now: number, ttl: number) => {
  if (question._tag !== "ResolveKey") return "(4) KeyNotFound for a whole set"
  const { set } = view
  if (set === undefined || now > set.staleUntil) return "(4) KeyNotFound without a usable set"
  if (fitting(view, question).length > 0) return "(5) KeyNotFound for a kid that the set holds"
  if (owedVanished(view, question, now)) return "(5) KeyNotFound for a kid in its grace"
  if (!confirmed) return undefined
  const provenAt = view.absent.get(nameOf(question))
  // Remembered when it was asked: another provider of the tenant may have taken longer.
  return provenAt !== undefined && since.at - provenAt <= ttl
    ? undefined
    : "(6) an absence confirmed that no response has proven"
}

const judgeUnavailable = (view: View, question: Question, since: Moment, now: number, ttl: number) => {
  const { lastFailure, retryAt, set } = view
  const allowStale = question._tag === "Resolve" || (question._tag === "ResolveKey" && question.allowStale)
  if (question._tag !== "Refresh" && set !== undefined && now < (allowStale ? set.staleUntil : set.expiresAt)) {
    return "(5) JwksUnavailable while a good set is held"
  }
  if (lastFailure === undefined) return "(4) JwksUnavailable before anything failed"
  if (lastFailure.seq > since.seq) return undefined
  if (question._tag === "Refresh") return "(4) a refresh failed without a request that failed"
  return since.at - lastFailure.at <= ttl || since.at <= retryAt ? undefined : "(6) a failure remembered for too long"
}

/**
 * What the contract objects to in this answer of one provider, given now to a question that was asked at
 * `since`; `ttl`: how long absences and failures are remembered.
 */
export const judge = (
  view: View,
  ttl: number,
  question: Question,
  answer: Answer,
  since: Moment,
  now: number,
): string | undefined => {
  switch (answer._tag) {
    case "Key":
      return question._tag === "ResolveKey" ? judgeKey(view, question, answer, now) : "(4) a key for another question"
    case "Set": {
      if (view.set === undefined) return "(2) a set that is not held"
      if (!sameKeys(view.set.keys, answer.keys)) return "(2) the set is not the current document"
      return judgeLabels(view, view.set, answer, true, now)
    }
    case "Refreshed": {
      const { lastSuccess, set } = view
      if (set === undefined || lastSuccess === undefined || lastSuccess.seq < since.seq)
        return "(4) nothing was refreshed"
      if (lastSuccess.notModified !== answer.notModified) return "(4) a refresh that tells 200 and 304 apart wrongly"
      return differ(set.expiresAt, answer.expiresAt) ? `(1) expiresAt ${answer.expiresAt} of a refresh` : undefined
    }
    case "NotRegistered":
      return view.registered ? "(4) NotRegistered for a provider that is registered" : undefined
    case "KeyNotFound":
      if (answer.dropped !== undefined) return `(2) no document held a key to drop: ${answer.dropped}`
      return judgeNotFound(view, question, answer.confirmed, since, now, ttl)
    case "KeyAmbiguous":
      return question._tag === "ResolveKey" &&
        fitting(view, { ...question, notThumbprint: "" }).length + fittingVanished(view, question, now).length > 1
        ? undefined
        : "(2) KeyAmbiguous where one key fits at most"
    case "JwksUnavailable":
      return judgeUnavailable(view, question, since, now, ttl)
    case "Broken":
      return `(4) ${answer.what}`
  }
}
