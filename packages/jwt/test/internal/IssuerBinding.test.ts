/**
 * Whose token it is: decided before any look-up, and never by who happens to publish a kid.
 */
import { assert, describe, it } from "@effect/vitest"
import type { JwtInvalidReason, VerifyOptions } from "@effect-jwks/jwt"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { forge } from "../forge.ts"
import {
  aMinuteLater,
  after,
  type ProviderSetUp,
  reasonOf,
  setUp,
  setUpProviders,
  signerOf,
  startSeconds,
} from "../support.ts"

const refused = (rule: string): JwtInvalidReason => ({ _tag: "Issuer", rule })

const nobodyVouches = refused("no provider of the tenant vouches for it")
const notExpected = refused("it is not the one that is expected")
const notThisProviders = refused("it is not this provider's")

const claims = { iat: startSeconds, exp: startSeconds + 7_200 }

const nameIt = refused(
  "no provider of the tenant vouches for it: name the one that it is from with the option provider",
)

/** Two providers of one tenant that both publish a key of the kid `1`. */
const setUpTwins = Effect.fnUntraced(function* (faults: { readonly a?: boolean } = {}) {
  const keys = { keys: [{ kid: "1" }] }
  const world = yield* setUpProviders([
    { name: "a", provider: { keys }, before: (idp) => (faults.a === true ? idp.faults.status(503) : Effect.void) },
    { name: "b", provider: { keys } },
  ])
  const [a, b] = world.providers
  if (a === undefined || b === undefined) return assert.fail("there are not two providers")
  return {
    a,
    b,
    verify: (token: string, options?: VerifyOptions) => world.verify("acme", token, options),
    /** B's key under a token that says it is A's. */
    impostor: yield* forge(signerOf(b), { alg: "ES256", kid: "1" }, { iss: a.issuer, ...claims }),
  }
})

describe("two providers of one tenant publish the same kid", () => {
  it.effect("each of them verifies its own tokens, with its own key", () =>
    Effect.gen(function* () {
      const { a, b, verify } = yield* setUpTwins()
      for (const [name, idp] of [
        ["a", a],
        ["b", b],
      ] as const) {
        const verified = yield* verify(yield* idp.token(claims))
        assert.deepInclude(verified, {
          provider: name,
          issuer: idp.issuer,
          thumbprint: idp.keys.current.thumbprint,
        })
      }
    }),
  )

  it.effect("a token signed by B that claims A's iss fails while A is up", () =>
    Effect.gen(function* () {
      const { a, b, impostor, verify } = yield* setUpTwins()
      yield* verify(yield* a.token(claims))
      const asked = b.requests
      assert.deepStrictEqual(yield* reasonOf(verify(impostor)), { _tag: "Signature" })
      assert.strictEqual(b.requests, asked)
    }),
  )

  it.effect("it fails while A is down and its keys are cached", () =>
    Effect.gen(function* () {
      const { a, b, impostor, verify } = yield* setUpTwins()
      yield* verify(yield* a.token(claims))
      yield* a.faults.status(503)
      const asked = b.requests
      assert.deepStrictEqual(yield* aMinuteLater(reasonOf(verify(impostor))), { _tag: "Signature" })
      assert.strictEqual(b.requests, asked)
    }),
  )

  it.effect("it fails while A is down and its keys are stale", () =>
    Effect.gen(function* () {
      const { a, impostor, verify } = yield* setUpTwins()
      const good = yield* a.token(claims)
      yield* verify(good)
      yield* a.faults.status(503)
      yield* after(1_800)
      assert.strictEqual((yield* aMinuteLater(verify(good))).freshness, "stale")
      assert.deepStrictEqual(yield* aMinuteLater(reasonOf(verify(impostor))), { _tag: "Signature" })
    }),
  )

  it.effect("it is an outage while A is down and was never loaded, and B's keys are not tried", () =>
    Effect.gen(function* () {
      const { b, impostor, verify } = yield* setUpTwins({ a: true })
      yield* verify(yield* b.token(claims))
      const asked = b.requests
      const error = yield* aMinuteLater(Effect.flip(verify(impostor)))
      assert.deepInclude(error, { _tag: "JwksUnavailable", tenant: "acme", provider: "a" })
      assert.strictEqual(b.requests, asked)
    }),
  )

  it.effect("it fails as B's, where the caller insists on B", () =>
    Effect.gen(function* () {
      const { impostor, verify } = yield* setUpTwins()
      assert.deepStrictEqual(yield* reasonOf(verify(impostor, { provider: "b" })), notThisProviders)
    }),
  )

  it.effect("it fails with A's signature under B's iss all the same, so the order of providers plays no part", () =>
    Effect.gen(function* () {
      const { a, b, verify } = yield* setUpTwins()
      const token = yield* forge(signerOf(a), { alg: "ES256", kid: "1" }, { iss: b.issuer, ...claims })
      assert.deepStrictEqual(yield* reasonOf(verify(token)), { _tag: "Signature" })
    }),
  )
})

