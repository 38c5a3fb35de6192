/**
 * The providers that a query finds, as far as somebody has looked: pages by number, fetched when they come into view.
 */
import type { ListQuery } from "../model/ListQuery.ts"
import { pageSize } from "../model/RowWindow.ts"
import type { Health, ProviderSummary, ProvidersAnswer } from "../model/Wire.ts"
import { isAbort } from "./AdminApi.ts"
import type { AdminApi } from "./AdminApi.ts"
import type { ServerClock } from "./ServerClock.ts"

export interface ProviderPagesListener {
  /** There is something new to show. */
  readonly onChange: () => void
  readonly onProblem: (error: unknown) => void
}

interface Page {
  readonly items: ReadonlyArray<ProviderSummary>
  /** The number of the request that brought it. */
  readonly request: number
}

export class ProviderPages {
  readonly #api: AdminApi
  readonly #clock: ServerClock
  readonly #listener: ProviderPagesListener
  readonly #pages = new Map<number, Page>()
  readonly #inFlight = new Map<number, number>()
  #query: ListQuery
  #asking = new AbortController()
  #requests = 0
  #isOutdated = true
  #total = 0
  #counts: Readonly<Record<Health, number>> | undefined

  constructor(api: AdminApi, clock: ServerClock, query: ListQuery, listener: ProviderPagesListener) {
    this.#api = api
    this.#clock = clock
    this.#query = query
    this.#listener = listener
  }

  get query(): ListQuery {
    return this.#query
  }

  get total(): number {
    return this.#total
  }

  /** By health, before the health filter; `undefined` before the first answer. */
  get counts(): Readonly<Record<Health, number>> | undefined {
    return this.#counts
  }

  /** Whether what is held answers an older query than {@link query}. */
  get isOutdated(): boolean {
    return this.#isOutdated
  }

  at(index: number): ProviderSummary | undefined {
    return this.#pages.get(Math.floor(index / pageSize))?.items[index % pageSize]
  }

  /** Asks something else, from the top. What is held stays to be looked at until the answer is there. */
  async ask(query: ListQuery): Promise<void> {
    this.#query = query
    this.#isOutdated = true
    this.#giveUp()
    await this.#fetch([0])
  }

  /** Fetches those of `pages` that are not held and not on their way. */
  async need(pages: ReadonlyArray<number>): Promise<void> {
    if (this.#isOutdated) return
    await this.#fetch(pages.filter((page) => !this.#pages.has(page) && !this.#inFlight.has(page)))
  }

  /** Fetches `pages` again and forgets the others, which are out of date as well. */
  async refetch(pages: ReadonlyArray<number>): Promise<void> {
    if (this.#isOutdated) {
      // The answer to the current query is under way, or the attempt failed and is made again.
      await this.#fetch(this.#inFlight.has(0) ? [] : [0])
      return
    }
    const kept = new Set(pages)
    for (const page of this.#pages.keys()) if (!kept.has(page)) this.#pages.delete(page)
    await this.#fetch(pages)
  }

  /** Forgets everything, for instance when the token is no longer good. */
  clear(): void {
    this.#giveUp()
    this.#pages.clear()
    this.#counts = undefined
    this.#total = 0
    this.#isOutdated = true
    this.#listener.onChange()
  }

  #giveUp(): void {
    this.#asking.abort()
    this.#asking = new AbortController()
    this.#inFlight.clear()
  }

  async #fetch(pages: ReadonlyArray<number>): Promise<void> {
    const { signal } = this.#asking
    await Promise.all(
      pages.map(async (page) => {
        this.#requests += 1
        const request = this.#requests
        this.#inFlight.set(page, request)
        const askedAt = Date.now()
        try {
          const answer = await this.#api.providers(this.#query, page * pageSize, pageSize, signal)
          if (!signal.aborted) this.#take(page, request, askedAt, answer)
        } catch (error) {
          if (!isAbort(error) && !signal.aborted) this.#listener.onProblem(error)
        } finally {
          if (this.#inFlight.get(page) === request) this.#inFlight.delete(page)
        }
      }),
    )
  }

  #take(page: number, request: number, askedAt: number, answer: ProvidersAnswer): void {
    this.#clock.take(answer.now, askedAt)
    if (this.#isOutdated) {
      this.#pages.clear()
      this.#isOutdated = false
    }
    // An answer that was overtaken by a newer one is no news.
    if ((this.#pages.get(page)?.request ?? 0) > request) return
    this.#pages.set(page, { items: answer.items, request })
    this.#total = answer.total
    this.#counts = answer.counts
    this.#listener.onChange()
  }
}
