/**
 * On a real socket: served alone, mounted beside other routes, and asked by the typed client.
 */
import { assert, describe, it } from "@effect/vitest"
import { JwksAdmin, type JwksAdminOptions } from "@effect-jwks/admin"
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import { FakeProvider } from "@effect-jwks/testing"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createServer, type IncomingMessage, request as httpRequest } from "node:http"
import { ownMetrics, token, wrongToken } from "./support/OpenAdmin.ts"

/** A server on a free port of this machine, and a registry with one provider on another. */
const serve = Effect.fnUntraced(function* <E>(layer: Layer.Layer<never, E, HttpServer.HttpServer | JwksRegistry>) {
  const idp = yield* FakeProvider.make()
  const context = yield* Layer.build(
    layer.pipe(
      Layer.provideMerge(NodeHttpServer.layerServer(createServer, { port: 0, host: "127.0.0.1" })),
      Layer.provideMerge(JwksRegistry.layer({ requireHttps: false, allowPrivateAddresses: true })),
      Layer.provide([Persistence.layerMemory, JwksMetrics.layer, FetchHttpClient.layer]),
    ),
  )
  const registry = Context.get(context, JwksRegistry)
  yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl, requireHttps: false })
  yield* registry.resolve("acme", "idp")
  const { address } = Context.get(context, HttpServer.HttpServer)
  const port = address._tag === "UnixPathAddress" ? assert.fail("no port") : address.port
  return { idp, registry, port, origin: `http://127.0.0.1:${port}` }
})

const serveAlone = (options: JwksAdminOptions = { token }) => serve(JwksAdmin.layer(options))

const clientOf = (baseUrl: string, borne: string | undefined = token) =>
  JwksAdmin.client({ baseUrl, ...(borne !== "" && { token: Redacted.make(borne) }) }).pipe(
    Effect.provide(FetchHttpClient.layer),
  )

/** The status of a request target as it is, which `fetch` would clean up. */
const statusOf = (port: number, method: string, path: string, borne?: string) =>
  Effect.callback<number>((resume) => {
    httpRequest(
      {
        port,
        host: "127.0.0.1",
        method,
        path,
        agent: false,
        headers: borne === undefined ? {} : { authorization: `Bearer ${borne}` },
      },
      (response) => {
        response.resume()
        response.once("end", () => resume(Effect.succeed(response.statusCode ?? 0)))
      },
    ).end()
  })

describe("Served alone under a path", () => {
  it.live("answers what is outside of it, or no path at all, behind the door, too", () =>
    Effect.gen(function* () {
      const { origin, port } = yield* serveAlone({ token: Redacted.make(token), path: "/admin/jwks" })
      const targets = ["/", "/other", "/admin/jwks/%", "/admin/jwks/api/providers/acme/idp%", "/admin/jwks/%ff", "/%"]
      for (const target of targets) {
        for (const method of ["GET", "POST", "OPTIONS"]) {
          assert.strictEqual(yield* statusOf(port, method, target), 401, `${method} ${target}`)
          assert.strictEqual(yield* statusOf(port, method, target, token), 404, `${method} ${target}`)
        }
      }
      // The page's URLs are relative.
      for (const method of ["GET", "HEAD"]) assert.strictEqual(yield* statusOf(port, method, "/admin/jwks"), 308)
      const { headers } = yield* Effect.promise(() => fetch(`${origin}/other`))
      assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
      assert.include(headers.get("www-authenticate"), "Bearer")
    }).pipe(ownMetrics),
  )
})

