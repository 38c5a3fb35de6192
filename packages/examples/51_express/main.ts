/**
 * Express, with jose's `jwtVerify` as it may stand there already: only the key comes from the registry.
 *
 *     TENANTS='{"acme":"https://acme.eu.auth0.com/"}' node packages/examples/51_express/main.ts
 *     curl -i http://127.0.0.1:3000/acme/me -H "Authorization: Bearer $TOKEN"
 *
 * 200 with the token's subject; 401 with a challenge; 503 while the tenant's provider can not be asked.
 */
import { BearerMissing, bearerOf, challengeFor, JwksBridge } from "@effect-jwks/jwt"
import { NodeJwks } from "@effect-jwks/node"
import express, { type ErrorRequestHandler, type RequestHandler } from "express"
import { type JWTPayload, jwtVerify } from "jose"
import { registryOptions } from "../50_fastify/tenants.ts"

/** What the middleware leaves for those behind it. */
interface Locals extends Record<string, unknown> {
  identity: JWTPayload
}

type TenantHandler = RequestHandler<{ tenant: string }, unknown, unknown, unknown, Locals>

const jwks = JwksBridge.open(NodeJwks.layer(registryOptions))

/** Hands its errors on by itself: Express 4 does not look at promises, and one that is rejected ends the process. */
const authenticate: TenantHandler = async (request, response, next) => {
  try {
    const token = bearerOf(request.headers.authorization)
    if (token === undefined) throw new BearerMissing()
    // The key is that of the provider that vouches for the token's issuer; the rest is up to these options.
    const { payload } = await jwtVerify(token, jwks.keyFor(request.params.tenant), {
      audience: "orders",
      requiredClaims: ["sub", "exp"],
    })
    response.locals.identity = payload
  } catch (error) {
    next(error)
    return
  }
  next()
}

const me: TenantHandler = ({ params }, response) => {
  response.json({ tenant: params.tenant, subject: response.locals.identity.sub })
}

const answerChallenges: ErrorRequestHandler = (error, { headers: { authorization } }, response, next) => {
  const challenge = challengeFor(error, { realm: "orders", authorization })
  if (challenge === undefined || response.headersSent) next(error)
  else response.status(challenge.status).set(challenge.headers).end()
}

const app = express()
app.disable("x-powered-by")
app.get("/:tenant/me", authenticate, me)
app.use(answerChallenges)

// Whoever is usable is; the others are tried again in the background.
await jwks.warmUp({ timeout: "5 seconds" })
const server = app.listen(Number(process.env["PORT"] ?? 3000), "127.0.0.1", () => {
  const address = server.address()
  console.log(`listening on http://127.0.0.1:${typeof address === "object" ? address?.port : address}`)
})

// First the last answers, then the keys.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close(() => void jwks.close()))
