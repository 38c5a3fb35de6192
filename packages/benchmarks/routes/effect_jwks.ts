/**
 * The guard of this library.
 */
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import { JwtVerifierLive } from "@effect-jwks/jwt"
import * as BearerAuth from "@effect-jwks/jwt/BearerAuth"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import { audience, Authorization, Claims, CurrentUser, type Idp } from "./api.ts"

const auth = BearerAuth.make(CurrentUser, {
  tenant: (_, { tenant }) => tenant,
  verify: { audience, claims: Claims },
})

export const guard = (idps: ReadonlyArray<Idp>) =>
  auth.layer(Authorization).pipe(
    Layer.provide(JwtVerifierLive),
    Layer.provide(
      JwksRegistry.layer({
        requireHttps: false,
        allowPrivateAddresses: true,
        defaults: { requireHttps: false },
        providers: idps.map((idp) => ({ ...idp, provider: "idp" })),
      }),
    ),
    Layer.provide([FetchHttpClient.layer, Persistence.layerMemory, JwksMetrics.layer]),
  )
