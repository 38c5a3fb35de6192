/**
 * aws-jwt-verify: its cache, with one URI per tenant.
 */
import { SimpleJwksCache } from "aws-jwt-verify/jwk"
import type { Contestant, Enter } from "./contestant.ts"
import { belongingTo } from "./contestant.ts"

export const enter: Enter = async (upstream, tenants) => {
  // Its own fetcher speaks https alone; nothing is fetched on a hit.
  const cache = new SimpleJwksCache({ fetcher: { fetch: async (uri) => (await fetch(uri)).arrayBuffer() } })
  const uris = new Map(tenants.map(({ tenant }) => [tenant, upstream.jwksUrlOf(tenant)]))

  const getJwk: Contestant = {
    id: "aws",
    name: "aws-jwt-verify getJwk",
    modulusOf: async (token) => (await cache.getJwk(belongingTo(uris, token.tenant), token)).n,
    run: async (tokens) => {
      let found = 0
      for (const token of tokens) {
        const key = await cache.getJwk(belongingTo(uris, token.tenant), token)
        if (key !== undefined) found += 1
      }
      return found
    },
  }

  // What its `verifySync` uses; fails where the set has not been loaded.
  const getCachedJwk: Contestant = {
    id: "aws-cached",
    name: "aws-jwt-verify getCachedJwk (sync)",
    modulusOf: async (token) => {
      await getJwk.modulusOf(token)
      return cache.getCachedJwk(belongingTo(uris, token.tenant), token).n
    },
    run: (tokens) => {
      let found = 0
      for (const token of tokens) {
        const key = cache.getCachedJwk(belongingTo(uris, token.tenant), token)
        if (key !== undefined) found += 1
      }
      return found
    },
  }
  return { contestants: [getJwk, getCachedJwk] }
}
