/**
 * The timeline: every event that the page holds, newest first, with key changes standing out.
 */
import { inBackground } from "../net/Background.ts"
import { isShown } from "../model/EventLog.ts"
import type { EventFilter } from "../model/EventLog.ts"
import { pluralText } from "../model/NumberText.ts"
import { dayText } from "../model/TimeText.ts"
import type { TimelineEvent } from "../model/Wire.ts"
import type { ServerClock } from "../net/ServerClock.ts"
import { arrange, byId, setText } from "./element.ts"
import { eventItem } from "./EventItem.ts"

/** Items that are drawn before somebody asks for more. */
const portion = 100

export class TimelineView {
  readonly #section = byId("timeline", HTMLElement)
  readonly #list = byId("events", HTMLOListElement)
  readonly #search = byId("event-search", HTMLInputElement)
  readonly #more = byId("more-events", HTMLButtonElement)
  readonly #found = byId("events-found", HTMLElement)
  readonly #lost = byId("events-lost", HTMLElement)
  readonly #clock: ServerClock
  #events: ReadonlyArray<TimelineEvent> = []
  #items = new Map<TimelineEvent, HTMLLIElement>()
  /** The day that the items were written on: today's tell no day. */
  #day = ""
  #limit = portion
  #hasOlder = false

  /** `fetchOlder` gets events before the oldest that is held. */
  constructor(clock: ServerClock, fetchOlder: () => Promise<void>) {
    this.#clock = clock
    const again = () => {
      this.#limit = portion
      this.render()
    }
    this.#search.addEventListener("input", again)
    for (const choice of this.#choices()) choice.addEventListener("change", again)
    this.#more.addEventListener("click", () => {
      this.#limit += portion
      this.render()
      inBackground(fetchOlder())
    })
  }

  /** Takes the events; `hasOlder` tells whether the server has more. */
  show(events: ReadonlyArray<TimelineEvent>, dropped: number, hasOlder: boolean): void {
    this.#events = events
    this.#hasOlder = hasOlder
    setText(this.#lost, dropped === 0 ? "" : `${pluralText(dropped, "event")} did not reach this page.`)
    this.render()
  }

  render(): void {
    if (this.#section.hidden) return
    const filter = this.#filter()
    const search = this.#search.value.trim().toLowerCase()
    const found = this.#events.filter((event) => isShown(event, filter, search))
    const now = this.#clock.now()
    if (this.#day !== dayText(now)) this.#items.clear()
    this.#day = dayText(now)
    const items = new Map<TimelineEvent, HTMLLIElement>()
    for (const event of found.slice(0, this.#limit)) {
      items.set(event, this.#items.get(event) ?? eventItem(event, now, true))
    }
    this.#items = items
    arrange(this.#list, [...items.values()])
    this.#more.hidden = found.length <= this.#limit && !this.#hasOlder
    setText(this.#found, found.length === 0 ? "No events here." : pluralText(found.length, "event"))
  }

  #choices(): ReadonlyArray<HTMLInputElement> {
    return [...this.#section.querySelectorAll<HTMLInputElement>("input[name=event-filter]")]
  }

  #filter(): EventFilter {
    const chosen = this.#choices().find((choice) => choice.checked)?.value
    return chosen === "keys" || chosen === "problems" ? chosen : "all"
  }
}
