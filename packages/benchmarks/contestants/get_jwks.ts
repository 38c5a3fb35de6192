/**
 * get-jwks: one cache with room for every key; it takes plain http, and the token's issuer for a domain.
 */
import buildGetJwks from "get-jwks"
import type { Contestant, Enter } from "./contestant.ts"
import { oneDay } from "./contestant.ts"

export const enter: Enter = async (_upstream, tenants) => {
  const { getJwk } = buildGetJwks({ max: tenants.flatMap(({ keys }) => keys).length, ttl: oneDay })
  const contestant: Contestant = {
    id: "get-jwks",
    name: "get-jwks getJwk",
    modulusOf: async ({ header: { alg, kid }, payload: { iss } }) => {
      const { n } = await getJwk({ domain: iss, alg, kid })
      return n
    },
    run: async (tokens) => {
      let found = 0
      for (const {
        header: { alg, kid },
        payload: { iss },
      } of tokens) {
        const key = await getJwk({ domain: iss, alg, kid })
        if (key !== undefined) found += 1
      }
      return found
    },
  }
  return { contestants: [contestant] }
}
