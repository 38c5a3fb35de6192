/**
 * Fastify: routes of a tenant that only its users may ask.
 *
 *     TENANTS='{"acme":"https://acme.eu.auth0.com/"}' node packages/examples/50_fastify/main.ts
 *     curl -i http://127.0.0.1:3000/acme/me -H "Authorization: Bearer $TOKEN"
 *
 * 200 with the token's subject; 401 with a challenge; 503 while the tenant's provider can not be asked.
 */
import { BearerMissing, bearerOf, challengeFor, JwksBridge, type VerifiedJwt } from "@effect-jwks/jwt"
import { NodeJwks } from "@effect-jwks/node"
import { fastify, type FastifyRequest } from "fastify"
import { registryOptions } from "./tenants.ts"

declare module "fastify" {
  interface FastifyRequest {
    /** Who asks; on routes that `authenticate` is in front of. */
    identity: VerifiedJwt
  }
}

const jwks = JwksBridge.open(NodeJwks.layer(registryOptions), { audience: "orders", requiredClaims: ["sub"] })

// Whoever keeps a connection and asks nothing more delays the end by this: 72 seconds are the default.
const app = fastify({ logger: false, keepAliveTimeout: 5_000 })
app.decorateRequest("identity")
app.addHook("onClose", () => jwks.close())

/** Before anything of the body is read. */
const authenticate = async (request: FastifyRequest<{ Params: { tenant: string } }>) => {
  const token = bearerOf(request.headers.authorization)
  if (token === undefined) throw new BearerMissing()
  request.identity = await jwks.verify(request.params.tenant, token)
}

app.setErrorHandler(async (error, { headers: { authorization } }, reply) => {
  const challenge = challengeFor(error, { realm: "orders", authorization })
  if (challenge === undefined) throw error // no matter of tokens: Fastify's own answer
  return reply.code(challenge.status).headers(challenge.headers).send()
})

app.get<{ Params: { tenant: string } }>("/:tenant/me", { onRequest: authenticate }, async ({ identity }) => ({
  tenant: identity.tenant,
  subject: identity.claims.sub,
}))

// Whoever is usable is; the others are tried again in the background.
await jwks.warmUp({ timeout: "5 seconds" })
console.log(`listening on ${await app.listen({ port: Number(process.env["PORT"] ?? 3000) })}`)

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void app.close())
