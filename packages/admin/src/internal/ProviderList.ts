/**
 * Which providers, in which order, and which of them on this page. Pure, and for ten thousand of them.
 */
import type { ProviderStatus } from "@effect-jwks/core"
import type { ProviderQuery } from "../JwksAdminApi.ts"
import type { Health, ProviderPage } from "../ProviderModel.ts"
import { healthOf, summaryOf } from "./Summary.ts"

/** A provider with what it is sorted by, computed once. */
interface Row {
  readonly status: ProviderStatus
  readonly health: Health
  readonly rank: number | undefined
}

const worstFirst: Readonly<Record<Health, number>> = { failed: 0, stale: 1, waiting: 2, fresh: 3 }

const ratio = (part: number, whole: number): number | undefined => (whole === 0 ? undefined : part / whole)

/** What a provider is sorted by; `undefined` where it has no such thing, which comes last in either order. */
const rankOf = (status: ProviderStatus, health: Health, sort: ProviderQuery["sort"]): number | undefined => {
  switch (sort) {
    case "health":
      return worstFirst[health]
    case "expiry":
      return status.expiresAt
    case "failures":
      return status.failure?.count ?? 0
    case "requests":
      return status.requests
    case "hitRatio":
      return ratio(status.hits, status.requests)
    case "notModifiedRatio":
      return ratio(status.notModified, status.refreshes)
    case "name":
    case undefined:
      return 0
  }
}

const byText = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

const byName = ({ status: one }: Row, { status: other }: Row): number =>
  byText(one.tenant, other.tenant) || byText(one.provider, other.provider)

const comparison = ({ order, sort }: ProviderQuery): ((one: Row, other: Row) => number) => {
  const sign = order === "desc" ? -1 : 1
  if (sort === undefined || sort === "name") return (one, other) => sign * byName(one, other)
  return (one, other) => {
    if (one.rank === other.rank) return byName(one, other)
    if (one.rank === undefined) return 1
    if (other.rank === undefined) return -1
    return sign * (one.rank - other.rank)
  }
}

const hasText = (search: string) => {
  const wanted = search.toLowerCase()
  return ({ provider, tenant, url }: ProviderStatus): boolean =>
    tenant.toLowerCase().includes(wanted) ||
    provider.toLowerCase().includes(wanted) ||
    url.toLowerCase().includes(wanted)
}

/** The page that was asked for; an empty text filters nothing. */
export const pageOf = (statuses: ReadonlyArray<ProviderStatus>, query: ProviderQuery, now: number): ProviderPage => {
  const { health: wanted, limit = 100, offset = 0, search = "", sort, tenant = "" } = query
  const isFound = hasText(search)
  const counts = { fresh: 0, stale: 0, failed: 0, waiting: 0 }
  const rows: Array<Row> = []
  for (const status of statuses) {
    if ((tenant !== "" && status.tenant !== tenant) || (search !== "" && !isFound(status))) continue
    const health = healthOf(status)
    counts[health] += 1
    if (wanted === undefined || wanted === health) rows.push({ status, health, rank: rankOf(status, health, sort) })
  }
  rows.sort(comparison(query))
  return {
    now,
    total: rows.length,
    counts,
    offset,
    items: rows.slice(offset, offset + limit).map(({ status }) => summaryOf(status)),
  }
}
