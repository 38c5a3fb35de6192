/**
 * Verifies a token and closes the bridge: the process has to end by itself, before the hour of its next refresh.
 */
import { JwksBridge } from "@effect-jwks/jwt"
import { TestRegistry } from "@effect-jwks/testing"

const { ISSUER: issuer = "", JWKS_URL: jwksUrl = "", TOKEN: token = "" } = process.env
const jwks = JwksBridge.open(TestRegistry.layer({ defaults: { minTtl: "1 hour" } }))
await jwks.register({ tenant: "acme", provider: "idp", issuer, jwksUrl })
const { claims } = await jwks.verify("acme", token)
await jwks.close()
console.log(claims.sub)
