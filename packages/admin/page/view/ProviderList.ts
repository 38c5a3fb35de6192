/**
 * The list of providers: as many rows as fit the view, moved with it, and walked with the arrow keys.
 */
import { inBackground } from "../net/Background.ts"
import { healthText } from "../model/Standing.ts"
import { pageSize, pagesOf, rowWindow } from "../model/RowWindow.ts"
import type { RowWindow } from "../model/RowWindow.ts"
import { nameKey } from "../model/Wire.ts"
import type { Health, ProviderSummary } from "../model/Wire.ts"
import type { ProviderPages } from "../net/ProviderPages.ts"
import type { ServerClock } from "../net/ServerClock.ts"
import type { Announcer } from "./Announcer.ts"
import { arrange, element, setAttribute } from "./element.ts"
import { ProviderRow } from "./ProviderRow.ts"

/** Faster than this nobody scrolls to read; what flies by is not fetched. */
const scrollRest = 80

export class ProviderList {
  readonly #grid: HTMLElement
  readonly #rows: HTMLElement
  readonly #pages: ProviderPages
  readonly #clock: ServerClock
  readonly #announcer: Announcer
  readonly #onTurned: () => void
  #shown = new Map<string, ProviderRow>()
  #empty = new Map<number, HTMLElement>()
  /** The row that Tab reaches. */
  #active = 0
  #activeKey: string | undefined
  /** A row that gets the focus as soon as it is there. */
  #target: number | undefined
  #window: RowWindow = { from: 0, to: 0 }
  #scrollTimer: ReturnType<typeof setTimeout> | undefined

