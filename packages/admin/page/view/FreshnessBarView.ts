/**
 * The freshness bar, drawn.
 */
import { freshnessBar, freshnessSentence, freshnessText } from "../model/FreshnessBar.ts"
import type { SetTimes } from "../model/Wire.ts"
import { element, setAttribute, setText } from "./element.ts"

const percent = (value: number): string => `${value.toFixed(2)}%`

export class FreshnessBarView {
  readonly node: HTMLElement
  readonly #bar: HTMLElement
  readonly #text = element("span", { class: "bar-text" })
  readonly #life = element("i", { class: "bar-life" })
  readonly #lifeLeft = element("i", { class: "bar-life-left" })
  readonly #stale = element("i", { class: "bar-stale" })
  readonly #staleLeft = element("i", { class: "bar-stale-left" })
  readonly #refresh = element("i", { class: "bar-refresh" })
  readonly #now = element("i", { class: "bar-now" })

  constructor() {
    this.#bar = element(
      "span",
      { class: "bar", role: "img" },
      this.#life,
      this.#lifeLeft,
      this.#stale,
      this.#staleLeft,
      this.#refresh,
      this.#now,
    )
    this.node = element("span", { class: "freshness" }, this.#bar, this.#text)
  }

  update(times: SetTimes, now: number): void {
    setText(this.#text, freshnessText(times, now))
    setAttribute(this.#bar, "aria-label", freshnessSentence(times, now))
    const bar = freshnessBar(times, now)
    setAttribute(this.#bar, "data-phase", bar?.phase ?? "none")
    if (bar === undefined) return
    const stretch = (part: HTMLElement, from: number, to: number) => {
      part.style.left = percent(from)
      part.style.width = percent(Math.max(0, to - from))
    }
    stretch(this.#life, 0, bar.expiry)
    stretch(this.#lifeLeft, Math.min(bar.now, bar.expiry), bar.expiry)
    stretch(this.#stale, bar.expiry, 100)
    stretch(this.#staleLeft, Math.max(bar.now, bar.expiry), 100)
    this.#refresh.hidden = bar.refresh === undefined
    this.#refresh.style.left = percent(bar.refresh ?? 0)
    this.#now.style.left = percent(bar.now)
  }
}