describe("The typed client", () => {
  it.live.each<[string, string]>([
    ["/", ""],
    ["/", "/"],
    ["/admin/jwks", "/admin/jwks"],
  ])("asks for everything, mounted at %s and given %s", ([path, suffix]) =>
    Effect.gen(function* () {
      const { idp, origin } = yield* serveAlone({ token: Redacted.make(token), path })
      const client = yield* clientOf(origin + suffix)
      const params = { tenant: "acme", provider: "idp" }

      const page = yield* client.read.providers({ query: { search: "ID", sort: "health", limit: 1 } })
      assert.deepStrictEqual([page.total, page.items[0]?.health], [1, "fresh"])
      const detail = yield* client.read.provider({ params })
      assert.strictEqual(detail.keyList[0]?.jwk?.kid, idp.keys.current.kid)
      const events = yield* client.read.events({ query: {} })
      assert.isNotEmpty(events.items)
      assert.strictEqual((yield* client.mutations.refresh({ params }))._tag, "NotModified")
      assert.deepStrictEqual(yield* client.health.live(), { alive: true })
      assert.isTrue((yield* client.health.ready()).ready)
      assert.match(yield* client.metrics.prometheus(), /^jwks_cache_keys\{tenant="acme",provider="idp"\} 1$/m)

      const stream = yield* client.read.stream({ headers: {}, query: { after: (events.items[0]?.id ?? 0) - 1 } })
      const first = yield* Stream.runHead(stream)
      assert.deepStrictEqual(first._tag === "Some" && first.value.data, events.items[0])
    }).pipe(ownMetrics),
  )

  it.live("gets typed errors", () =>
    Effect.gen(function* () {
      const { idp, origin } = yield* serveAlone({
        token,
        readiness: { critical: [{ tenant: "acme", provider: "no" }] },
      })
      const client = yield* clientOf(origin)
      const nobody = { params: { tenant: "acme", provider: "nobody" } }
      assert.strictEqual((yield* Effect.flip(client.read.provider(nobody)))._tag, "NotRegistered")
      assert.strictEqual((yield* Effect.flip(client.mutations.refresh(nobody)))._tag, "NotRegistered")
      yield* idp.faults.status(404)
      const error = yield* Effect.flip(client.mutations.refresh({ params: { tenant: "acme", provider: "idp" } }))
      assert.strictEqual(error._tag === "JwksUnavailable" && error.reason._tag, "HttpStatus")
      assert.deepStrictEqual(yield* client.health.ready(), {
        ready: false,
        policy: "critical",
        usable: 0,
        total: 1,
        missing: [{ tenant: "acme", provider: "no" }],
      })
      for (const borne of ["", wrongToken]) {
        const stranger = yield* clientOf(origin, borne)
        assert.strictEqual((yield* Effect.flip(stranger.read.providers({ query: {} })))._tag, "Unauthorized")
        assert.strictEqual((yield* Effect.flip(stranger.metrics.prometheus()))._tag, "Unauthorized")
        assert.strictEqual((yield* Effect.flip(stranger.read.stream({ headers: {}, query: {} })))._tag, "Unauthorized")
      }
    }).pipe(ownMetrics),
  )
})

describe("A server of its own", () => {
  it.live("answers 401 whatever comes without the token, and 404 with it", () =>
    Effect.gen(function* () {
      const { port } = yield* serveAlone()
      for (const path of [
        "/unknown",
        "/%",
        "/%zz",
        "//",
        "/api//x",
        "/..%2f..%2fetc/passwd",
        "/api/providers/%ff/%00",
      ]) {
        for (const method of ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PURGE"]) {
          const what = `${method} ${path}`
          assert.strictEqual(yield* statusOf(port, method, path), 401, what)
          assert.strictEqual(yield* statusOf(port, method, path, wrongToken), 401, what)
          const known = path === "//" && (method === "GET" || method === "HEAD")
          assert.strictEqual(yield* statusOf(port, method, path, token), known ? 200 : 404, what)
        }
      }
      assert.strictEqual(yield* statusOf(port, "HEAD", "/api/events/stream", token), 200)
    }).pipe(ownMetrics),
  )

  it.live("closes at once with its streams", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { origin, registry } = yield* Scope.provide(serveAlone(), scope)
      const client = yield* clientOf(origin)
      const stream = yield* client.read.stream({ headers: {}, query: {} })
      const reading = yield* Effect.forkChild(Stream.runCollect(stream))
      const events = yield* client.read.stream({ headers: {}, query: {} })
      const first = yield* Effect.forkChild(Stream.runHead(events))
      yield* registry.unregister("acme", "idp")
      yield* Fiber.join(first)
      // A server that waits for them would take 20 seconds.
      yield* Effect.timeout(Scope.close(scope, Exit.void), "5 seconds")
      assert.isNotEmpty(yield* Fiber.join(reading))
    }).pipe(ownMetrics),
  )
})