  /** `onTurned` is told when a row turned by time alone: the counts are to be asked for again. */
  constructor(
    grid: HTMLElement,
    rows: HTMLElement,
    pages: ProviderPages,
    clock: ServerClock,
    announcer: Announcer,
    onTurned: () => void,
  ) {
    this.#grid = grid
    this.#rows = rows
    this.#pages = pages
    this.#clock = clock
    this.#announcer = announcer
    this.#onTurned = onTurned
    addEventListener("scroll", () => this.#scrolled(), { passive: true })
    addEventListener("resize", () => this.render())
    rows.addEventListener("keydown", (event) => this.#pressed(event))
    rows.addEventListener("focusin", (event) => this.#focused(event))
    rows.addEventListener("click", (event) => this.#clicked(event))
  }

  /** The pages whose rows are in view. */
  get pagesInView(): ReadonlyArray<number> {
    return pagesOf(this.#window)
  }

  /** Another question was asked: its answer is looked at from the top. */
  toTop(): void {
    this.#active = 0
    this.#activeKey = undefined
    this.#target = undefined
    scrollTo({ top: 0, behavior: "instant" })
  }

  /** Draws what is in view, and asks for what is missing there. */
  render(): void {
    const rowHeight = this.#rowHeight()
    const { total } = this.#pages
    const now = this.#clock.now()
    this.#window = rowWindow(-this.#rows.getBoundingClientRect().top, innerHeight, rowHeight, total)
    this.#rows.style.height = `${total * rowHeight}px`
    setAttribute(this.#grid, "aria-rowcount", String(total + 1))

    const hadFocus = this.#rows.contains(document.activeElement)
    const focused = document.activeElement
    const indexes: Array<number> = []
    for (let index = this.#window.from; index < this.#window.to; index++) indexes.push(index)
    // The row with the focus stays, also out of view, or the focus would be lost.
    if (hadFocus && this.#active < total && (this.#active < this.#window.from || this.#active >= this.#window.to)) {
      if (this.#active < this.#window.from) indexes.unshift(this.#active)
      else indexes.push(this.#active)
    }

    const shown = new Map<string, ProviderRow>()
    const empty = new Map<number, HTMLElement>()
    const places = new Map<number, ProviderRow>()
    const nodes: Array<Element> = []
    for (const index of indexes) {
      const summary = this.#pages.at(index)
      const key = summary === undefined ? undefined : nameKey(summary)
      // Two pages that were fetched at different times may both hold a provider that moved; it is shown once.
      if (summary === undefined || key === undefined || shown.has(key)) {
        const node = this.#empty.get(index) ?? element("div", { role: "row", class: "row row-empty" })
        if (node.firstChild === null) node.append(element("div", { role: "gridcell", class: "cell" }, "Loading"))
        setAttribute(node, "aria-rowindex", String(index + 2))
        node.style.transform = `translateY(${index * rowHeight}px)`
        empty.set(index, node)
        nodes.push(node)
        continue
      }
      const row = this.#row(key, summary, now)
      row.place(index, index * rowHeight)
      shown.set(key, row)
      places.set(index, row)
      nodes.push(row.node)
      if (key === this.#activeKey) this.#active = index
    }
    this.#shown = shown
    this.#empty = empty
    arrange(this.#rows, nodes)
    this.#rove(places, hadFocus, focused)
    inBackground(this.#pages.need(this.pagesInView))
  }

  /** Shows what time alone changes. */
  tick(): void {
    const now = this.#clock.now()
    let hasTurned = false
    for (const row of this.#shown.values()) {
      const turned = row.tick(now)
      if (turned === undefined) continue
      this.#tell(row, turned)
      hasTurned = true
    }
    if (hasTurned) this.#onTurned()
  }

  #row(key: string, summary: ProviderSummary, now: number): ProviderRow {
    const row = this.#shown.get(key)
    if (row === undefined) return new ProviderRow(summary, now)
    if (row.summary === summary) return row
    const turned = row.show(summary, now)
    if (turned !== undefined) this.#tell(row, turned)
    return row
  }

  #tell(row: ProviderRow, health: Health): void {
    row.flash()
    const { tenant, provider } = row.summary
    this.#announcer.report(`${provider} of ${tenant} is now ${healthText(health).toLowerCase()}.`)
  }

  /** One row is reached by Tab, the others by arrow keys from there. */
  #rove(places: ReadonlyMap<number, ProviderRow>, hadFocus: boolean, focused: Element | null): void {
    const isReached = this.#target !== undefined && places.has(this.#target)
    if (isReached && this.#target !== undefined) this.#active = this.#target
    const index = places.has(this.#active) ? this.#active : ([...places.keys()][0] ?? 0)
    const active = places.get(index)
    for (const row of places.values()) setAttribute(row.link, "tabindex", row === active ? "0" : "-1")
    if (active === undefined) return
    if (isReached) this.#target = undefined
    else if (!hadFocus || document.activeElement === focused) return
    // Either somebody walked here, or the browser dropped the focus when it moved or removed the row.
    if (isReached || hadFocus) {
      this.#active = index
      this.#activeKey = nameKey(active.summary)
      active.link.focus({ preventScroll: true })
    }
  }

  #rowHeight(): number {
    return Number.parseFloat(getComputedStyle(this.#rows).getPropertyValue("min-height"))
  }

  #scrolled(): void {
    if (this.#grid.offsetParent === null) return
    clearTimeout(this.#scrollTimer)
    const rowHeight = this.#rowHeight()
    const next = rowWindow(-this.#rows.getBoundingClientRect().top, innerHeight, rowHeight, this.#pages.total)
    if (pagesOf(next).every((page) => this.#pages.at(page * pageSize) !== undefined)) this.render()
    else this.#scrollTimer = setTimeout(() => this.render(), scrollRest)
  }

  #focused(event: FocusEvent): void {
    for (const [key, row] of this.#shown) {
      if (row.link !== event.target) continue
      this.#activeKey = key
      this.#active = Number(row.node.getAttribute("aria-rowindex")) - 2
      for (const other of this.#shown.values()) setAttribute(other.link, "tabindex", other === row ? "0" : "-1")
    }
  }

  #clicked(event: MouseEvent): void {
    if (!(event.target instanceof Element) || event.target.closest("a") !== null) return
    // Whoever marks text to copy it wants no detail.
    if (getSelection()?.isCollapsed === false) return
    const node = event.target.closest(".row")
    for (const row of this.#shown.values()) {
      if (row.node !== node) continue
      row.link.focus({ preventScroll: true })
      row.link.click()
    }
  }

  #pressed(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return
    const last = this.#pages.total - 1
    const rowHeight = this.#rowHeight()
    const page = Math.max(1, Math.floor(innerHeight / rowHeight) - 4)
    const from = this.#target ?? this.#active
    const to: Readonly<Record<string, number>> = {
      ArrowDown: from + 1,
      ArrowUp: from - 1,
      PageDown: from + page,
      PageUp: from - page,
      Home: 0,
      End: last,
    }
    const wanted = to[event.key]
    if (wanted === undefined || last < 0) return
    event.preventDefault()
    this.#walkTo(Math.min(last, Math.max(0, wanted)), rowHeight)
  }

  #walkTo(index: number, rowHeight: number): void {
    this.#target = index
    this.#activeKey = undefined
    const top = this.#rows.getBoundingClientRect().top + index * rowHeight
    // What sticks to the top of the window covers rows.
    const covered = Number.parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0
    if (top < covered) scrollBy({ top: top - covered, behavior: "instant" })
    else if (top + rowHeight > innerHeight - rowHeight) {
      scrollBy({ top: top + 2 * rowHeight - innerHeight, behavior: "instant" })
    }
    this.render()
  }
}
