/**
 * Who gets what: every route and every method, without, with a wrong and with the right token.
 */
import { assert, describe, it } from "@effect/vitest"
import type { OpenGroup } from "@effect-jwks/admin"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { openAdmin, openAdminOn, ownMetrics, settle, token, toldRegistry, wrongToken } from "./support/OpenAdmin.ts"

/** A route, what the token opens there, and what opens it without. */
interface Route {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly group?: OpenGroup
}

const routes: ReadonlyArray<Route> = [
  { method: "GET", path: "/", status: 200, group: "read" },
  { method: "HEAD", path: "/", status: 200, group: "read" },
  { method: "GET", path: "/openapi.json", status: 200, group: "read" },
  { method: "GET", path: "/api/providers", status: 200, group: "read" },
  { method: "HEAD", path: "/api/providers", status: 200, group: "read" },
  { method: "GET", path: "/api/providers?limit=0", status: 400, group: "read" },
  { method: "GET", path: "/api/providers/acme/idp", status: 200, group: "read" },
  { method: "GET", path: "/api/providers/acme/nobody", status: 404, group: "read" },
  { method: "GET", path: "/api/events", status: 200, group: "read" },
  { method: "GET", path: "/api/events/stream", status: 200, group: "read" },
  { method: "HEAD", path: "/api/events/stream", status: 200, group: "read" },
  { method: "GET", path: "/health/live", status: 200, group: "health" },
  { method: "GET", path: "/health/ready", status: 200, group: "health" },
  { method: "GET", path: "/metrics", status: 200, group: "metrics" },
  { method: "POST", path: "/api/providers/acme/idp/refresh", status: 200 },
  { method: "POST", path: "/api/providers/acme/nobody/refresh", status: 404 },
  { method: "GET", path: "/api/providers/acme/idp/refresh", status: 404 },
  { method: "POST", path: "/api/providers", status: 404 },
  { method: "PUT", path: "/api/providers/acme/idp", status: 404 },
  { method: "DELETE", path: "/api/providers/acme/idp", status: 404 },
  { method: "OPTIONS", path: "/api/providers", status: 404 },
  { method: "PROPFIND", path: "/", status: 404 },
  { method: "POST", path: "/", status: 404 },
  { method: "GET", path: "/unknown", status: 404 },
  { method: "HEAD", path: "/unknown", status: 404 },
  { method: "POST", path: "/unknown/deeper", status: 404 },
  { method: "GET", path: `/api/providers/${"x".repeat(200)}/idp`, status: 404 },
  { method: "GET", path: "/api//providers/nobody/idp", status: 404, group: "read" },
]

const securityHeaders = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "x-frame-options": "DENY",
}

const assertHeaders = (response: Response, what: string) => {
  for (const [name, value] of Object.entries(securityHeaders))
    assert.strictEqual(response.headers.get(name), value, what)
  assert.isNull(response.headers.get("access-control-allow-origin"), what)
  assert.strictEqual(
    response.headers.get("www-authenticate"),
    response.status === 401 ? 'Bearer realm="jwks-admin"' : null,
    what,
  )
}

/** The whole body, but of a stream only that it is one. */
const textOf = (response: Response) =>
  response.headers.get("content-type") === "text/event-stream"
    ? Effect.promise(async () => {
        await response.body?.cancel()
        return ""
      })
    : Effect.promise(() => response.text())

const withProvider = Effect.fnUntraced(function* (...options: Parameters<typeof openAdmin>) {
  const admin = yield* openAdmin(...options)
  yield* admin.register("idp")
  yield* settle
  return admin
})

describe.each(["/", "/admin/jwks"])("at %s", (path) => {
  const prefix = path === "/" ? "" : path

  it.effect("every route answers 401 without the token and with a wrong one, and says how to bear it", () =>
    Effect.gen(function* () {
      const { ask } = yield* withProvider({ token, path })
      const wrong = ["", wrongToken, token.slice(0, -1), `${token}x`, `x${token}`, `${token},${token}`]
      for (const route of routes) {
        for (const borne of wrong) {
          const what = `${route.method} ${route.path} with "${borne}"`
          const response = yield* ask(prefix + route.path, { method: route.method, token: borne })
          assert.strictEqual(response.status, 401, what)
          assertHeaders(response, what)
          const body = yield* textOf(response)
          assert.notInclude(body, "acme", what)
          if (route.method !== "HEAD" && response.headers.get("content-type") === "application/json") {
            assert.hasAllKeys(JSON.parse(body), ["_tag", "message"], what)
            assert.strictEqual(JSON.parse(body)._tag, "Unauthorized", what)
          }
        }
      }
    }).pipe(ownMetrics),
  )

  it.effect("every route answers with the token, in any case of the scheme and with every header", () =>
    Effect.gen(function* () {
      const { ask } = yield* withProvider({ token, path })
      for (const route of routes) {
        for (const headers of [{}, { authorization: `bearer ${token}` }]) {
          const what = `${route.method} ${route.path}`
          const response = yield* ask(prefix + route.path, {
            method: route.method,
            headers,
            token: "authorization" in headers ? "" : token,
          })
          assert.strictEqual(response.status, route.status, what)
          assertHeaders(response, what)
          yield* textOf(response)
        }
      }
    }).pipe(ownMetrics),
  )

  it.effect.each(["health", "metrics", "read"] as const)("what opens %s opens nothing else", (group) =>
    Effect.gen(function* () {
      const { ask } = yield* withProvider({ token, path, open: [group] })
      for (const route of routes) {
        for (const borne of ["", wrongToken]) {
          const response = yield* ask(prefix + route.path, { method: route.method, token: borne })
          const isOpen = route.group === group
          assert.strictEqual(response.status, isOpen ? route.status : 401, `${route.method} ${route.path}`)
          assertHeaders(response, route.path)
          yield* textOf(response)
        }
      }
    }).pipe(ownMetrics),
  )
})

