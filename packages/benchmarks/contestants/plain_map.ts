/**
 * The floor: two look-ups in a `Map` and a look at the time, without a cache around them.
 */
import type { RsaJwk } from "../tokens.ts"
import type { Contestant, Enter } from "./contestant.ts"
import { oneDay } from "./contestant.ts"

interface Entry {
  readonly until: number
  readonly keys: ReadonlyMap<string, RsaJwk>
}

export const enter: Enter = async (_upstream, tenants) => {
  const entries = new Map<string, Entry>(
    tenants.map(({ keys, tenant }) => [
      tenant,
      { until: Date.now() + oneDay, keys: new Map(keys.map((key) => [key.kid, key])) },
    ]),
  )
  const look = (tenant: string, kid: string): RsaJwk | undefined => {
    const entry = entries.get(tenant)
    return entry === undefined || Date.now() >= entry.until ? undefined : entry.keys.get(kid)
  }
  const plainMap: Contestant = {
    id: "map",
    name: "two Maps and Date.now() (sync)",
    modulusOf: async ({ kid, tenant }) => look(tenant, kid)?.n,
    run: (tokens) => {
      let found = 0
      for (const { kid, tenant } of tokens) {
        if (look(tenant, kid) !== undefined) found += 1
      }
      return found
    },
  }
  return { contestants: [plainMap] }
}
