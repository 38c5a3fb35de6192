/**
 * The registration table, row by row: what is refused, what is taken, and what a refusal says.
 */
import { assert, describe, it } from "@effect/vitest"
import type { InvalidRegistration, JwksRegistryService, ProviderRegistration } from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import {
  answerAtOnce,
  minutes,
  openRegistry,
  openStrictRegistry,
  seconds,
  settle,
  setUp,
  setUpLoaded,
  start,
} from "./support.ts"

const valid = { tenant: "acme", provider: "idp", jwksUrl: "https://idp.test/jwks", warm: false }

/** Registers what may be anything at all. */
const register = (registry: JwksRegistryService, registration: unknown) =>
  registry.register(registration as ProviderRegistration)

const refused = (registration: unknown, how: "strict" | "tolerant" = "strict") =>
  Effect.gen(function* () {
    const registry = yield* how === "strict" ? openStrictRegistry([]) : openRegistry([])
    const error = yield* Effect.flip(register(registry, registration))
    assert.strictEqual(error._tag, "InvalidRegistration")
    assert.isEmpty(yield* registry.allStatuses)
    return error
  })

const fieldsOf = ({ issues }: InvalidRegistration): ReadonlyArray<string> => issues.map(({ field }) => field)

/** A rule is a sentence that says what to write: several words, and none of what was written. */
const assertSaysWhatToWrite = ({ issues, message }: InvalidRegistration): void => {
  for (const { field, rule } of issues) {
    assert.isAtLeast(rule.split(/\s+/).length, 3, `${field}: ${rule}`)
    assert.notMatch(rule, /\bundefined\b.*\bundefined\b|\[object|Expected .* got/, `${field}: ${rule}`)
    assert.include(message, field)
    assert.include(message, rule)
  }
}

const notIds: ReadonlyArray<unknown> = [
  undefined,
  null,
  "",
  " ",
  "a b",
  "a ",
  "tab\t",
  "line\n",
  "nul\u0000",
  "del\u007f",
  "naïve",
  "日本",
  "\u200bzero",
  "x".repeat(129),
  7,
  {},
]

const notDurations: ReadonlyArray<unknown> = [-1, "-1 seconds", "abc", "10", Number.NaN, null, true]

const breaches: ReadonlyArray<{
  readonly field: string
  readonly bad: ReadonlyArray<unknown>
  readonly good: ReadonlyArray<unknown>
}> = [
  {
    field: "tenant",
    bad: notIds,
    good: ["org_12", "auth0|7", "a", "x".repeat(128), "..", "a/b", "%2F", "{}", "#?&=", '"', "__proto__"],
  },
  {
    field: "provider",
    bad: notIds,
    good: ["org_12", "auth0|7", "a", "x".repeat(128), "..", "a/b", "%2F", "{}", "#?&=", '"', "__proto__"],
  },
  {
    field: "jwksUrl",
    bad: [
      "",
      "jwks",
      "/jwks",
      "//idp.test/jwks",
      "idp.test/jwks",
      "https://",
      "https://user@idp.test/jwks",
      "https://user:secret@idp.test/jwks",
      "https://:secret@idp.test/jwks",
      "https://idp.test/jwks#part",
      "ftp://idp.test/jwks",
      "file:///etc/passwd",
      "data:application/json,{}",
      "javascript:alert(1)",
      "blob:https://idp.test/1",
      "http://idp.test/jwks",
      null,
      7,
      new URL("https://idp.test/jwks#part"),
    ],
    good: [
      "https://idp.test/jwks",
      "https://idp.test",
      "https://idp.test:8443/a/b?c=d&e",
      "HTTPS://IDP.TEST/jwks",
      "https://xn--bcher-kva.test/",
    ],
  },
  {
    field: "issuer",
    bad: ["", "idp.test", "/", "https://user:secret@idp.test", "https://idp.test/#part", "ftp://idp.test", null, 7],
    good: ["https://idp.test", "https://idp.test/", "https://idp.test/realms/a"],
  },
  {
    field: "algorithms",
    bad: [["HS256"], ["none"], ["RS256", "HS512"], ["rs256"], [""], [7], "RS256", null, {}, ["RSA-OAEP"], ["A128KW"]],
    good: [["RS256"], ["ES256", "EdDSA", "Ed25519", "PS512"], ["ML-DSA-44"]],
  },
  { field: "requireHttps", bad: ["yes", 1, null, "false"], good: [true] },
  {
    field: "allowedDomains",
    bad: ["idp.test", [7], [""], [" "], ["https://idp.test"], ["idp.test/jwks"], ["idp test"], null, {}],
    good: [[], ["idp.test"], ["IDP.test"], ["test"], ["other.test", "idp.test"]],
  },
  {
    field: "minTtl",
    bad: [...notDurations, 0, "29 seconds", 29_999, Infinity],
    good: ["30 seconds", 30_000, "1 hour", Duration.seconds(31), { minutes: 2 }],
  },
  {
    field: "maxTtl",
    bad: [...notDurations, 0, "59 seconds", "31 days", 30 * 86_400_000 + 1, Infinity],
    good: ["60 seconds", "30 days", "24 hours"],
  },
  { field: "defaultTtl", bad: [...notDurations], good: ["1 minute", "1 hour"] },
  { field: "refreshEarly", bad: [...notDurations, 0, 999, "500 millis"], good: ["1 second", "1 hour"] },
  { field: "prefetchJitter", bad: notDurations, good: [0, "1 hour"] },
  { field: "staleWhileError", bad: notDurations, good: [0, "7 days"] },
  { field: "negativeCacheTtl", bad: notDurations, good: [0, "1 hour"] },
  {
    field: "maxResponseBytes",
    bad: [0, -1, 1.5, Number.NaN, Infinity, "1", 16 * 1_048_576 + 1, null],
    good: [1, 16 * 1_048_576],
  },
  { field: "maxKeys", bad: [0, -1, 1.5, Number.NaN, Infinity, "1", 10_001, null], good: [1, 10_000] },
  { field: "maxRedirects", bad: [-1, 1.5, Number.NaN, Infinity, "1", 11, null], good: [0, 10] },
  {
    field: "pinnedSpki",
    // Correct pins are refused as well, as long as the transport can not enforce them.
    bad: ["pin", ["pin"], [""], [7], ["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="], null],
    good: [],
  },
  { field: "minRsaBits", bad: [-1, 1.5, Number.NaN, "2048", null], good: [2_048, 3_072] },
  { field: "removedKeyGrace", bad: notDurations, good: [0, "1 hour"] },
  { field: "strictHttp", bad: ["yes", 1, null], good: [true, false] },
  { field: "warm", bad: ["yes", 1, null], good: [false] },
  { field: "kidRefresh", bad: [7, "often", null, []], good: [{}, { burst: 1 }, { every: "1 minute" }] },
  { field: "kidRefresh.burst", bad: [-1, 1.5, Number.NaN, Infinity, "2", null], good: [1, 10] },
  { field: "kidRefresh.every", bad: [...notDurations, 0], good: ["1 second", "1 hour"] },
  { field: "retryPolicy", bad: [7, "twice", null, []], good: [{}, { maxRetries: 1 }] },
  { field: "retryPolicy.maxRetries", bad: [-1, 1.5, Number.NaN, Infinity, "2", null], good: [0, 5] },
  { field: "retryPolicy.attemptTimeout", bad: [...notDurations, 0], good: ["1 second"] },
  { field: "retryPolicy.initialBackoff", bad: notDurations, good: ["10 millis"] },
  { field: "retryPolicy.maxBackoff", bad: notDurations, good: ["10 seconds"] },
  { field: "retryPolicy.deadline", bad: [...notDurations, 0], good: ["20 seconds"] },
  { field: "retryPolicy.jitter", bad: ["some", "", null, true, 1], good: ["none", "full", "decorrelated"] },
]

/** `valid` with one field changed, `a.b` being field b of a. */
const withField = (field: string, value: unknown): Record<string, unknown> => {
  const [outer = "", inner] = field.split(".")
  return { ...valid, [outer]: inner === undefined ? value : { [inner]: value } }
}

const shown = (value: unknown): string =>
  typeof value === "string" && value.length > 40
    ? `a text of ${value.length}`
    : typeof value === "number"
      ? String(value)
      : (JSON.stringify(value) ?? "undefined")

describe("The registration table: breaches give InvalidRegistration, naming the field", () => {
  for (const { bad, field, good } of breaches) {
    for (const [i, value] of bad.entries()) {
      it.effect(`refuses ${field} ${shown(value)} (${i})`, () =>
        Effect.gen(function* () {
          const error = yield* refused(withField(field, value))
          // Where a pair of fields is at odds, either may be named.
          const named = value === "http://idp.test/jwks" ? ["jwksUrl", "requireHttps"] : [field]
          assert.isTrue(
            fieldsOf(error).some((name) => named.some((wanted) => name === wanted || name.startsWith(`${wanted}[`))),
            fieldsOf(error).join(", "),
          )
          assertSaysWhatToWrite(error)
          assert.notInclude(JSON.stringify(error), "secret")
        }),
      )
    }
    if (good.length > 0) {
      it.effect(`takes ${field} ${good.map(shown).join(", ")}`, () =>
        Effect.gen(function* () {
          for (const value of good) {
            const registry = yield* openStrictRegistry([])
            yield* register(registry, withField(field, value))
            assert.lengthOf(yield* registry.allStatuses, 1)
          }
        }),
      )
    }
  }

  it.effect("needs jwksUrl or issuer", () =>
    Effect.gen(function* () {
      const error = yield* refused({ tenant: "acme", provider: "idp" })
      assert.isTrue(fieldsOf(error).some((field) => field === "jwksUrl" || field === "issuer"))
      assertSaysWhatToWrite(error)
    }),
  )

  it.effect("refuses maxTtl under minTtl, also where one of them is a default", () =>
    Effect.gen(function* () {
      for (const clamps of [
        { minTtl: "2 hours", maxTtl: "1 hour" },
        { minTtl: "25 hours" },
        { maxTtl: "59 seconds" },
      ]) {
        const error = yield* refused({ ...valid, ...clamps })
        assert.isTrue(fieldsOf(error).some((field) => field === "minTtl" || field === "maxTtl"))
      }
    }),
  )

  it.effect.each([null, undefined, 7, "acme", [], () => {}])(
    "refuses what is no registration at all: %s",
    (registration) =>
      Effect.gen(function* () {
        const error = yield* refused(registration)
        assert.isNotEmpty(error.issues)
      }),
  )

  it.effect("refuses unknown fields, so that a misspelt one does not pass", () =>
    Effect.gen(function* () {
      assert.include(fieldsOf(yield* refused({ ...valid, minTTL: "1 hour" })), "minTTL")
      assert.include(fieldsOf(yield* refused({ ...valid, retryPolicy: { retries: 3 } })), "retryPolicy.retries")
      assert.include(fieldsOf(yield* refused({ ...valid, kidRefresh: { bursts: 3 } })), "kidRefresh.bursts")
    }),
  )

  it.effect("reports every breach at once", () =>
    Effect.gen(function* () {
      const error = yield* refused({
        tenant: "a b",
        provider: "",
        jwksUrl: "/jwks",
        minTtl: "1 second",
        maxKeys: 0,
        colour: "red",
        retryPolicy: { maxRetries: -1, jitter: "some" },
        kidRefresh: { burst: -1 },
      })
      assert.includeMembers(
        [...fieldsOf(error)],
        [
          "tenant",
          "provider",
          "jwksUrl",
          "minTtl",
          "maxKeys",
          "colour",
          "retryPolicy.maxRetries",
          "retryPolicy.jitter",
          "kidRefresh.burst",
        ],
      )
      assertSaysWhatToWrite(error)
    }),
  )

  it.effect("shows nothing secret of what was written", () =>
    Effect.gen(function* () {
      const error = yield* refused({ ...valid, jwksUrl: "https://user:hunter2@idp.test/jwks?token=abc123#f" })
      for (const secret of ["hunter2", "abc123"]) {
        assert.notInclude(error.message, secret)
        assert.notInclude(JSON.stringify(error), secret)
      }
    }),
  )

  it.effect("names the limit that was broken", () =>
    Effect.gen(function* () {
      const error = yield* refused({ ...valid, minTtl: "1 second", maxRedirects: 50, maxKeys: 50_000 })
      const ruleOf = (field: string) => error.issues.find((issue) => issue.field === field)?.rule ?? ""
      assert.match(ruleOf("minTtl"), /30/)
      assert.match(ruleOf("maxRedirects"), /10/)
      assert.match(ruleOf("maxKeys"), /10,?_?000/)
    }),
  )

  it.effect("takes an explicit undefined as absent", () =>
    Effect.gen(function* () {
      const registry = yield* openStrictRegistry([])
      const absent = Object.fromEntries(breaches.map(({ field }) => [field.split(".")[0], undefined]))
      yield* register(registry, { ...absent, ...valid, retryPolicy: { maxRetries: undefined } })
    }),
  )
})

describe("https", () => {
  it.effect("http needs false here and in the registry", () =>
    Effect.gen(function* () {
      const http = { ...valid, jwksUrl: "http://idp.test/jwks" }
      const allowing = yield* openStrictRegistry([], { requireHttps: false })
      const strict = yield* openStrictRegistry([], { requireHttps: true })
      const unset = yield* openStrictRegistry([])
      yield* register(allowing, { ...http, requireHttps: false })
      for (const [registry, registration] of [
        [allowing, http],
        [allowing, { ...http, requireHttps: true }],
        [strict, { ...http, requireHttps: false }],
        [unset, { ...http, requireHttps: false }],
      ] as const) {
        const error = yield* Effect.flip(register(registry, registration))
        assert.isTrue(fieldsOf(error).every((field) => field === "jwksUrl" || field === "requireHttps"))
      }
    }),
  )

  it.effect("the registry's false does not override a registration's true", () =>
    Effect.gen(function* () {
      const registry = yield* openStrictRegistry([], { requireHttps: false, defaults: { requireHttps: false } })
      yield* register(registry, { ...valid, jwksUrl: "http://idp.test/jwks" })
      yield* Effect.flip(
        register(registry, { ...valid, provider: "b", jwksUrl: "http://idp.test/", requireHttps: true }),
      )
    }),
  )
})

describe("allowedDomains", () => {
  it.effect("the host equals or is under a listed domain, by whole labels, whatever the case", () =>
    Effect.gen(function* () {
      const registry = yield* openStrictRegistry([])
      const allowedDomains = ["idp.test", "example.com"]
      const at = (host: string) => register(registry, { ...valid, jwksUrl: `https://${host}/jwks`, allowedDomains })
      for (const host of ["idp.test", "a.idp.test", "a.b.idp.test", "IDP.TEST", "example.com", "idp.test:8443"]) {
        yield* at(host)
      }
      for (const host of ["evilidp.test", "idp.test.evil.test", "test", "idp-test", "com", "idp.testing", "1.2.3.4"]) {
        const error = yield* Effect.flip(at(host))
        assert.isTrue(
          fieldsOf(error).every((field) => field === "jwksUrl" || field === "allowedDomains"),
          host,
        )
      }
    }),
  )

  it.effect("the host must pass the registry's list and the registration's", () =>
    Effect.gen(function* () {
      const registry = yield* openStrictRegistry([], { allowedDomains: ["idp.test"] })
      yield* register(registry, valid)
      yield* register(registry, { ...valid, allowedDomains: [] })
      yield* register(registry, { ...valid, allowedDomains: ["idp.test"] })
      yield* Effect.flip(register(registry, { ...valid, allowedDomains: ["other.test"] }))
      const other = { ...valid, jwksUrl: "https://other.test/jwks" }
      yield* Effect.flip(register(registry, other))
      yield* Effect.flip(register(registry, { ...other, allowedDomains: ["other.test"] }))
      yield* Effect.flip(register(registry, { ...other, allowedDomains: ["other.test", "idp.test"] }))
    }),
  )
})

describe("Providers of one tenant", () => {
  it.effect("never share an issuer", () =>
    Effect.gen(function* () {
      const registry = yield* openStrictRegistry([])
      const issuer = "https://idp.test"
      yield* register(registry, { ...valid, issuer })
      const error = yield* Effect.flip(register(registry, { ...valid, provider: "second", issuer }))
      assert.deepStrictEqual(fieldsOf(error), ["issuer"])
      assertSaysWhatToWrite(error)
      // Another issuer, another tenant, the same provider again, no issuer at all.
      yield* register(registry, { ...valid, provider: "third", issuer: "https://idp.test/other" })
      yield* register(registry, { ...valid, tenant: "other", issuer })
      yield* register(registry, { ...valid, issuer, maxTtl: "1 hour" })
      yield* register(registry, { ...valid, provider: "fourth" })
      yield* register(registry, { ...valid, provider: "fifth" })
      // Whoever gives the issuer up frees it.
      yield* registry.unregister("acme", "idp")
      yield* register(registry, { ...valid, provider: "second", issuer })
      yield* register(registry, { ...valid, provider: "second", issuer: "https://idp.test/moved" })
      yield* register(registry, { ...valid, issuer })
    }),
  )

  it.effect("are at most 16", () =>
    Effect.gen(function* () {
      const registry = yield* openStrictRegistry([])
      for (let i = 0; i < 16; i += 1) yield* register(registry, { ...valid, provider: `idp-${i}` })
      const error = yield* Effect.flip(register(registry, { ...valid, provider: "one-too-many" }))
      assertSaysWhatToWrite(error)
      assert.include(error.message, "16")
      assert.lengthOf(yield* registry.allStatuses, 16)
      yield* register(registry, { ...valid, provider: "idp-3", maxTtl: "1 hour" })
      yield* register(registry, { ...valid, tenant: "other" })
      yield* registry.unregister("acme", "idp-0")
      yield* register(registry, { ...valid, provider: "one-too-many" })
    }),
  )

  it.effect("are at most maxProvidersPerTenant", () =>
    Effect.gen(function* () {
      const registry = yield* openStrictRegistry([], { maxProvidersPerTenant: 1 })
      yield* register(registry, valid)
      yield* Effect.flip(register(registry, { ...valid, provider: "second" }))
    }),
  )
})

describe("Settings take effect", () => {
  it.effect.each([
    { registration: {}, cacheControl: "max-age=10", lifetime: seconds(60) },
    { registration: { minTtl: "30 seconds" }, cacheControl: "max-age=10", lifetime: seconds(30) },
    { registration: { minTtl: "5 minutes" }, cacheControl: "max-age=10", lifetime: minutes(5) },
    { registration: { maxTtl: "5 minutes" }, cacheControl: "max-age=900", lifetime: minutes(5) },
    { registration: {}, cacheControl: "max-age=9999999", lifetime: 86_400_000 },
    { registration: { maxTtl: "30 days" }, cacheControl: "max-age=9999999999", lifetime: 30 * 86_400_000 },
    { registration: {}, cacheControl: undefined, lifetime: minutes(10) },
    { registration: { defaultTtl: "20 minutes" }, cacheControl: undefined, lifetime: minutes(20) },
    { registration: { defaultTtl: "1 second" }, cacheControl: undefined, lifetime: minutes(1) },
    { registration: { defaultTtl: "2 hours", maxTtl: "1 hour" }, cacheControl: undefined, lifetime: minutes(60) },
  ] as const)("$registration with $cacheControl lives $lifetime ms", ({ cacheControl, lifetime, registration }) =>
    Effect.gen(function* () {
      const { status } = yield* setUpLoaded({ registration, provider: { response: { cacheControl } } })
      assert.strictEqual((yield* status).expiresAt, start + lifetime)
    }),
  )

  it.effect("maxResponseBytes is a limit of decoded bytes, to the byte", () =>
    Effect.gen(function* () {
      for (const [bytes, fits] of [
        [2_000, true],
        [2_001, false],
      ] as const) {
        const { resolve } = yield* setUp({
          before: (idp) => idp.faults.oversized(bytes),
          registration: { maxResponseBytes: 2_000 },
        })
        const exit = yield* Effect.exit(answerAtOnce(resolve()))
        assert.strictEqual(exit._tag, fits ? "Success" : "Failure")
      }
    }),
  )

  it.effect("the default of 1 MiB is a limit, and fits sets of 800 keys", () =>
    Effect.gen(function* () {
      const fitting = yield* setUp({ before: (idp) => idp.faults.oversized(1_048_576) })
      yield* answerAtOnce(fitting.resolve())
      const tooLarge = yield* setUp({ before: (idp) => idp.faults.oversized(1_048_577) })
      const error = yield* Effect.flip(answerAtOnce(tooLarge.resolve()))
      assert.strictEqual(error._tag, "JwksUnavailable")
      if (error._tag === "JwksUnavailable") {
        assert.deepInclude(error.reason, { _tag: "BodyTooLarge", limitBytes: 1_048_576 })
      }
    }),
  )

  it.effect("an absent field takes the registry's defaults, a given one counts even when it equals a default", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const idp = yield* ScriptedProvider.make({ response: { cacheControl: undefined } })
      const registry = yield* openRegistry([idp], {
        defaults: {
          staleWhileError: "10 minutes",
          defaultTtl: "5 minutes",
          retryPolicy: { maxRetries: 0, attemptTimeout: "1 second" },
        },
      })
      const timesOf = Effect.fnUntraced(function* (provider: string, more: Partial<ProviderRegistration>) {
        yield* registry.register({ tenant: "acme", provider, jwksUrl: idp.jwksUrl, prefetchJitter: 0, ...more })
        yield* settle
        const { expiresAt = 0, staleUntil = 0 } = yield* registry.providerStatus("acme", provider)
        return [expiresAt - start, staleUntil - expiresAt]
      })
      assert.deepStrictEqual(yield* timesOf("a", {}), [minutes(5), minutes(10)])
      assert.deepStrictEqual(yield* timesOf("b", { staleWhileError: "1 hour" }), [minutes(5), minutes(60)])
      assert.deepStrictEqual(yield* timesOf("c", { defaultTtl: "10 minutes" }), [minutes(10), minutes(10)])
      // Fields of retryPolicy are fields too: the rest of it still comes from the defaults.
      yield* idp.faults.hang()
      yield* registry.register({
        tenant: "acme",
        provider: "d",
        jwksUrl: idp.jwksUrl,
        retryPolicy: { jitter: "none" },
      })
      yield* settle
      yield* TestClock.adjust("1 second")
      const { failure } = yield* registry.providerStatus("acme", "d")
      assert.deepInclude(failure?.reason, { _tag: "TimedOut", limit: "attemptTimeout", afterMillis: 1_000 })
    }),
  )
})