describe("the token", () => {
  it.effect("opens nothing outside its header", () =>
    Effect.gen(function* () {
      const { ask } = yield* withProvider()
      for (const headers of [
        { authorization: token },
        { authorization: `Basic ${btoa(`admin:${token}`)}` },
        { authorization: `Bearer` },
        { authorization: `Bearer ` },
        { cookie: `token=${token}` },
      ]) {
        assert.strictEqual((yield* ask("/api/providers", { token: "", headers })).status, 401, JSON.stringify(headers))
      }
      assert.strictEqual((yield* ask(`/api/providers?access_token=${token}`, { token: "" })).status, 401)
    }).pipe(ownMetrics),
  )

  it.effect("is not needed for what is open, and is not there for anything else", () =>
    Effect.gen(function* () {
      const { ask } = yield* withProvider({ open: ["health", "metrics", "read"] })
      assert.strictEqual((yield* ask("/api/providers", { token: "" })).status, 200)
      for (const borne of ["", "undefined", token]) {
        const response = yield* ask("/api/providers/acme/idp/refresh", { method: "POST", token: borne })
        assert.strictEqual(response.status, 401)
      }
    }).pipe(ownMetrics),
  )

  it.effect("is in no answer and in no log, nor is a query", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ cause, message }) => void logged.push(message, cause))
      const answers: Array<string> = []
      yield* Effect.gen(function* () {
        const { ask, idp } = yield* withProvider()
        yield* idp.faults.status(404)
        for (const route of [...routes, ...routes]) {
          const response = yield* ask(route.path, { method: route.method })
          answers.push(JSON.stringify([...response.headers]), yield* textOf(response))
        }
        const bad = yield* ask(`/api/providers?limit=${wrongToken}&sort=${wrongToken}&health=${wrongToken}`)
        assert.strictEqual(bad.status, 400)
        answers.push(yield* textOf(bad))
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([logger])))
      assert.isNotEmpty(logged)
      const all = [...answers, ...logged.map((line) => JSON.stringify(line))].join("\n")
      for (const secret of [token, wrongToken, "secret=query"]) assert.notInclude(all, secret)
    }).pipe(ownMetrics),
  )
})

describe("a defect", () => {
  it.effect("is a 500 without a word, and with every header", () =>
    Effect.gen(function* () {
      const { registry } = yield* toldRegistry()
      const broken = { ...registry, allStatuses: Effect.die(new Error("a word")) }
      const { ask } = yield* openAdminOn(broken)
      for (const path of ["/api/providers", "/health/ready"]) {
        const response = yield* ask(path)
        assert.strictEqual(response.status, 500)
        assertHeaders(response, path)
        assert.strictEqual(yield* textOf(response), "")
      }
    }).pipe(Effect.provide(Logger.layer([]))),
  )
})

describe("the page", () => {
  it.effect("runs nothing but its own script and style", () =>
    Effect.gen(function* () {
      const { ask } = yield* openAdmin()
      for (const borne of ["", token]) {
        const response = yield* ask("/", { token: borne })
        assert.strictEqual(response.headers.get("content-type"), "text/html; charset=utf-8")
        assert.match(
          response.headers.get("content-security-policy") ?? "",
          /^default-src 'none'; script-src 'sha256-[A-Za-z0-9+/]{43}='; style-src 'sha256-[A-Za-z0-9+/]{43}='; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
        )
        assert.include(yield* textOf(response), "<!doctype html>")
      }
    }).pipe(ownMetrics),
  )

  it.effect("is at the address with the slash, since its URLs are relative", () =>
    Effect.gen(function* () {
      const { ask } = yield* openAdmin({ token, path: "/admin/jwks" })
      for (const path of ["/admin/jwks", "/admin/jwks?x=/"]) {
        const response = yield* ask(path, { token: "" })
        assert.deepStrictEqual([response.status, response.headers.get("location")], [308, "jwks/"])
      }
      assert.strictEqual((yield* ask("/admin/jwks/?x=1")).status, 200)
      assert.strictEqual((yield* ask("/admin")).status, 404)
    }).pipe(ownMetrics),
  )
})
