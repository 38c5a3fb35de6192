/**
 * What the web examples are told by their environment: `TENANTS` holds each tenant's issuer, as in
 * `{"acme":"https://acme.eu.auth0.com/"}`. With `LOCAL=1` issuers may be on this machine, without TLS.
 */
import type { NodeJwks } from "@effect-jwks/node"

const { LOCAL, TENANTS = "{}" } = process.env
const issuers = JSON.parse(TENANTS) as Readonly<Record<string, string>>

const local: NodeJwks.NodeJwksOptions = { requireHttps: false, allowPrivateAddresses: ["127.0.0.1"] }

export const registryOptions: NodeJwks.NodeJwksOptions = {
  ...(LOCAL === "1" && local),
  defaults: {
    requireHttps: LOCAL !== "1",
    // Whoever makes up kids and signatures must not use up the look-ups that the first token of a new key needs.
    kidRefresh: { burst: 60, every: "1 second" },
    // And nobody waits longer than this for a provider that hangs.
    retryPolicy: { attemptTimeout: "1 second", deadline: "2 seconds" },
  },
  providers: Object.entries(issuers).map(([tenant, issuer]) => ({ tenant, provider: "idp", issuer })),
}
