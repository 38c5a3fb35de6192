/**
 * The last events, numbered, and the last failures of each provider: bounded, synchronous, and a signal for those
 * who wait for more. Subscribers hold a position instead of a queue, so a slow one costs nothing and slows nobody.
 */
import { describeEvent, describeReason, type JwksEvent } from "@effect-jwks/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Schema from "effect/Schema"
import type { ProviderFailure } from "../ProviderModel.ts"
import type { TimelineEvent } from "../TimelineModel.ts"

/** How many events, failures of one provider, and providers with failures are kept. */
export const bounds = { events: 1_000, failures: 20, failedProviders: 10_000 }

/** A value as JSON has it: what it can not tell is `null`, and members without a value are left out. */
const toJson = (value: unknown): Schema.Json => {
  if (Array.isArray(value)) return value.map(toJson)
  switch (typeof value) {
    case "string":
    case "boolean":
      return value
    case "number":
      return Number.isFinite(value) ? value : null
    case "object":
      return value === null ? null : recordOf(Object.entries(value))
    default:
      return null
  }
}

const recordOf = (members: ReadonlyArray<readonly [string, unknown]>): Readonly<Record<string, Schema.Json>> =>
  Object.fromEntries(members.flatMap(([name, value]) => (value === undefined ? [] : [[name, toJson(value)]])))

const levels = { Debug: "debug", Info: "info", Warn: "warn", Error: "error" } as const

const toTimelineEvent = (id: number, event: JwksEvent): TimelineEvent => {
  const { _tag: tag, provider, tenant, time, ...details } = event
  const { level, message } = describeEvent(event)
  return {
    id,
    tenant,
    provider,
    time,
    tag,
    level: levels[level],
    text: message,
    details: recordOf(Object.entries(details)),
  }
}

const keyOf = (tenant: string, provider: string): string => JSON.stringify([tenant, provider])

/** The last events and failures. */
export class TimelineBuffer {
  readonly #firstId: number
  /** Consecutive ids, oldest first. */
  readonly #events: Array<TimelineEvent> = []
  #nextId: number
  /** Newest first, by provider; whoever failed last is at the end. */
  readonly #failures = new Map<string, ReadonlyArray<ProviderFailure>>()
  #changed: Deferred.Deferred<void> | undefined
  #isClosed = false

  constructor(firstId: number) {
    this.#firstId = firstId
    this.#nextId = firstId
  }

  /** Takes an event in. */
  record(event: JwksEvent): void {
    this.#events.push(toTimelineEvent(this.#nextId, event))
    this.#nextId += 1
    if (this.#events.length > bounds.events) this.#events.shift()
    this.#remember(event)
    this.#signal()
  }

  /** The id of the newest event, or the one before the first. */
  get newestId(): number {
    return this.#nextId - 1
  }

  /** Events that the buffer has let go. */
  get dropped(): number {
    return this.#oldestId - this.#firstId
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Events after an id, oldest first, and how many of them are gone. An id that was never given asks for all. */
  after(id: number, limit: number): { readonly items: ReadonlyArray<TimelineEvent>; readonly missed: number } {
    const next = id >= this.#nextId ? this.#firstId : Math.max(id + 1, this.#firstId)
    const from = Math.max(next, this.#oldestId)
    const start = from - this.#oldestId
    return { items: this.#events.slice(start, start + limit), missed: from - next }
  }

  /** Events before an id that `isWanted`, newest first. */
  newest(
    limit: number,
    before = this.#nextId,
    isWanted: (event: TimelineEvent) => boolean = () => true,
  ): ReadonlyArray<TimelineEvent> {
    const found: Array<TimelineEvent> = []
    for (let at = Math.min(before, this.#nextId) - this.#oldestId - 1; at >= 0 && found.length < limit; at--) {
      const event = this.#events[at]
      if (event !== undefined && isWanted(event)) found.push(event)
    }
    return found
  }

  /** The last failures of a provider, newest first. */
  failuresOf(tenant: string, provider: string): ReadonlyArray<ProviderFailure> {
    return this.#failures.get(keyOf(tenant, provider)) ?? []
  }

  /** Waits until there is an event after this id, or the end. */
  awaitAfter(id: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#isClosed || id < this.newestId) return Effect.void
      this.#changed ??= Deferred.makeUnsafe<void>()
      return Deferred.await(this.#changed)
    })
  }

  /** Ends every wait; nothing is taken in any more that anybody would hear of. */
  close(): void {
    this.#isClosed = true
    this.#signal()
  }

  get #oldestId(): number {
    return this.#nextId - this.#events.length
  }

  #signal(): void {
    const changed = this.#changed
    this.#changed = undefined
    if (changed !== undefined) Deferred.doneUnsafe(changed, Exit.void)
  }

  #remember(event: JwksEvent): void {
    const key = keyOf(event.tenant, event.provider)
    switch (event._tag) {
      case "ProviderUnregistered":
        this.#failures.delete(key)
        break
      case "ProviderRegistered":
        if (!event.replaced) this.#failures.delete(key)
        break
      case "RefreshFailed":
      case "RediscoveryFailed": {
        const failure = { at: event.time, reason: event.reason._tag, message: describeReason(event.reason) }
        const before = this.#failures.get(key) ?? []
        this.#failures.delete(key)
        this.#failures.set(key, [failure, ...before.slice(0, bounds.failures - 1)])
        // An unregistration that got lost in a burst of events must not be kept for ever.
        const [first] = this.#failures.keys()
        if (this.#failures.size > bounds.failedProviders && first !== undefined) this.#failures.delete(first)
        break
      }
      default:
    }
  }
}
