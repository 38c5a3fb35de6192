/**
 * jwks-rsa: one client per tenant with room for all its keys. It answers hits from `setImmediate`, so each
 * one waits for a turn of the event loop.
 */
import { JwksClient } from "jwks-rsa"
import { createPublicKey } from "node:crypto"
import type { Contestant, Enter } from "./contestant.ts"
import { belongingTo, oneDay } from "./contestant.ts"

export const enter: Enter = async (upstream, tenants) => {
  const clients = new Map(
    tenants.map(({ keys, tenant }) => [
      tenant,
      new JwksClient({
        jwksUri: upstream.jwksUrlOf(tenant),
        cache: true,
        cacheMaxEntries: keys.length,
        cacheMaxAge: oneDay,
        rateLimit: false,
      }),
    ]),
  )
  const getSigningKey: Contestant = {
    id: "jwks-rsa",
    name: "jwks-rsa getSigningKey",
    modulusOf: async ({ kid, tenant }) => {
      const key = await belongingTo(clients, tenant).getSigningKey(kid)
      return createPublicKey(key.getPublicKey()).export({ format: "jwk" }).n
    },
    run: async (tokens) => {
      let found = 0
      for (const { kid, tenant } of tokens) {
        const key = await belongingTo(clients, tenant).getSigningKey(kid)
        if (key !== undefined) found += 1
      }
      return found
    },
  }
  return { contestants: [getSigningKey] }
}
