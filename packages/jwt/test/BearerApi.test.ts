/**
 * What a definition says of bearer tokens, and what a server makes of it: scopes that add up, errors that handlers answer with,
 * and a second scheme beside ours.
 */
import { assert, describe, it } from "@effect/vitest"
import * as BearerApi from "@effect-jwks/jwt/BearerApi"
import * as BearerAuth from "@effect-jwks/jwt/BearerAuth"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { auth, Authorization, type Claims, CurrentUser, serve, setUp, verify } from "./support/orders.ts"

const mine = Effect.map(CurrentUser, ({ claims }) => claims.sub)

describe("scopes", () => {
  const get = <const Name extends string>(name: Name) =>
    HttpApiEndpoint.get(name, `/${name}`, { success: Schema.String })
  const admin = BearerApi.requireScopes("admin")
  const read = BearerApi.requireScopes("read")

  const Each = HttpApiGroup.make("each")
    .add(get("twice").pipe(admin, read))
    .add(get("merged").pipe(admin).annotateMerge(get("other").pipe(read).annotations))
    .add(
      get("described")
        .annotate(OpenApi.Transform, (operation) => ({ ...operation, summary: "ours" }))
        .pipe(admin),
    )
    .middleware(Authorization)

  const All = HttpApiGroup.make("all")
    .add(get("open"))
    .add(get("closed").pipe(admin))
    .middleware(Authorization)
    .pipe(read)
    .add(get("late").middleware(Authorization))

  // As somebody may do who wants the group's annotations on its endpoints.
  const Spread = HttpApiGroup.make("spread")
    .add(get("spread").pipe(admin))
    .middleware(Authorization)
    .annotateEndpointsMerge(HttpApiGroup.make("some").pipe(read).annotations)

  const Api = HttpApi.make("scopes").add(Each).add(All).add(Spread)

  const Live = HttpApiBuilder.layer(Api).pipe(
    Layer.provide([
      HttpApiBuilder.group(Api, "each", (handlers) =>
        handlers
          .handle("twice", () => mine)
          .handle("merged", () => mine)
          .handle("described", () => mine),
      ),
      HttpApiBuilder.group(Api, "all", (handlers) =>
        handlers
          .handle("open", () => mine)
          .handle("closed", () => mine)
          .handle("late", () => mine),
      ),
      HttpApiBuilder.group(Api, "spread", (handlers) => handlers.handle("spread", () => mine)),
    ]),
    Layer.provide(auth.layer(Authorization)),
    Layer.provide(HttpServer.layerServices),
  )

  const needed = {
    twice: ["admin", "read"],
    merged: ["admin", "read"],
    described: ["admin"],
    open: ["read"],
    closed: ["read", "admin"],
    late: ["read"],
    spread: ["admin", "read"],
  }

  it.effect("that are required more than once add up, whichever way they are combined", () =>
    Effect.gen(function* () {
      const { tokenWith, verifier } = yield* setUp()
      const { ask } = yield* serve(Live.pipe(Layer.provide(verifier)))
      for (const [name, scopes] of Object.entries(needed)) {
        const accepted = yield* ask(`/${name}`, { bearer: yield* tokenWith({ scope: scopes.join(" ") }) })
        assert.strictEqual(accepted.status, 200, name)
        for (const lacking of scopes) {
          const scope = scopes.filter((scope) => scope !== lacking).join(" ")
          const refused = yield* ask(`/${name}`, { bearer: yield* tokenWith({ scope }) })
          assert.strictEqual(refused.status, 403, `${name} without ${lacking}`)
          assert.include(refused.headers.get("www-authenticate") ?? "", `scope="${scopes.join(" ")}"`)
        }
      }
    }),
  )

  it("of an endpoint and of its group are in the OpenAPI document, beside what was there", () => {
    const { paths, tags } = OpenApi.fromApi(Api)
    const documented = (name: string) => paths[`/${name}`]?.get?.security
    assert.deepStrictEqual(documented("twice"), [{ bearer: ["admin", "read"] }])
    assert.deepStrictEqual(documented("described"), [{ bearer: ["admin"] }])
    assert.deepInclude(paths["/described"]?.get, { summary: "ours" })
    assert.deepStrictEqual(documented("open"), [{ bearer: ["read"] }])
    assert.deepStrictEqual(documented("closed"), [{ bearer: ["admin", "read"] }])
    assert.deepStrictEqual(
      tags.map(({ name }) => name),
      ["each", "all", "spread"],
    )
  })

  it("are told to who writes another scheme", () => {
    const endpoint = All.endpoints.closed
    assert.deepStrictEqual(BearerApi.requiredScopes({ endpoint, group: All }), ["read", "admin"])
    assert.deepStrictEqual(BearerApi.requiredScopes({ endpoint: get("free"), group: HttpApiGroup.make("none") }), [])
  })
})

