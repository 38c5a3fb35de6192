/**
 * Follows a trace and objects to what the contract forbids. Knows nothing of how the registry works; every
 * objection begins with the number of its invariant:
 *
 * 1. no answer past `staleUntil`, and none under a wrong label
 * 2. no key of another tenant, provider, URL, generation or document
 * 3. one flight per provider
 * 4. every caller ends, with a value or a typed error
 * 5. a failed refresh loses no good set
 * 6. requests within the budget, the back-off and the refresh point, and sent when they are due
 * 7. a known kid on a fresh set costs no request, and no caller ends a flight
 */
import { sameKeys } from "./KeySet.ts"
import { Slot } from "./Slot.ts"
import type { Happening, Question, Status, TraceEvent } from "./Trace.ts"
import { slotOf } from "./Trace.ts"
import type { Upstream } from "./Upstream.ts"
import type { Caller } from "./Caller.ts"
import { disturbed, make, judgeAnswer } from "./Caller.ts"
import type { Moment } from "./View.ts"
import { fitting } from "./View.ts"

/** Judges a trace, event by event. */
export class Oracle {
  readonly objections: Array<string> = []
  readonly slots = new Map<string, Slot>()
  readonly #callers = new Map<number, Caller>()
  /** Who was interrupted: what was asked on their behalf may be remembered. */
  readonly #departed = new Set<Caller>()
  readonly #requests = new Map<number, { readonly slot: Slot; readonly upstream: Upstream }>()
  #closed = false
  #now: Moment = { seq: 0, at: 0 }

  /** Callers that still wait. */
  get waiting(): ReadonlyArray<number> {
    return [...this.#callers.keys()]
  }

  observe(event: TraceEvent): void {
    this.#now = { seq: this.#now.seq + 1, at: event.at }
    this.#follow(event)
  }

  /** The layer is closed, and everybody had the time to end. */
  end(): void {
    for (const caller of this.#callers.values()) this.#object(`(4) ${JSON.stringify(caller.question)} never ended`)
    if (this.#requests.size > 0) this.#object("(7) a request outlived the layer")
  }

  #object(...objections: ReadonlyArray<string | undefined>): void {
    for (const objection of objections) {
      if (objection !== undefined) this.objections.push(`at ${this.#now.at}: ${objection}`)
    }
  }

  #slot(tenant: string, provider: string): Slot {
    const name = slotOf(tenant, provider)
    const slot = this.slots.get(name) ?? new Slot(tenant, provider)
    this.slots.set(name, slot)
    return slot
  }

  #addressed({ tenant, provider }: Question): ReadonlyArray<Slot> {
    return [...this.slots.values()].filter(
      (slot) => slot.tenant === tenant && (provider === undefined ? slot.view.registered : slot.provider === provider),
    )
  }

  #waitingAt(slot: Slot, callers: Iterable<Caller> = this.#callers.values()): ReadonlyArray<Caller> {
    return [...callers].filter(
      ({ question: { tenant, provider } }) =>
        tenant === slot.tenant && (provider === undefined || provider === slot.provider),
    )
  }

  #follow(event: Happening): void {
    const { at } = this.#now
    switch (event._tag) {
      case "Registered": {
        const slot = this.#slot(event.tenant, event.provider)
        slot.register(event.url, event.settings, at)
        return this.#disturb(slot)
      }
      case "Unregistered": {
        const slot = this.#slot(event.tenant, event.provider)
        slot.unregister()
        return this.#disturb(slot)
      }
      case "Asked": {
        const slots = this.#addressed(event.question)
        if (event.question._tag === "Refresh") for (const { upstream } of slots) upstream?.refreshAsked(at)
        return void this.#callers.set(event.caller, make(event.question, slots, this.#now))
      }
      case "Left": {
        const caller = this.#callers.get(event.caller)
        if (caller !== undefined) this.#departed.add(caller)
        return void this.#callers.delete(event.caller)
      }
      case "Answered": {
        const caller = this.#callers.get(event.caller)
        if (caller === undefined) return
        this.#callers.delete(event.caller)
        const slots = this.#addressed(caller.question)
        return this.#object(...judgeAnswer(caller, slots, event.answer, this.#now.at, this.#closed))
      }
      case "Requested":
        return this.#requested(event)
      case "Responded": {
        const sent = this.#requests.get(event.request)
        this.#requests.delete(event.request)
        const open = sent?.upstream.open.get(event.request)
        if (sent === undefined || open === undefined || sent.slot.upstream !== sent.upstream || this.#closed) return
        this.#object(...sent.upstream.ended(event.request, event.outcome, at))
        const asking = this.#waitingAt(sent.slot, [...this.#callers.values(), ...this.#departed])
        return sent.slot.respond(sent.upstream, open, event.outcome, this.#now, asking)
      }
      case "Settled":
        return this.#settled(event.statuses)
      case "Closed":
        this.#closed = true
        for (const caller of this.#callers.values()) {
          Object.assign(caller, { endBy: Infinity, free: false, owed: false, disturbed: true })
        }
    }
  }

  #disturb(slot: Slot): void {
    for (const caller of this.#waitingAt(slot)) disturbed(caller, slot, this.#now.at)
  }

  #requested(event: Extract<Happening, { _tag: "Requested" }>): void {
    const slot = [...this.slots.values()].find(({ url }) => url === event.url)
    if (this.#closed) this.#object("(7) a request of a closed layer")
    if (slot?.upstream === undefined) return this.#object(`(2) a request to ${event.url}, which nobody registered`)
    const { upstream, view } = slot
    const unknownKid = this.#waitingAt(slot).some(
      ({ question }) => question._tag === "ResolveKey" && fitting(view, question).length === 0,
    )
    const flight = upstream.flight
    this.#object(...upstream.sent({ ...event, ...this.#now }, view, unknownKid))
    if (upstream.flight !== flight) slot.tookOff(this.#now)
    this.#requests.set(event.request, { slot, upstream })
  }

  #settled(statuses: Readonly<Record<string, Status | undefined>>): void {
    const { at } = this.#now
    for (const { endBy, free, question } of this.#callers.values()) {
      if (at > endBy) this.#object(`(${free ? 7 : 4}) ${JSON.stringify(question)} had to end by ${endBy}`)
    }
    for (const slot of this.slots.values()) {
      if (!this.#closed) this.#object(...(slot.upstream?.settled(at) ?? []))
      this.#object(judgeStatus(slot, statuses[slotOf(slot.tenant, slot.provider)], at))
    }
  }
}

const judgeStatus = ({ view }: Slot, status: Status | undefined, now: number): string | undefined => {
  if (view.registered !== (status !== undefined)) return "(4) the status of a provider that is not registered, or none"
  if (status === undefined) return undefined
  const { set } = view
  if (set === undefined || now >= set.staleUntil) return status.usable ? "(1) usable without a set" : undefined
  if (!status.usable) return "(5) a good set is held, but not usable"
  if (!sameKeys(status.keys, set.keys)) return "(2) the set is not the current document"
  if (now !== set.expiresAt && status.freshness !== (now < set.expiresAt ? "fresh" : "stale")) return "(1) wrong label"
  const times = [status.fetchedAt, status.expiresAt, status.staleUntil]
  const right = [set.fetchedAt, set.expiresAt, set.staleUntil]
  return right.every((time, i) => Math.abs(time - (times[i] ?? 0)) < 0.01)
    ? undefined
    : `(1) the times ${times.join()} instead of ${right.join()}`
}
