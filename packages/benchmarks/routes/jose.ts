/**
 * The same guard as applications write it with jose: one remote set for each tenant, `jwtVerify`, the caller's schema.
 */
import { Unauthenticated } from "@effect-jwks/jwt/BearerApi"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createRemoteJWKSet, jwtVerify } from "jose"
import { oneDay } from "../contestants/contestant.ts"
import { audience, Authorization, Claims, CurrentUser, type Idp } from "./api.ts"

const refused = new Unauthenticated({ message: "the token is not accepted", error: "invalid_token" })
const decodeClaims = Schema.decodeUnknownEffect(Claims)

export const guard = (idps: ReadonlyArray<Idp>) => {
  const tenants = new Map(
    idps.map(({ issuer, jwksUrl, tenant }) => [
      tenant,
      { issuer, keys: createRemoteJWKSet(new URL(jwksUrl), { cacheMaxAge: oneDay }) },
    ]),
  )
  return Layer.succeed(
    Authorization,
    Authorization.of({
      bearer: Effect.fnUntraced(function* (httpEffect, { credential }) {
        const { tenant = "" } = yield* HttpRouter.params
        const idp = tenants.get(tenant)
        if (idp === undefined) return yield* refused
        const { issuer, keys } = idp
        const { payload } = yield* Effect.tryPromise({
          try: () => jwtVerify(Redacted.value(credential), keys, { issuer, audience, requiredClaims: ["exp"] }),
          catch: () => refused,
        })
        const claims = yield* Effect.mapError(decodeClaims(payload), () => refused)
        return yield* Effect.provideService(httpEffect, CurrentUser, { tenant, claims })
      }),
    }),
  )
}
