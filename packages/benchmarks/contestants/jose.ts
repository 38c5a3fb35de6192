/**
 * jose: one remote set per tenant.
 */
import { createRemoteJWKSet, exportJWK } from "jose"
import type { Contestant, Enter } from "./contestant.ts"
import { belongingTo, oneDay } from "./contestant.ts"

// A compact token has no unprotected header; `jwtVerify` hands over a JWS like this one.
const jws = { protected: "", payload: "", signature: "" }

export const enter: Enter = async (upstream, tenants) => {
  const sets = new Map(
    tenants.map(({ tenant }) => [
      tenant,
      createRemoteJWKSet(new URL(upstream.jwksUrlOf(tenant)), { cacheMaxAge: oneDay }),
    ]),
  )
  const remoteSet: Contestant = {
    id: "jose",
    name: "jose createRemoteJWKSet",
    modulusOf: async ({ header, tenant }) => (await exportJWK(await belongingTo(sets, tenant)(header, jws))).n,
    run: async (tokens) => {
      let found = 0
      for (const { header, tenant } of tokens) {
        const key = await belongingTo(sets, tenant)(header, jws)
        if (key !== undefined) found += 1
      }
      return found
    },
  }
  return { contestants: [remoteSet] }
}
