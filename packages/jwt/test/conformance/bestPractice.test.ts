/**
 * RFC 8725 (JSON Web Token Best Current Practices) section 3 point by point, and what of RFC 9700 (OAuth 2.0 Security)
 * concerns those who verify tokens: one row of docs/spec/jwt_best_practice.md each. The table and these tests are compared.
 */
import { assert, describe, it } from "@effect/vitest"
import { staticKeys } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { readdirSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { encodePart, forge, forgeHmac, pairFor } from "../forge.ts"
import { reasonOf, setUp, setUpProviders, signerOf, start, startSeconds } from "../support.ts"

const claims = { iss: "https://idp.test", iat: startSeconds, exp: startSeconds + 600 }

/** A point, and what shows that it is kept to. */
type Shown = Effect.Effect<unknown, unknown, Scope.Scope>

const points: Readonly<Record<string, Shown>> = {
  "RFC 8725 section 3.1": Effect.gen(function* () {
    const { publicJwk } = yield* pairFor("RS256")
    const { reason } = yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys: [{ ...publicJwk, kid: "1" }] }) })
    const confused = yield* forgeHmac("HS256", JSON.stringify(publicJwk), { alg: "HS256", kid: "1" }, claims)
    assert.strictEqual((yield* reason(confused))._tag, "Algorithm")
    const { privateJwk } = yield* pairFor("RS256")
    const token = yield* forge({ scheme: "RS256", privateJwk }, { alg: "RS256", kid: "1" }, claims)
    assert.deepInclude(yield* reason(token, { algorithms: ["ES256"] }), { _tag: "Algorithm", alg: "RS256" })
  }),
  "RFC 8725 section 3.2": Effect.gen(function* () {
    const { forge, header, reason } = yield* setUp()
    for (const alg of ["none", "None", "NONE", "HS256"]) {
      assert.strictEqual((yield* reason(yield* forge({ ...header, alg }, claims)))._tag, "Algorithm")
    }
  }),
  "RFC 8725 section 3.3": Effect.gen(function* () {
    const { forge, header, reason } = yield* setUp()
    const token = yield* forge(header, claims)
    const spoiled = `${token.slice(0, -20)}${"A".repeat(20)}`
    assert.deepStrictEqual(yield* reason(spoiled), { _tag: "Signature" })
    const nested = yield* forge({ ...header, cty: "JWT" }, token)
    assert.strictEqual((yield* reason(nested))._tag, "Malformed")
  }),
  "RFC 8725 section 3.4": Effect.gen(function* () {
    const { privateJwk, publicJwk } = yield* pairFor("ES256")
    const [other] = staticKeys(1)
    const { error, registry } = yield* setUp({
      before: (idp) => idp.keys.publishRaw({ keys: [{ ...publicJwk, y: publicJwk.x, kid: "1" }, other] }),
    })
    const token = yield* forge({ scheme: "ES256", privateJwk }, { alg: "ES256", kid: "1" }, claims)
    assert.strictEqual((yield* error(token))._tag, "KeyNotFound")
    const { dropped } = yield* registry.providerStatus("acme", "idp")
    assert.deepStrictEqual(dropped, [{ kid: "1", reason: "InvalidPoint" }])
  }),
  "RFC 8725 section 3.5": Effect.gen(function* () {
    const { registry } = yield* setUp({
      provider: { keys: { keys: [{}, { alg: "RS256", rsaBits: 1_024, kid: "short" }] } },
      before: (idp) => idp.keys.publish([{ kty: "oct", k: encodePart("password"), kid: "secret" }]),
    })
    yield* Effect.orDie(registry.refresh("acme", "idp"))
    const { dropped } = yield* registry.providerStatus("acme", "idp")
    assert.sameMembers(
      dropped.map(({ kid }) => kid),
      ["short", "secret"],
    )
  }),
  "RFC 8725 section 3.6": Effect.gen(function* () {
    const { reason } = yield* setUp()
    const header = encodePart({ alg: "RSA-OAEP-256", enc: "A256GCM", zip: "DEF" })
    assert.deepStrictEqual(yield* reason(`${header}.AAAA.AAAA.AAAA.AAAA`), {
      _tag: "Malformed",
      rule: "it is encrypted, a JWE (RFC 7516): only signed tokens are accepted",
    })
  }),
  "RFC 8725 section 3.7": Effect.gen(function* () {
    const { forge, header, reason, verify } = yield* setUp()
    const latin1 = Uint8Array.from(Buffer.from(`{"iss":"${claims.iss}","exp":9999999999,"name":"Zo\u00eb"}`, "latin1"))
    assert.strictEqual((yield* reason(yield* forge(header, latin1)))._tag, "Malformed")
    const utf8 = yield* forge(header, { ...claims, name: "Zo\u00eb" })
    assert.strictEqual((yield* verify(utf8)).claims["name"], "Zo\u00eb")
  }),
  "RFC 8725 section 3.8": Effect.gen(function* () {
    const { providers, verify } = yield* setUpProviders([
      { name: "a", provider: { keys: { keys: [{ kid: "1" }] } } },
      { name: "b", provider: { keys: { keys: [{ kid: "1" }] } } },
    ])
    const [a, b] = providers
    if (a === undefined || b === undefined) return assert.fail("there are not two providers")
    const token = yield* forge(signerOf(b), { alg: "ES256", kid: "1" }, { ...claims, iss: a.issuer, sub: "ada" })
    assert.deepStrictEqual(yield* reasonOf(verify("acme", token)), { _tag: "Signature" })
    const good = yield* a.token({ ...claims, iss: a.issuer, sub: "eve" })
    const named = verify("acme", good, { claims: Schema.Struct({ sub: Schema.Literals(["ada"]) }) })
    return assert.strictEqual((yield* reasonOf(named))._tag, "Claims")
  }),
  "RFC 8725 section 3.9": Effect.gen(function* () {
    const { forge, header, reason, verify } = yield* setUp()
    const token = yield* forge(header, { ...claims, aud: "billing" })
    assert.deepStrictEqual(yield* reason(token), { _tag: "Audience", expected: [] })
    assert.deepStrictEqual(yield* reason(token, { audience: "orders" }), { _tag: "Audience", expected: ["orders"] })
    yield* verify(token, { audience: "billing" })
  }),
  "RFC 8725 section 3.10": Effect.gen(function* () {
    const { error, forge, header, idp } = yield* setUp()
    for (const kid of ["../../dev/null", "x' UNION SELECT 'key", "https://evil.test/jwks"]) {
      assert.strictEqual((yield* error(yield* forge({ ...header, kid }, claims)))._tag, "KeyNotFound")
    }
    const { privateJwk, publicJwk } = yield* pairFor("ES256")
    const own = { jwk: publicJwk, jku: "https://evil.test/jwks", x5u: "https://evil.test/x5u" }
    const brought = yield* forgeWith(privateJwk, { ...header, ...own })
    assert.deepNestedInclude(yield* error(brought), { "reason._tag": "Signature" })
    for (const { url } of idp.log) assert.strictEqual(url, idp.jwksUrl)
  }),
  "RFC 8725 section 3.11": Effect.gen(function* () {
    const { forge, header, reason, verify } = yield* setUp()
    for (const typ of ["logout+jwt", "application/logout+jwt", "LOGOUT+JWT"]) {
      yield* verify(yield* forge({ ...header, typ }, claims), { typ: "logout+jwt" })
    }
    for (const typ of ["JWT", "at+jwt", undefined]) {
      const token = yield* forge({ ...header, typ }, claims)
      assert.strictEqual((yield* reason(token, { typ: "logout+jwt" }))._tag, "Type")
    }
  }),
  "RFC 8725 section 3.12": Effect.gen(function* () {
    const { forge, header, reason, verify } = yield* setUp()
    const all = { ...claims, sub: "ada", aud: "app", client_id: "app", jti: "1" }
    const access = yield* forge({ ...header, typ: "at+jwt" }, all)
    const id = yield* forge({ ...header, typ: "JWT" }, all)
    const options = { audience: "app" }
    yield* verify(access, { ...options, profile: "at+jwt" })
    yield* verify(id, { ...options, profile: "id_token" })
    assert.strictEqual((yield* reason(id, { ...options, profile: "at+jwt" }))._tag, "Type")
    assert.strictEqual((yield* reason(access, { ...options, profile: "id_token" }))._tag, "Type")
  }),
  "RFC 9700 section 2.2.1": Effect.gen(function* () {
    const { forge, header, verify } = yield* setUp()
    const bound = { ...claims, cnf: { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }
    assert.deepStrictEqual((yield* verify(yield* forge(header, bound))).claims["cnf"], bound.cnf)
  }),
  "RFC 9700 section 2.3": Effect.gen(function* () {
    const { forge, header, reason } = yield* setUp()
    const token = yield* forge({ ...header, typ: "at+jwt" }, { ...claims, sub: "ada", client_id: "app", jti: "1" })
    assert.deepStrictEqual(yield* reason(token, { profile: "at+jwt", audience: "orders" }), {
      _tag: "Claims",
      issues: [{ claim: "aud", rule: "is missing" }],
    })
  }),
  "RFC 9700 section 4.4": Effect.gen(function* () {
    const { forge, header, reason } = yield* setUp()
    const token = yield* forge(header, { ...claims, iss: "https://evil.test" })
    assert.strictEqual((yield* reason(token))._tag, "Issuer")
  }),
  "RFC 9068 section 4": Effect.gen(function* () {
    const { forge, header, reason, verify } = yield* setUp()
    const all = { ...claims, sub: "ada", aud: "orders", client_id: "app", jti: "1" }
    const options = { audience: "orders", profile: "at+jwt" } as const
    assert.strictEqual(
      (yield* verify(yield* forge({ ...header, typ: "application/at+jwt" }, all), options)).claims.sub,
      "ada",
    )
    const old = yield* forge({ ...header, typ: "at+jwt" }, { ...all, exp: startSeconds })
    assert.deepStrictEqual(yield* reason(old, options), { _tag: "Expired", expiredAt: start })
  }),
}