describe("an error of a handler's", () => {
  const malformed = new BearerApi.MalformedCredentials({ message: "no" })
  const unauthenticated = new BearerApi.Unauthenticated({ message: "no" })
  const insufficient = new BearerApi.InsufficientScope({ message: "only owners", scope: ["owner"] })
  const unavailable = new BearerApi.KeysUnavailable({ message: "no", retryAfter: 7 })

  const Public = HttpApiGroup.make("public")
    .add(HttpApiEndpoint.get("malformed", "/malformed", { error: BearerApi.MalformedCredentials }))
    .add(HttpApiEndpoint.get("unauthenticated", "/unauthenticated", { error: BearerApi.Unauthenticated }))
    .add(HttpApiEndpoint.get("insufficient", "/insufficient", { error: BearerApi.InsufficientScope }))
    .add(HttpApiEndpoint.get("unavailable", "/unavailable", { error: BearerApi.KeysUnavailable }))
    .add(HttpApiEndpoint.get("challenged", "/challenged", { error: BearerApi.InsufficientScopeWithHeaders }))
    .add(HttpApiEndpoint.get("later", "/later", { error: BearerApi.KeysUnavailableWithHeaders }))

  const Guarded = HttpApiGroup.make("guarded")
    .add(HttpApiEndpoint.get("unsaid", "/unsaid"))
    .add(HttpApiEndpoint.get("said", "/said", { error: BearerApi.InsufficientScope }))
    .add(HttpApiEndpoint.get("repeated", "/repeated", { error: BearerApi.InsufficientScopeWithHeaders }))
    .middleware(Authorization)

  const Api = HttpApi.make("errors").add(Public).add(Guarded)

  const Live = HttpApiBuilder.layer(Api).pipe(
    Layer.provide([
      HttpApiBuilder.group(Api, "public", (handlers) =>
        handlers
          .handle("malformed", () => Effect.fail(malformed))
          .handle("unauthenticated", () => Effect.fail(unauthenticated))
          .handle("insufficient", () => Effect.fail(insufficient))
          .handle("unavailable", () => Effect.fail(unavailable))
          .handle("challenged", () => Effect.fail(insufficient))
          .handle("later", () => Effect.fail(unavailable)),
      ),
      HttpApiBuilder.group(Api, "guarded", (handlers) =>
        handlers
          .handle("unsaid", () => Effect.fail(insufficient))
          .handle("said", () => Effect.fail(insufficient))
          .handle("repeated", () => Effect.fail(insufficient)),
      ),
    ]),
    Layer.provide(auth.layer(Authorization)),
    Layer.provide(HttpServer.layerServices),
  )

  it.effect("has its status, and its headers where they are declared", () =>
    Effect.gen(function* () {
      const { tokenWith, verifier } = yield* setUp()
      const { ask } = yield* serve(Live.pipe(Layer.provide(verifier)))
      const bearer = yield* tokenWith()
      const challenge = 'Bearer realm="api", scope="owner", error="insufficient_scope", error_description="only owners"'
      const answers: ReadonlyArray<readonly [string, number, string | null, string | null]> = [
        ["malformed", 400, null, null],
        ["unauthenticated", 401, null, null],
        ["insufficient", 403, null, null],
        ["unavailable", 503, null, null],
        ["challenged", 403, challenge, null],
        ["later", 503, null, "7"],
        ["unsaid", 403, challenge, null],
        ["said", 403, null, null],
        ["repeated", 403, challenge, null],
      ]
      for (const [name, ...expected] of answers) {
        const { headers, status } = yield* ask(`/${name}`, { bearer })
        assert.deepStrictEqual([status, headers.get("www-authenticate"), headers.get("retry-after")], expected, name)
      }
    }),
  )

  it("is in the OpenAPI document", () => {
    const { paths } = OpenApi.fromApi(Api)
    const responses = (name: string) => Object.keys(paths[`/${name}`]?.get?.responses ?? {})
    assert.deepStrictEqual(responses("insufficient"), ["204", "403"])
    assert.deepStrictEqual(responses("later"), ["204", "503"])
  })
})

