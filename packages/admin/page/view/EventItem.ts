/**
 * One event of a timeline.
 */
import { keyChanges } from "../model/KeyChanges.ts"
import type { KeyChange } from "../model/KeyChanges.ts"
import { providerFragment } from "../model/Route.ts"
import { momentText } from "../model/TimeText.ts"
import type { TimelineEvent } from "../model/Wire.ts"
import { element } from "./element.ts"

const marks = { added: "+", removed: "\u2212", changed: "\u2260", dropped: "!" } as const
const words = { added: "Added", removed: "Removed", changed: "Changed", dropped: "Dropped" } as const

/** A key by the names that it has. */
const keyText = (change: KeyChange): ReadonlyArray<Node | string> => [
  ...(change.kid === undefined
    ? []
    : [change.kind === "changed" ? "under kid " : "kid ", element("code", { class: "kid" }, change.kid), " "]),
  ...(change.previous === undefined
    ? []
    : ["from ", element("code", { class: "thumbprint" }, change.previous), " to "]),
  ...(change.thumbprint === undefined ? [] : [element("code", { class: "thumbprint" }, change.thumbprint)]),
  ...(change.reason === undefined ? [] : [change.reason]),
]

/** Key changes as a list, each with a sign and a word. */
export const changeList = (changes: ReadonlyArray<KeyChange>): HTMLElement =>
  element(
    "ul",
    { class: "changes" },
    ...changes.map((change) =>
      element(
        "li",
        { class: "change", "data-kind": change.kind },
        element("span", { class: "change-mark", "aria-hidden": "true" }, marks[change.kind]),
        element("span", { class: "change-text" }, element("strong", {}, words[change.kind]), " ", ...keyText(change)),
      ),
    ),
  )

const levelWords: Readonly<Record<TimelineEvent["level"], string>> = {
  debug: "",
  info: "",
  warn: "Warning",
  error: "Error",
}

/** `now` decides whether the day is told. Without `withProvider` the event stands in its provider's own detail. */
export const eventItem = (event: TimelineEvent, now: number, withProvider: boolean): HTMLLIElement => {
  const changes = keyChanges(event.tag, event.details)
  // The first set of a provider is no change that anybody has to look into.
  const isNews = changes.length > 0 && event.details["isFirst"] !== true
  const level = levelWords[event.level]
  return element(
    "li",
    { class: "event", "data-level": event.level, "data-keys": isNews ? "yes" : "no" },
    element("time", { datetime: new Date(event.time).toISOString() }, momentText(event.time, now)),
    element(
      "div",
      { class: "event-body" },
      element(
        "div",
        { class: "event-line" },
        ...(withProvider
          ? [
              element(
                "a",
                { href: providerFragment(event), class: "event-provider" },
                `${event.tenant} / ${event.provider}`,
              ),
            ]
          : []),
        element("span", { class: "tag" }, event.tag),
        ...(level === "" ? [] : [element("span", { class: "level" }, level)]),
      ),
      element("p", { class: "event-text" }, event.text),
      ...(changes.length === 0 ? [] : [changeList(changes)]),
    ),
  )
}
