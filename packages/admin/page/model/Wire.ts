/**
 * What the admin API answers, as the page reads it. All times are epoch milliseconds of the server's clock.
 *
 * The guards look at what a wrong address or a proxy in between would get wrong, not at every member: page and
 * API come from one server.
 */

/** How a provider stands; `waiting` has nothing yet, and no failure either. */
export const healths = ["fresh", "stale", "failed", "waiting"] as const

export type Health = (typeof healths)[number]

export interface Failure {
  readonly reason: string
  readonly message: string
  readonly at: number
  /** Failed flights in a row. */
  readonly count: number
  readonly nextAttemptAt: number
}

/** The times of a held set, in the order in which they pass; all absent where none is held. */
export interface SetTimes {
  readonly fetchedAt?: number
  readonly nextRefreshAt?: number
  readonly expiresAt?: number
  readonly staleUntil?: number
}

export interface ProviderName {
  readonly tenant: string
  readonly provider: string
}

export interface ProviderSummary extends ProviderName, SetTimes {
  readonly url: string
  readonly state: "Empty" | "Loading" | "Ready" | "Refreshing"
  readonly health: Health
  readonly keys: number
  readonly dropped: number
  readonly failure?: Failure
  readonly requests: number
  readonly hits: number
  readonly misses: number
  readonly stale: number
  readonly refreshes: number
  readonly refreshErrors: number
  readonly notModified: number
}

export interface ProvidersAnswer {
  readonly now: number
  readonly total: number
  readonly counts: Readonly<Record<Health, number>>
  readonly offset: number
  readonly items: ReadonlyArray<ProviderSummary>
}

export interface KeyRow {
  readonly kid?: string
  readonly kty: string
  readonly alg?: string
  readonly use?: string
  readonly thumbprint: string
  /** Public members only; absent where the set is not usable. */
  readonly jwk?: Readonly<Record<string, unknown>>
}

export interface ProviderDetail extends ProviderSummary {
  readonly now: number
  readonly keyList: ReadonlyArray<KeyRow>
  readonly droppedList: ReadonlyArray<{ readonly kid?: string; readonly reason: string }>
  readonly errors: ReadonlyArray<{ readonly at: number; readonly reason: string; readonly message: string }>
  readonly events: ReadonlyArray<TimelineEvent>
}

export interface TimelineEvent extends ProviderName {
  /** Rises by one; starts again when the server does. */
  readonly id: number
  readonly time: number
  readonly tag: string
  readonly level: "debug" | "info" | "warn" | "error"
  readonly text: string
  readonly details: Readonly<Record<string, unknown>>
}

export interface EventsAnswer {
  readonly items: ReadonlyArray<TimelineEvent>
  /** Events that the server lost because it could not keep up. */
  readonly dropped: number
}

export type RefreshOutcome =
  | {
      readonly _tag: "Updated"
      readonly added: ReadonlyArray<string>
      readonly removed: ReadonlyArray<string>
      readonly changed: ReadonlyArray<{ readonly kid: string; readonly from: string; readonly to: string }>
      readonly expiresAt: number
    }
  | { readonly _tag: "NotModified"; readonly expiresAt: number }

/** A type guard that an answer has to pass. */
export type Guard<A> = (value: unknown) => value is A

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const isProvidersAnswer = (value: unknown): value is ProvidersAnswer =>
  isRecord(value) && typeof value["total"] === "number" && isRecord(value["counts"]) && Array.isArray(value["items"])

export const isProviderDetail = (value: unknown): value is ProviderDetail =>
  isRecord(value) &&
  typeof value["tenant"] === "string" &&
  Array.isArray(value["keyList"]) &&
  Array.isArray(value["events"])

export const isTimelineEvent = (value: unknown): value is TimelineEvent =>
  isRecord(value) && typeof value["id"] === "number" && typeof value["tag"] === "string" && isRecord(value["details"])

export const isEventsAnswer = (value: unknown): value is EventsAnswer =>
  isRecord(value) && Array.isArray(value["items"]) && value["items"].every(isTimelineEvent)

export const isRefreshOutcome = (value: unknown): value is RefreshOutcome =>
  isRecord(value) && (value["_tag"] === "Updated" || value["_tag"] === "NotModified")

/** One text for one provider, that no other provider shares. */
export const nameKey = ({ tenant, provider }: ProviderName): string => JSON.stringify([tenant, provider])