describe("a second scheme", () => {
  class Caller extends Context.Service<Caller, { readonly claims: typeof Claims.Type }>()("test/Caller") {}

  class WrongKey extends Schema.TaggedError<WrongKey>()("WrongKey", {}, { httpApiStatus: 401 }) {}

  class Either extends HttpApiMiddleware.Service<Either, { provides: Caller }>()("test/Either", {
    security: { key: HttpApiSecurity.apiKey({ in: "header", key: "x-api-key" }), ...BearerApi.definition.security },
    error: [...BearerApi.definition.error, WrongKey],
  }) {}

  const Api = HttpApi.make("either").add(
    HttpApiGroup.make("either")
      .add(HttpApiEndpoint.get("who", "/who", { success: Schema.String }))
      .add(HttpApiEndpoint.get("write", "/write", { success: Schema.String }).pipe(BearerApi.requireScopes("write")))
      .middleware(Either),
  )

  const who = Effect.map(Caller, ({ claims }) => claims.sub)
  const eitherAuth = BearerAuth.make(Caller, { tenant: "acme", verify })
  const EitherLive = Layer.effect(
    Either,
    Effect.map(eitherAuth.handler, (bearer) =>
      Either.of({
        bearer,
        key: (httpEffect, { credential, ...options }) =>
          Redacted.value(credential) === "s3cret" && BearerApi.requiredScopes(options).length === 0
            ? Effect.provideService(httpEffect, Caller, { claims: { sub: "robot", visits: 0 } })
            : Effect.fail(new WrongKey()),
      }),
    ),
  )
  const Live = HttpApiBuilder.layer(Api).pipe(
    Layer.provide(
      HttpApiBuilder.group(Api, "either", (handlers) => handlers.handle("who", () => who).handle("write", () => who)),
    ),
    Layer.provide(EitherLive),
    Layer.provide(HttpServer.layerServices),
  )

  it.effect("that is named first leaves 400, 403 and 503 what they are", () =>
    Effect.gen(function* () {
      const { idp, tokenWith, verifier } = yield* setUp()
      const { ask } = yield* serve(Live.pipe(Layer.provide(verifier)))
      const withKey = { headers: { "x-api-key": "s3cret" } }
      const robot = yield* ask("/who", withKey)
      assert.strictEqual(yield* Effect.promise(() => robot.text()), JSON.stringify("robot"))
      assert.strictEqual((yield* ask("/write", withKey)).status, 401)
      assert.strictEqual((yield* ask("/who", { bearer: yield* tokenWith() })).status, 200)
      assert.strictEqual((yield* ask("/who")).status, 401)
      assert.strictEqual((yield* ask("/who", { bearer: "two tokens" })).status, 400)

      const forbidden = yield* ask("/write", { bearer: yield* tokenWith({ scope: "read" }) })
      assert.strictEqual(forbidden.status, 403)
      assert.include(forbidden.headers.get("www-authenticate") ?? "", 'scope="write"')

      yield* idp.keys.rotate()
      yield* idp.faults.status(503, { retryAfter: "20 seconds" })
      const unavailable = yield* ask("/who", { bearer: yield* tokenWith() })
      assert.strictEqual(unavailable.status, 503)
      assert.isNotNull(unavailable.headers.get("retry-after"))
    }),
  )

  it("is in the OpenAPI document beside ours, and has none of its scopes", () => {
    const { paths } = OpenApi.fromApi(Api)
    assert.deepStrictEqual(paths["/write"]?.get?.security, [{ key: [] }, { bearer: ["write"] }])
    assert.hasAllKeys(paths["/write"]?.get?.responses, ["200", "400", "401", "403", "503"])
  })
})