/** An `iss` and options, and whether they go together. */
interface Row {
  readonly row: string
  readonly iss: unknown
  readonly options?: VerifyOptions
  /** The provider that it is, or why it is none's. */
  readonly gives: string | JwtInvalidReason
}

/** What callers without types may return. */
const untyped = (value: unknown) => value as boolean

/** They write an async function. */
const promised: VerifyOptions = { issuer: (iss) => untyped(Promise.resolve(iss === "https://a.test")) }

const ofTenant: ReadonlyArray<Row> = [
  { row: "the issuer of the first", iss: "https://a.test", gives: "a" },
  { row: "the issuer of the second", iss: "https://b.test", gives: "b" },
  { row: "an issuer of nobody", iss: "https://c.test", gives: nobodyVouches },
  { row: "an issuer and a slash", iss: "https://a.test/", gives: nobodyVouches },
  { row: "an issuer in capitals", iss: "https://A.test", gives: nobodyVouches },
  { row: "an issuer and its port", iss: "https://a.test:443", gives: nobodyVouches },
  { row: "an issuer with a space", iss: " https://a.test", gives: nobodyVouches },
  { row: "an issuer over http", iss: "http://a.test", gives: nobodyVouches },
  { row: "no text", iss: "", gives: nobodyVouches },
  { row: "null", iss: null, gives: refused("it names none (RFC 7519 section 4.1.1)") },
  { row: "none", iss: undefined, gives: refused("it names none (RFC 7519 section 4.1.1)") },
  { row: "a list of both", iss: ["https://a.test"], gives: refused("it names none (RFC 7519 section 4.1.1)") },
  { row: "a name of Object's", iss: "constructor", gives: nobodyVouches },
  { row: "the one that is expected", iss: "https://a.test", options: { issuer: "https://a.test" }, gives: "a" },
  { row: "another than is expected", iss: "https://b.test", options: { issuer: "https://a.test" }, gives: notExpected },
  {
    row: "one of those that are expected",
    iss: "https://b.test",
    options: { issuer: ["https://a.test", "https://b.test"] },
    gives: "b",
  },
  {
    row: "none of those that are expected",
    iss: "https://b.test",
    options: { issuer: ["https://a.test"] },
    gives: notExpected,
  },
  { row: "any, where none is expected", iss: "https://a.test", options: { issuer: [] }, gives: notExpected },
  {
    row: "one that a function takes",
    iss: "https://a.test",
    options: { issuer: (iss) => iss.endsWith("a.test") },
    gives: "a",
  },
  {
    row: "one that a function refuses",
    iss: "https://b.test",
    options: { issuer: (iss) => iss.endsWith("a.test") },
    gives: notExpected,
  },
  {
    row: "one that a function judges by another claim",
    iss: "https://a.test",
    options: { issuer: (_, payload) => payload.sub === "ada" },
    gives: "a",
  },
  { row: "one that a function promises to judge", iss: "https://a.test", options: promised, gives: notExpected },
  {
    row: "one that is expected, and that nobody vouches for",
    iss: "https://c.test",
    options: { issuer: "https://c.test" },
    gives: nobodyVouches,
  },
  {
    row: "the issuer of the provider that is asked for",
    iss: "https://b.test",
    options: { provider: "b" },
    gives: "b",
  },
  {
    row: "another than of the provider that is asked for",
    iss: "https://a.test",
    options: { provider: "b" },
    gives: notThisProviders,
  },
  {
    row: "one of a provider that has several",
    iss: "https://c.test",
    options: { provider: "b", issuer: ["https://b.test", "https://c.test"] },
    gives: "b",
  },
  {
    row: "the provider's own, where only another is expected",
    iss: "https://b.test",
    options: { provider: "b", issuer: "https://c.test" },
    gives: notThisProviders,
  },
]

