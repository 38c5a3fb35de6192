/**
 * The protected shop: in memory, and over sockets with its provider and its client.
 */
import { JwksRegistry } from "@effect-jwks/core"
import { JwtVerifierLive } from "@effect-jwks/jwt"
import { FakeProvider, TestRegistry } from "@effect-jwks/testing"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import { describe, expect, it } from "vitest"
import { placeOrder, shopClient } from "../60_http_api/client.ts"
import { ShopRoutes } from "../60_http_api/server.ts"

const claims = { sub: "ada", email: "ada@example.com", aud: "shop" }

const register = ({ issuer, jwksUrl }: FakeProvider["Service"]) =>
  JwksRegistry.register({ tenant: "acme", provider: "idp", issuer, jwksUrl })

describe("the shop", () => {
  it("guards the API and the route in memory, and leaves the catalogue open", () =>
    Effect.gen(function* () {
      const idp = yield* FakeProvider.make()
      const router = yield* HttpRouter.make
      const context = yield* Layer.build(JwtVerifierLive.pipe(Layer.provideMerge(TestRegistry.layer())))
      yield* Layer.build(
        ShopRoutes.pipe(
          Layer.provide(Layer.succeedContext(context)),
          Layer.provide(Layer.succeed(HttpRouter.HttpRouter, router)),
          Layer.provide(HttpServer.layerServices),
        ),
      )
      yield* Effect.provideContext(register(idp), context)
      const handler = HttpEffect.toWebHandler(router.asHttpEffect())
      const ask = (path: string, token?: string) =>
        Effect.promise(() =>
          handler(
            new Request(
              `http://shop.test${path}`,
              token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } },
            ),
          ),
        )
      const token = yield* idp.token(claims)
      const receipt = yield* ask("/acme/receipt.txt", token)
      expect(yield* Effect.promise(() => receipt.text())).toBe("a receipt for ada@example.com")
      expect((yield* ask("/items")).status).toBe(200)
      for (const path of ["/acme/orders", "/acme/receipt.txt"]) {
        expect((yield* ask(path, token)).status).toBe(200)
        expect((yield* ask(path.replace("acme", "globex"), token)).status).toBe(401)
        const refused = yield* ask(path)
        expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="shop"'])
      }
    }).pipe(Effect.scoped, Effect.runPromise))

  it("is told apart by its client over sockets: signed in, short of a scope, a stranger, an outage", () =>
    Effect.gen(function* () {
      const idp = yield* FakeProvider.make()
      const context = yield* Layer.build(
        HttpRouter.serve(ShopRoutes, { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provide(JwtVerifierLive),
          Layer.provideMerge(TestRegistry.layer()),
          Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
        ),
      )
      const { address } = Context.get(context, HttpServer.HttpServer)
      const baseUrl = `http://127.0.0.1:${address._tag === "UnixPathAddress" ? 0 : address.port}`
      yield* Effect.provideContext(register(idp), context)
      const buyer = { ...claims, scope: "orders:write" }

      const { orders } = yield* shopClient(baseUrl, yield* idp.token(claims))
      expect(yield* orders.mine({ params: { tenant: "acme" } })).toBe("ada@example.com of acme: no orders")
      expect(yield* placeOrder(baseUrl, "acme", yield* idp.token(buyer))).toBe("placed for ada")
      expect(yield* placeOrder(baseUrl, "acme", yield* idp.token(claims))).toBe("ask for orders:write")
      expect(yield* placeOrder(baseUrl, "globex", yield* idp.token(buyer))).toMatch(/^sign in again/)
      expect(yield* placeOrder(baseUrl, "acme", yield* idp.token({ ...buyer, exp: 1_000 }))).toBe(
        "sign in again: the token has expired",
      )
      yield* idp.keys.rotate()
      expect(yield* placeOrder(baseUrl, "acme", yield* idp.token(buyer))).toBe("placed for ada")
      yield* idp.keys.rotate()
      yield* idp.faults.status(503)
      expect(yield* placeOrder(baseUrl, "acme", yield* idp.token(buyer))).toMatch(/^try again in [1-9]\d* s$/)
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.scoped, Effect.runPromise))
})
