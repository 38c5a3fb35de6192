/**
 * One row of the list: one provider.
 */
import { countText, ratioText } from "../model/NumberText.ts"
import { providerFragment } from "../model/Route.ts"
import { activityText, healthAt, nextAttemptAt, shortMessage } from "../model/Standing.ts"
import { relativeText } from "../model/TimeText.ts"
import type { Health, ProviderSummary } from "../model/Wire.ts"
import { element, setAttribute, setText } from "./element.ts"
import { FreshnessBarView } from "./FreshnessBarView.ts"
import { HealthBadge } from "./HealthBadge.ts"

/** A cell; on narrow screens, where there is no head, its label stands beside it. */
const cell = (name: string, label: string | undefined, ...children: ReadonlyArray<Node>): HTMLElement =>
  element(
    "div",
    { role: "gridcell", class: `cell cell-${name}` },
    ...(label === undefined ? [] : [element("span", { class: "cell-label", "aria-hidden": "true" }, label)]),
    ...children,
  )

export class ProviderRow {
  readonly node = element("div", { role: "row", class: "row" })
  readonly link = element("a", { class: "provider-name", tabindex: "-1" })
  readonly #badge = new HealthBadge()
  readonly #activity = element("span", { class: "faint" })
  readonly #tenant = element("span", { class: "faint tenant-name" })
  readonly #freshness = new FreshnessBarView()
  readonly #keys = element("span")
  readonly #dropped = element("span", { class: "faint" })
  readonly #hits = element("span")
  readonly #requests = element("span", { class: "faint" })
  readonly #notModified = element("span")
  readonly #refreshes = element("span", { class: "faint" })
  readonly #reason = element("span", { class: "reason" })
  readonly #message = element("span", { class: "faint message" })
  readonly #next = element("span")
  #summary: ProviderSummary
  #health: Health

  constructor(summary: ProviderSummary, now: number) {
    this.#summary = summary
    this.#health = healthAt(summary, now)
    this.link.href = providerFragment(summary)
    setText(this.link, summary.provider)
    setText(this.#tenant, summary.tenant)
    this.node.append(
      element("div", { role: "rowheader", class: "cell cell-name" }, this.link, this.#tenant),
      cell("health", undefined, this.#badge.node, this.#activity),
      cell("freshness", undefined, this.#freshness.node),
      cell("keys", "Keys", this.#keys, this.#dropped),
      cell("hits", "Hits", this.#hits, this.#requests),
      cell("not-modified", "304", this.#notModified, this.#refreshes),
      cell("error", undefined, this.#reason, this.#message),
      cell("next", "Next", this.#next),
    )
    this.show(summary, now)
  }

  get summary(): ProviderSummary {
    return this.#summary
  }

  /** Puts the row at its place in the list. */
  place(index: number, top: number): void {
    // The head is row 1.
    setAttribute(this.node, "aria-rowindex", String(index + 2))
    setAttribute(this.node, "data-parity", index % 2 === 0 ? "even" : "odd")
    const transform = `translateY(${top}px)`
    if (this.node.style.transform !== transform) this.node.style.transform = transform
  }

  /** Shows what the server says; gives the new health where it changed. */
  show(summary: ProviderSummary, now: number): Health | undefined {
    this.#summary = summary
    setText(this.#keys, countText(summary.keys))
    setText(this.#dropped, summary.dropped === 0 ? "" : `${countText(summary.dropped)} dropped`)
    setText(this.#hits, ratioText(summary.hits, summary.requests))
    setText(this.#requests, `of ${countText(summary.requests)}`)
    setText(this.#notModified, ratioText(summary.notModified, summary.refreshes))
    setText(this.#refreshes, `of ${countText(summary.refreshes)}`)
    setText(this.#activity, activityText(summary))
    setText(this.#message, shortMessage(summary))
    this.node.dataset["state"] = summary.state
    return this.tick(now)
  }

  /** Shows what time alone changes; gives the new health where it changed. */
  tick(now: number): Health | undefined {
    const { failure } = this.#summary
    this.#freshness.update(this.#summary, now)
    setText(
      this.#reason,
      failure === undefined
        ? ""
        : `${failure.reason}${failure.count > 1 ? ` \u00d7${countText(failure.count)}` : ""}, ${relativeText(failure.at, now)}`,
    )
    const next = nextAttemptAt(this.#summary)
    setText(this.#next, next === undefined ? "-" : next <= now ? "due" : relativeText(next, now))
    const health = healthAt(this.#summary, now)
    const isNew = health !== this.#health
    this.#health = health
    this.#badge.update(health)
    this.node.dataset["health"] = health
    return isNew ? health : undefined
  }

  /** Draws the eye to the row once. */
  flash(): void {
    this.node.classList.remove("is-changed")
    // Reading a measure makes the browser see the class gone, so that the animation begins anew.
    void this.node.offsetWidth
    this.node.classList.add("is-changed")
  }
}