describe("a tenant with several issuers", () => {
  for (const { gives, iss, options, row } of ofTenant) {
    it.effect(`${row}: ${typeof gives === "string" ? `the provider ${gives}` : "refused"}`, () =>
      Effect.gen(function* () {
        const { providers, verify } = yield* setUpProviders([{ name: "a" }, { name: "b" }])
        const idp = providers[gives === "b" ? 1 : 0] ?? assert.fail("no such provider")
        const { alg, kid } = idp.keys.current
        const token = yield* forge(signerOf(idp), { alg, kid }, { ...claims, sub: "ada", iss })
        if (typeof gives === "string") assert.strictEqual((yield* verify("acme", token, options)).provider, gives)
        else assert.deepStrictEqual(yield* reasonOf(verify("acme", token, options)), gives)
      }),
    )
  }

  it.effect("an issuer that nobody vouches for costs no look-up", () =>
    Effect.gen(function* () {
      const { claims, forge, header, idp, reason } = yield* setUp({ registration: { warm: false } })
      assert.deepStrictEqual(
        yield* reason(yield* forge(header, { ...claims, iss: "https://evil.test" })),
        nobodyVouches,
      )
      assert.strictEqual(idp.requests, 0)
    }),
  )

  it.effect("the issuer of another tenant is nobody's", () =>
    Effect.gen(function* () {
      const { idp, registry, verifyAs } = yield* setUp()
      yield* registry.register({
        tenant: "umbrella",
        provider: "idp",
        issuer: "https://other.test",
        jwksUrl: idp.jwksUrl,
      })
      const token = yield* idp.token()
      assert.deepStrictEqual(yield* reasonOf(verifyAs("umbrella", token)), nobodyVouches)
    }),
  )

  it.effect("a tenant that is not registered has no valid token", () =>
    Effect.gen(function* () {
      const { idp, verifyAs } = yield* setUp()
      const token = yield* idp.token()
      assert.deepInclude(yield* Effect.flip(verifyAs("nobody", token)), { _tag: "NotRegistered", tenant: "nobody" })
      assert.deepInclude(yield* Effect.flip(verifyAs("acme", token, { provider: "other" })), {
        _tag: "NotRegistered",
        tenant: "acme",
        provider: "other",
      })
    }),
  )
})

/** A provider that is registered by its URL alone. */
const silentOf = (name: string): ProviderSetUp => ({ name, vouches: false })

const setUpSilent = Effect.fnUntraced(function* (another?: string) {
  const world = yield* setUpProviders([silentOf("silent"), ...(another === undefined ? [] : [{ name: another }])])
  const [first, second] = world.providers
  return { ...world, providers: { silent: first ?? assert.fail("no such provider"), loud: second } }
})

