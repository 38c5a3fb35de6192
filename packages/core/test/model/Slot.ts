/**
 * One provider of one tenant as the oracle follows it: how registrations and responses change what is true.
 */
import type { KeySet } from "./KeySet.ts"
import { confirmed, delivered, reregistered, sameKeys } from "./KeySet.ts"
import type { Outcome, Question, Settings } from "./Trace.ts"
import type { OpenRequest } from "./Upstream.ts"
import { Upstream } from "./Upstream.ts"
import type { Moment, VanishedKey, View } from "./View.ts"
import { fitting, nameOf, nothing } from "./View.ts"

/** Longest background back-off (rule 13). */
const maxBackoff = 60_000
/** Longest `Retry-After` that counts (rule 13), in seconds. */
const maxRetryAfter = 600

const vanishing = (view: View, next: KeySet, grace: number, now: number): ReadonlyArray<VanishedKey> => {
  const { set, vanished } = view
  if (set === undefined) return []
  const gone = set.keys.map((key) => ({
    ...key,
    vanishedAt: now,
    until: Math.min(now + grace, set.staleUntil),
    sure: true,
  }))
  return [...vanished, ...gone].filter(({ kid, until }) => until > now && next.keys.every((key) => key.kid !== kid))
}

/** One provider of one tenant. */
export class Slot {
  readonly tenant: string
  readonly provider: string
  url: string | undefined
  upstream: Upstream | undefined
  view: View = nothing
  /** Absences that somebody was told, and when they were proven. */
  readonly told = new Map<string, number>()
  /** Views that ended at this moment: whoever asked before may have been answered from them. */
  #past: ReadonlyArray<{ readonly view: View; readonly until: Moment }> = []
  #lost: Upstream | undefined

  constructor(tenant: string, provider: string) {
    this.tenant = tenant
    this.provider = provider
  }

  /** Every view that an answer given now may come from. */
  viewsSince(since: Moment, now: number): ReadonlyArray<View> {
    const past = this.#past.filter(({ until }) => until.at === now && until.seq > since.seq)
    return [this.view, ...past.map(({ view }) => view)]
  }

  #change(changes: Partial<View>, until: Moment): void {
    this.#past = [...this.#past.filter(({ until: { at } }) => at === until.at), { view: this.view, until }]
    this.view = { ...this.view, ...changes }
  }

  register(url: string, settings: Settings, now: number): void {
    const { set, vanished, failed, absent, lastFailure, retryAt } = this.view
    const sameUrl = this.url === url
    const kept = sameUrl && settings.maxRedirects === this.upstream?.settings.maxRedirects ? set : undefined
    this.view = {
      ...nothing,
      registered: true,
      ...(sameUrl ? { lastFailure, retryAt } : {}),
      ...(kept === undefined
        ? {}
        : {
            set: reregistered(kept, settings),
            vanished: vanished.map((key) => ({
              ...key,
              until: Math.min(key.until, key.vanishedAt + settings.removedKeyGrace),
              sure: false,
            })),
            failed: failed === "no" ? "no" : "maybe",
            absent,
          }),
    }
    this.#past = []
    this.told.clear()
    const before = this.upstream ?? this.#lost
    const restUntil = sameUrl ? (before?.mayRestUntil ?? 0) : 0
    const backoff = Math.max(now, restUntil) + maxBackoff
    const { set: held } = this.view
    const dueBy = held !== undefined ? Math.max(held.expiresAt, backoff) : restUntil > now ? backoff : now + 1000
    this.upstream = before?.next(settings, now, dueBy) ?? new Upstream(settings, now, dueBy)
    this.upstream.mayRestUntil = restUntil
    this.url = url
  }

  unregister(): void {
    this.#lost = this.upstream ?? this.#lost
    this.upstream = undefined
    this.url = undefined
    this.view = nothing
    this.#past = []
  }

  /** A new flight has sent its first request. */
  tookOff(now: Moment): void {
    this.#change({ flightSince: now.at }, now)
  }

  /** The response to a request of this generation; `waiting`: who waits for this provider. */
  respond(
    upstream: Upstream,
    open: OpenRequest,
    outcome: Outcome,
    now: Moment,
    waiting: ReadonlyArray<{ readonly question: Question; readonly since: Moment }>,
  ): void {
    const { set } = this.view
    const unaskedFor = outcome._tag === "Response" && outcome.status === 304 && !open.conditional
    if (unaskedFor && upstream.followsUnaskedFor(now.at)) return
    const next = nextSet(set, open, outcome, now.at, upstream.settings)
    if (next === undefined) return this.#fail(upstream, outcome, now)
    const same = set !== undefined && sameKeys(set.keys, next.keys)
    const absent = new Map(same ? this.view.absent : [])
    const view = { ...this.view, set: next }
    for (const { question, since } of waiting) {
      if (question._tag !== "ResolveKey" || since.seq > open.seq || fitting(view, question).length > 0) continue
      absent.set(nameOf(question), now.at)
    }
    if (!same) this.told.clear()
    upstream.notBefore = 0
    upstream.mayRestUntil = 0
    upstream.dueBy = next.expiresAt
    this.#change(
      {
        set: next,
        vanished: vanishing(this.view, next, upstream.settings.removedKeyGrace, now.at),
        failed: "no",
        lastSuccess: { ...now, notModified: outcome._tag === "Response" && outcome.status === 304 },
        absent,
        flightSince: undefined,
      },
      now,
    )
  }

  #fail(upstream: Upstream, outcome: Outcome, now: Moment): void {
    const { set, retryAt } = this.view
    if (outcome._tag === "Response" && outcome.retryAfter !== undefined) {
      upstream.notBefore = now.at + Math.min(outcome.retryAfter, maxRetryAfter) * 1000
      upstream.mayRestUntil = Math.max(upstream.mayRestUntil, upstream.notBefore)
    }
    const backoff = Math.max(now.at, upstream.mayRestUntil) + maxBackoff
    upstream.dueBy = set !== undefined && set.expiresAt > now.at ? Math.max(set.expiresAt, backoff) : backoff
    this.#change({ failed: "yes", lastFailure: now, retryAt: Math.max(retryAt, upstream.notBefore) }, now)
  }
}

/** The set that a response leaves; `undefined` for a failure. */
const nextSet = (set: KeySet | undefined, open: OpenRequest, outcome: Outcome, now: number, settings: Settings) => {
  if (outcome._tag !== "Response") return undefined
  if (outcome.status === 304 && open.conditional && set !== undefined) return confirmed(set, outcome, now, settings)
  if (outcome.status !== 200 || outcome.keys === undefined || outcome.keys.length === 0) return undefined
  return delivered(outcome.keys, outcome, now, settings)
}
