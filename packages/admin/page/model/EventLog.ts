/**
 * The events that the page holds, newest first, from two sources that overlap: pages of the buffer and the stream.
 */
import type { TimelineEvent } from "./Wire.ts"

/** As many as the server keeps; more would make a page that is left open all day grow without end. */
export const eventLimit = 1_000

const isSame = (one: TimelineEvent, other: TimelineEvent): boolean =>
  one.id === other.id &&
  one.time === other.time &&
  one.tag === other.tag &&
  one.tenant === other.tenant &&
  one.provider === other.provider

/**
 * Whether `arrived` shows that the server began to count anew: an id that is known stands for something else, or the
 * newest page of the buffer is older than what is known.
 */
export const hasRestarted = (
  known: ReadonlyArray<TimelineEvent>,
  arrived: ReadonlyArray<TimelineEvent>,
  isNewestPage: boolean,
): boolean => {
  const newest = known[0]
  if (newest === undefined) return false
  const byId = new Map(known.map((event) => [event.id, event]))
  if (
    arrived.some((event) => {
      const twin = byId.get(event.id)
      return twin !== undefined && !isSame(twin, event)
    })
  ) {
    return true
  }
  return isNewestPage && Math.max(0, ...arrived.map((event) => event.id)) < newest.id
}

/** Both lists as one: each event once, newest first, the newest {@link eventLimit}. */
export const mergeEvents = (
  known: ReadonlyArray<TimelineEvent>,
  arrived: ReadonlyArray<TimelineEvent>,
): ReadonlyArray<TimelineEvent> => {
  const byId = new Map(known.map((event) => [event.id, event]))
  for (const event of arrived) byId.set(event.id, event)
  return [...byId.values()].toSorted((one, other) => other.id - one.id).slice(0, eventLimit)
}

/** Which events a timeline shows. */
export type EventFilter = "all" | "keys" | "problems"

const keyTags: ReadonlySet<string> = new Set(["KeysChanged", "KeyDropped", "UnknownKid"])

/** Whether `event` passes the filter and, where `search` is not empty, names it. `search` is in lower case. */
export const isShown = (event: TimelineEvent, filter: EventFilter, search: string): boolean => {
  if (filter === "keys" && !keyTags.has(event.tag)) return false
  if (filter === "problems" && event.level !== "warn" && event.level !== "error") return false
  return search === "" || `${event.tenant}/${event.provider} ${event.tag} ${event.text}`.toLowerCase().includes(search)
}