const forgeWith = (privateJwk: Parameters<typeof forge>[0]["privateJwk"], header: Record<string, unknown>) =>
  forge({ scheme: "ES256", privateJwk }, header, claims)

describe("best practice", () => {
  for (const [point, shown] of Object.entries(points)) it.effect(point, () => Effect.asVoid(shown))
})

describe("docs/spec/jwt_best_practice.md", () => {
  const page = readFileSync(resolve(import.meta.dirname, "../../../../docs/spec/jwt_best_practice.md"), "utf8")
  const rows = page
    .split("\n")
    .filter((line) => line.startsWith("| RFC "))
    .map((line) => line.split("|").map((cell) => cell.trim()))

  it("has a row for each of these points, in their order", () => {
    assert.deepStrictEqual(
      rows.map(([, point]) => point),
      Object.keys(points),
    )
  })

  it("names tests that are there", () => {
    const folder = resolve(import.meta.dirname, "..")
    const sources = new Map(
      readdirSync(folder, { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".test.ts"))
        .map((file) => [file, readFileSync(join(folder, file), "utf8")]),
    )
    const named = rows.flatMap(([, point = "", , , shown = ""]) =>
      Array.from(shown.matchAll(/`([^`]+\.test\.ts)`(?:: ([^;]+))?/g), ([, file = "", title]) => ({
        point,
        file,
        title,
      })),
    )
    for (const point of Object.keys(points)) {
      assert.isTrue(
        named.some((test) => test.point === point),
        `${point} names no test`,
      )
    }
    for (const { file, point, title } of named) {
      const source = sources.get(file) ?? assert.fail(`${point}: there is no ${file}`)
      if (title !== undefined) assert.include(source, title, `${point}: ${file} has no such test`)
    }
  })
})