describe("a provider without issuer", () => {
  it.effect("verifies nothing on its own word", () =>
    Effect.gen(function* () {
      const { providers, verify } = yield* setUpSilent()
      const token = yield* providers.silent.token(claims)
      assert.deepStrictEqual(yield* reasonOf(verify("acme", token)), nobodyVouches)
      assert.deepStrictEqual(
        yield* reasonOf(verify("acme", token, { provider: "silent" })),
        refused("the provider was registered without issuer: register it with one, or give the option issuer"),
      )
    }),
  )

  it.effect("verifies tokens of the issuer that the caller names", () =>
    Effect.gen(function* () {
      const { providers, verify } = yield* setUpSilent()
      const token = yield* providers.silent.token(claims)
      for (const options of [{}, { provider: "silent" }]) {
        const { issuer, provider } = yield* verify("acme", token, { ...options, issuer: providers.silent.issuer })
        assert.deepStrictEqual([issuer, provider], [providers.silent.issuer, "silent"])
      }
    }),
  )

  it.effect("takes no token of a provider that has an issuer", () =>
    Effect.gen(function* () {
      const { providers, verify } = yield* setUpSilent("loud")
      const loud = providers.loud ?? assert.fail("no such provider")
      const token = yield* forge(signerOf(providers.silent), { alg: "ES256" }, { ...claims, iss: loud.issuer })
      assert.deepStrictEqual(yield* reasonOf(verify("acme", token, { issuer: loud.issuer })), { _tag: "Signature" })
    }),
  )

  it.effect("is not guessed where one of several issuers may be another provider's: also once that one has left", () =>
    Effect.gen(function* () {
      const { providers, registry, verify } = yield* setUpSilent("loud")
      const loud = providers.loud ?? assert.fail("no such provider")
      const both = [providers.silent.issuer, loud.issuer]
      const impostor = yield* forge(signerOf(providers.silent), { alg: "ES256" }, { ...claims, iss: loud.issuer })
      const own = yield* providers.silent.token(claims)
      yield* registry.unregister("acme", "loud")
      for (const issuer of [both, (iss: string) => both.includes(iss)]) {
        for (const token of [impostor, own]) {
          assert.deepStrictEqual(yield* reasonOf(verify("acme", token, { issuer })), nameIt)
        }
        yield* verify("acme", own, { issuer, provider: "silent" })
      }
      yield* verify("acme", own, { issuer: [providers.silent.issuer] })
    }),
  )

  it.effect("takes no token that waited for a provider which vouches for another issuer by then", () =>
    Effect.gen(function* () {
      const { providers, registry, verify } = yield* setUpProviders([
        { name: "loud", registration: { warm: false } },
        silentOf("silent"),
      ])
      const [loud, silent] = providers
      if (loud === undefined || silent === undefined) return assert.fail("there are not two providers")
      const token = yield* forge(signerOf(silent), { alg: "ES256" }, { ...claims, iss: loud.issuer })
      yield* loud.faults.hold
      const waiting = yield* Effect.forkChild(reasonOf(verify("acme", token, { issuer: loud.issuer })))
      yield* loud.faults.awaitHeld(1)
      yield* registry.register({
        tenant: "acme",
        provider: "loud",
        issuer: "https://moved.test",
        jwksUrl: loud.jwksUrl,
      })
      yield* loud.faults.release()
      return assert.deepStrictEqual(yield* aMinuteLater(Fiber.join(waiting)), nobodyVouches)
    }),
  )

  it.effect("is not guessed where there are two of them", () =>
    Effect.gen(function* () {
      const { providers, verify } = yield* setUpProviders([silentOf("silent"), silentOf("quiet")])
      const [first] = providers
      if (first === undefined) return assert.fail("no such provider")
      const token = yield* first.token(claims)
      assert.deepStrictEqual(yield* reasonOf(verify("acme", token, { issuer: first.issuer })), nobodyVouches)
      const named = yield* verify("acme", token, { issuer: first.issuer, provider: "silent" })
      return assert.strictEqual(named.provider, "silent")
    }),
  )
})