describe("A client that does not read", () => {
  it.live("slows neither the registry nor others, and is told what it missed", () =>
    Effect.gen(function* () {
      const { origin, port, registry } = yield* serveAlone()
      const client = yield* clientOf(origin)
      const start = (yield* client.read.events({ query: { limit: 1 } })).items[0]?.id ?? assert.fail("no event")
      const stuck = yield* Effect.callback<IncomingMessage>((resume) => {
        httpRequest(
          {
            port,
            host: "127.0.0.1",
            path: `/api/events/stream?after=${start}`,
            headers: { authorization: `Bearer ${token}` },
          },
          // Nobody listens to its data, so the socket fills up.
          (response) => resume(Effect.succeed(response)),
        ).end()
      })
      const rounds = 20_000
      for (let n = 0; n < rounds; n++) {
        yield* registry.unregister("acme", "idp")
        yield* registry.register({
          tenant: "acme",
          provider: "idp",
          jwksUrl: `${origin}/none`,
          requireHttps: false,
          warm: false,
        })
        if (n % 100 === 0) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      const newest = (yield* client.read.events({ query: { limit: 1 } })).items[0]?.id ?? assert.fail("no event")
      assert.isAtLeast(newest - start, 2 * rounds)

      let [dropped, received, last, text] = [0, 0, start, ""]
      yield* Effect.promise(async () => {
        for await (const chunk of stuck) {
          text += String(chunk)
          for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
            const frame = text.slice(0, end)
            text = text.slice(end + 2)
            dropped += Number(/^event: dropped\ndata: \{"dropped":(\d+)\}$/.exec(frame)?.[1] ?? 0)
            const id = /^id: (\d+)\n/.exec(frame)?.[1]
            if (id === undefined) continue
            received += 1
            assert.isAbove(Number(id), last)
            last = Number(id)
          }
          if (last >= newest) break
        }
      })
      assert.isAbove(dropped, 0)
      assert.strictEqual(received + dropped, last - start)
    }).pipe(ownMetrics),
  )
})

describe("Beside an application's routes", () => {
  const shop = HttpRouter.add("GET", "/", HttpServerResponse.text("shop"))

  it.live("takes its own path and leaves the others alone", () =>
    Effect.gen(function* () {
      const { origin, port } = yield* serve(
        HttpRouter.serve(Layer.merge(shop, JwksAdmin.routes({ token, path: "/admin/jwks" })), {
          disableLogger: true,
          disableListenLog: true,
        }),
      )
      const text = (path: string) => Effect.promise(async () => (await fetch(origin + path)).text())
      assert.strictEqual(yield* text("/"), "shop")
      assert.strictEqual(yield* statusOf(port, "GET", "/admin"), 404)
      assert.strictEqual(yield* statusOf(port, "GET", "/admin/jwks"), 308)
      assert.include(yield* text("/admin/jwks"), "<!doctype html>")
      assert.strictEqual(yield* statusOf(port, "GET", "/admin/jwks/api/providers"), 401)
      assert.strictEqual(yield* statusOf(port, "GET", "/admin/jwks/api/providers", token), 200)
      assert.strictEqual(yield* statusOf(port, "GET", "/admin/jwks/unknown"), 401)
    }).pipe(ownMetrics),
  )
})
