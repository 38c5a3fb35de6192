/**
 * Hono: tenants by the host that they are asked at, a middleware with typed variables, and whoever hangs up waits no more.
 *
 *     TENANTS='{"acme":"https://acme.eu.auth0.com/"}' node packages/examples/52_hono/main.ts
 *     curl -i http://acme.localhost:3000/me -H "Authorization: Bearer $TOKEN"
 *
 * 200 with the token's subject; 401 with a challenge; 503 while the tenant's provider can not be asked.
 */
import { BearerMissing, bearerOf, challengeFor, JwksBridge, type VerifiedJwt } from "@effect-jwks/jwt"
import { NodeJwks } from "@effect-jwks/node"
import { serve } from "@hono/node-server"
import { Hono } from "hono"
import { createMiddleware } from "hono/factory"
import { registryOptions } from "../50_fastify/tenants.ts"

const jwks = JwksBridge.open(NodeJwks.layer(registryOptions), { audience: "orders", requiredClaims: ["sub"] })

/** `acme` of `acme.api.example`. */
const tenantOf = (url: string): string => new URL(url).hostname.split(".", 1).join("")

const authenticated = createMiddleware<{ Variables: { identity: VerifiedJwt } }>(async (c, next) => {
  const token = bearerOf(c.req.header("authorization"))
  if (token === undefined) throw new BearerMissing()
  c.set("identity", await jwks.verify(tenantOf(c.req.url), token, { signal: c.req.raw.signal }))
  await next()
})

const app = new Hono()

app.onError((error, c) => {
  const challenge = challengeFor(error, { realm: "orders", authorization: c.req.header("authorization") })
  if (challenge === undefined) throw error // no matter of tokens
  return c.body(null, challenge.status, challenge.headers)
})

app.get("/me", authenticated, (c) => {
  const { claims, tenant } = c.get("identity")
  return c.json({ tenant, subject: claims.sub })
})

// Whoever is usable is; the others are tried again in the background.
await jwks.warmUp({ timeout: "5 seconds" })
const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.env["PORT"] ?? 3000) }, (info) =>
  console.log(`listening on http://127.0.0.1:${info.port}`),
)

// First the last answers, then the keys.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close(() => void jwks.close()))
