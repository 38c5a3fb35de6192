/**
 * A protected API, its provider and its client, on three sockets of this machine.
 *
 *     node packages/examples/60_http_api/main.ts
 */
import { JwksRegistry } from "@effect-jwks/core"
import { JwtVerifierLive } from "@effect-jwks/jwt"
import { NodeJwks } from "@effect-jwks/node"
import { FakeProvider } from "@effect-jwks/testing"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import { placeOrder } from "./client.ts"
import { ShopRoutes } from "./server.ts"

const ShopServer = HttpRouter.serve(ShopRoutes, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide(JwtVerifierLive),
  Layer.provideMerge(NodeJwks.layer({ requireHttps: false, allowPrivateAddresses: ["127.0.0.1"] })),
  Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
)

const program = Effect.gen(function* () {
  const { address } = yield* HttpServer.HttpServer
  const baseUrl = `http://127.0.0.1:${address._tag === "UnixPathAddress" ? 0 : address.port}`
  const { faults, issuer, jwksUrl, keys, token } = yield* FakeProvider
  yield* JwksRegistry.register({ tenant: "acme", provider: "idp", issuer, jwksUrl, requireHttps: false })

  const claims = { sub: "ada", email: "ada@example.com", aud: "shop" }
  const say = (tenant: string, bearer: string) => Effect.flatMap(placeOrder(baseUrl, tenant, bearer), Console.log)
  yield* say("acme", yield* token({ ...claims, scope: "orders:write" }))
  yield* say("acme", yield* token(claims))
  yield* say("globex", yield* token({ ...claims, scope: "orders:write" }))
  yield* keys.rotate()
  yield* faults.status(503)
  yield* say("acme", yield* token({ ...claims, scope: "orders:write" }))
})

program.pipe(Effect.provide([ShopServer, FakeProvider.layer(), FetchHttpClient.layer]), NodeRuntime.runMain)
