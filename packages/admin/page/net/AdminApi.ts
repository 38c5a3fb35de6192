/**
 * The admin API, asked with the token. Addresses are relative, so that the page works wherever it is mounted.
 */
import { queryString } from "../model/ListQuery.ts"
import type { ListQuery } from "../model/ListQuery.ts"
import { apiBase } from "../model/Mount.ts"
import { isEventsAnswer, isProviderDetail, isProvidersAnswer, isRecord, isRefreshOutcome } from "../model/Wire.ts"
import type {
  EventsAnswer,
  Guard,
  ProviderDetail,
  ProviderName,
  ProvidersAnswer,
  RefreshOutcome,
} from "../model/Wire.ts"
import type { Session } from "./Session.ts"

/** Why the server gave no answer that the page can use. */
export class ApiProblem extends Error {
  readonly kind: "unauthorized" | "unreachable" | "refused"
  readonly status: number | undefined

  constructor(kind: ApiProblem["kind"], message: string, status?: number) {
    super(message)
    this.kind = kind
    this.status = status
  }
}

/** Whether `error` is the end of a request that the page itself gave up. */
export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError"

/** What went wrong, in words. */
export const problemText = (error: unknown): string =>
  error instanceof Error && error.message !== "" ? error.message : "Something unexpected went wrong."

const messageOf = async (response: Response): Promise<string> => {
  const text = await response.text()
  try {
    const body: unknown = JSON.parse(text)
    if (isRecord(body) && typeof body["message"] === "string") return body["message"]
  } catch {
    // Something in between answered in its own way.
  }
  return `The server answered with status ${response.status}.`
}

const providerPath = ({ tenant, provider }: ProviderName): string =>
  `api/providers/${encodeURIComponent(tenant)}/${encodeURIComponent(provider)}`

export class AdminApi {
  readonly #session: Session

  constructor(session: Session) {
    this.#session = session
  }

  providers(query: ListQuery, offset: number, limit: number, signal?: AbortSignal): Promise<ProvidersAnswer> {
    return this.#json(`api/providers?${queryString(query, offset, limit)}`, isProvidersAnswer, { signal })
  }

  provider(name: ProviderName, signal?: AbortSignal): Promise<ProviderDetail> {
    return this.#json(providerPath(name), isProviderDetail, { signal })
  }

  refresh(name: ProviderName): Promise<RefreshOutcome> {
    return this.#json(`${providerPath(name)}/refresh`, isRefreshOutcome, { method: "POST" })
  }

  /** Events before the id `before`, the newest without it. */
  events(limit: number, before?: number): Promise<EventsAnswer> {
    return this.#json(`api/events?limit=${limit}${before === undefined ? "" : `&before=${before}`}`, isEventsAnswer, {})
  }

  /** The open stream of the events after the id `after`. */
  async stream(after: number | undefined, signal: AbortSignal): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const headers = new Headers({ accept: "text/event-stream" })
    if (after !== undefined) headers.set("last-event-id", String(after))
    const response = await this.#ask("api/events/stream", { headers, signal })
    if (response.body === null) throw new ApiProblem("refused", "The server sent no stream.")
    return response.body
  }

  /** Whether the server lets `token` in. */
  async accepts(token: string): Promise<boolean> {
    try {
      await this.#ask("api/providers?limit=1", {}, token)
      return true
    } catch (error) {
      if (error instanceof ApiProblem && error.kind === "unauthorized") return false
      throw error
    }
  }

  async #json<A>(
    path: string,
    guard: Guard<A>,
    options: { readonly method?: string; readonly signal?: AbortSignal | undefined },
  ): Promise<A> {
    const response = await this.#ask(path, {
      method: options.method ?? "GET",
      headers: new Headers({ accept: "application/json" }),
      signal: options.signal ?? null,
    })
    const body: unknown = await response.json().catch((error: unknown) => {
      if (isAbort(error)) throw error
      return undefined
    })
    if (!guard(body)) throw new ApiProblem("refused", "The server's answer is not what the admin API sends.")
    return body
  }

  async #ask(path: string, init: RequestInit, token: string | undefined = this.#session.token): Promise<Response> {
    const headers = new Headers(init.headers)
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`)
    let response: Response
    try {
      response = await fetch(`${apiBase(location.pathname)}${path}`, {
        ...init,
        headers,
        cache: "no-store",
        credentials: "same-origin",
      })
    } catch (error) {
      if (isAbort(error)) throw error
      throw new ApiProblem("unreachable", "The server can not be reached.")
    }
    if (response.status === 401) throw new ApiProblem("unauthorized", await messageOf(response), 401)
    if (!response.ok) throw new ApiProblem("refused", await messageOf(response), response.status)
    return response
  }
}
