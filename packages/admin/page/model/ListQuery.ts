/**
 * What the list of providers is asked for.
 */
import type { Health } from "./Wire.ts"

/** The orders of the API, each with the direction that an operator wants first and its name in the menu. */
export const sorts = {
  health: { label: "State, worst first", first: "asc" },
  name: { label: "Tenant and provider", first: "asc" },
  expiry: { label: "Expiry, soonest first", first: "asc" },
  failures: { label: "Failures in a row", first: "desc" },
  requests: { label: "Requests", first: "desc" },
  hitRatio: { label: "Hit ratio", first: "asc" },
  notModifiedRatio: { label: "304 ratio", first: "asc" },
} as const satisfies Record<string, { readonly label: string; readonly first: "asc" | "desc" }>

export type Sort = keyof typeof sorts

export const isSort = (value: string): value is Sort => Object.hasOwn(sorts, value)

export interface ListQuery {
  readonly search: string
  /** Exactly this tenant. */
  readonly tenant: string | undefined
  readonly health: Health | undefined
  readonly sort: Sort
  readonly order: "asc" | "desc"
}

/** The worst first: whoever opens the page wants to know what is broken. */
export const firstQuery: ListQuery = { search: "", tenant: undefined, health: undefined, sort: "health", order: "asc" }

/** The query after a click on a column: its first direction, or the other one where it is sorted by already. */
export const sortedBy = (query: ListQuery, sort: Sort): ListQuery => ({
  ...query,
  sort,
  order: query.sort !== sort ? sorts[sort].first : query.order === "asc" ? "desc" : "asc",
})

/** The query string for `limit` providers from `offset` on. */
export const queryString = (query: ListQuery, offset: number, limit: number): string => {
  const parameters = new URLSearchParams()
  const search = query.search.trim()
  if (search !== "") parameters.set("search", search)
  if (query.tenant !== undefined) parameters.set("tenant", query.tenant)
  if (query.health !== undefined) parameters.set("health", query.health)
  parameters.set("sort", query.sort)
  parameters.set("order", query.order)
  parameters.set("offset", String(offset))
  parameters.set("limit", String(limit))
  return parameters.toString()
}
