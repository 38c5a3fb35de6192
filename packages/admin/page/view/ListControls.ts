/**
 * What the list is asked for: state, search, tenant and order.
 */
import { isSort, sortedBy, sorts } from "../model/ListQuery.ts"
import type { ListQuery, Sort } from "../model/ListQuery.ts"
import { countText, pluralText } from "../model/NumberText.ts"
import { healthText } from "../model/Standing.ts"
import { healths } from "../model/Wire.ts"
import type { Health } from "../model/Wire.ts"
import type { Announcer } from "./Announcer.ts"
import { byId, element, setAttribute, setText, sign } from "./element.ts"

/** Typing is over when nothing was typed for this long; then the number of finds is said. */
const typingRest = 700

export class ListControls {
  readonly #search = byId("search", HTMLInputElement)
  readonly #sort = byId("sort", HTMLSelectElement)
  readonly #order = byId("order", HTMLButtonElement)
  readonly #tenant = byId("tenant", HTMLButtonElement)
  readonly #found = byId("found", HTMLElement)
  readonly #none = byId("none", HTMLElement)
  readonly #columns = [...document.querySelectorAll<HTMLButtonElement>("#head button[data-sort]")]
  readonly #filters: ReadonlyArray<{
    readonly health: Health | undefined
    readonly button: HTMLButtonElement
    readonly count: HTMLElement
  }>
  readonly #announcer: Announcer
  #sayTimer: ReturnType<typeof setTimeout> | undefined

  constructor(current: () => ListQuery, ask: (query: ListQuery) => void, announcer: Announcer) {
    this.#announcer = announcer
    this.#filters = [undefined, ...healths].map((health) => {
      const count = element("b", { class: "count" }, "-")
      const button = element(
        "button",
        { type: "button", class: "filter", "data-health": health ?? "all", "aria-pressed": "false" },
        ...(health === undefined ? [] : [sign(health)]),
        element("span", {}, health === undefined ? "All" : healthText(health)),
        count,
      )
      button.addEventListener("click", () => {
        const query = current()
        ask({ ...query, health: query.health === health ? undefined : health })
      })
      return { health, button, count }
    })
    byId("filters", HTMLElement).replaceChildren(...this.#filters.map(({ button }) => button))

    this.#sort.replaceChildren(
      ...Object.entries(sorts).map(([value, { label }]) => element("option", { value }, label)),
    )
    this.#search.addEventListener("input", () => ask({ ...current(), search: this.#search.value }))
    this.#sort.addEventListener("change", () => {
      if (isSort(this.#sort.value)) ask({ ...current(), sort: this.#sort.value, order: sorts[this.#sort.value].first })
    })
    this.#order.addEventListener("click", () => ask(sortedBy(current(), current().sort)))
    this.#tenant.addEventListener("click", () => {
      this.#search.focus()
      ask({ ...current(), tenant: undefined })
    })
    for (const column of this.#columns) {
      column.addEventListener("click", () => {
        const sort = column.dataset["sort"] ?? ""
        if (isSort(sort)) ask(sortedBy(current(), sort))
      })
    }
  }

  /** Shows the query itself, as soon as it is asked. */
  showQuery(query: ListQuery): void {
    if (this.#search.value !== query.search) this.#search.value = query.search
    this.#sort.value = query.sort
    const isReversed = query.order !== sorts[query.sort].first
    setText(this.#order, isReversed ? "Reversed" : "Reverse")
    setAttribute(this.#order, "aria-pressed", String(isReversed))
    this.#tenant.hidden = query.tenant === undefined
    setText(this.#tenant, `Tenant: ${query.tenant ?? ""}`)
    setAttribute(this.#tenant, "aria-label", `Show every tenant, not only ${query.tenant ?? ""}`)
    for (const { health, button } of this.#filters) {
      setAttribute(button, "aria-pressed", String(query.health === health))
    }
    for (const column of this.#columns) this.#showColumn(column, query.sort, query.order)
    clearTimeout(this.#sayTimer)
    this.#sayTimer = setTimeout(() => this.#announcer.say(this.#found.textContent), typingRest)
  }

  /** Shows what the answer says about the whole; nothing where there is none yet. */
  showAnswer(counts: Readonly<Record<Health, number>> | undefined, total: number): void {
    for (const { health, count } of this.#filters) {
      const number =
        counts === undefined
          ? undefined
          : health === undefined
            ? healths.reduce((sum, each) => sum + counts[each], 0)
            : counts[health]
      setText(count, number === undefined ? "-" : countText(number))
    }
    setText(this.#found, counts === undefined ? "" : pluralText(total, "provider"))
    this.#none.hidden = counts === undefined || total > 0
    const failed = counts?.failed ?? 0
    document.title = failed === 0 ? "JWKS providers" : `(${countText(failed)} failed) JWKS providers`
  }

  #showColumn(column: HTMLButtonElement, sort: Sort, order: "asc" | "desc"): void {
    const header = column.closest("[role=columnheader]")
    if (header === null) return
    const isSorted = column.dataset["sort"] === sort
    setAttribute(header, "aria-sort", !isSorted ? "none" : order === "asc" ? "ascending" : "descending")
  }
}
