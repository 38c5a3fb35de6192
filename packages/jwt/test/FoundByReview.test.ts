/**
 * What a review found: what may change while a token waits for its key, options that are no good or change hands, and
 * rules that no other test would have missed.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  JwtInvalid,
  type JwtInvalidReason,
  JwtVerifier,
  type JwtVerifierOptions,
  type VerifyOptions,
} from "@effect-jwks/jwt"
import { ScriptedProvider, TestRegistry } from "@effect-jwks/testing"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { TokenReader } from "../src/internal/CompactJws.ts"
import { encodePart, forge, pairFor } from "./forge.ts"
import {
  after,
  letTimePass,
  type ProviderSetUp,
  reasonOf,
  setUp,
  type SetUp,
  setUpProviders,
  signerOf,
  start,
  startSeconds,
} from "./support.ts"

const wrongSignature: JwtInvalidReason = { _tag: "Signature" }

/** Far enough ahead for every wait. */
const farAhead = 9_999_999_999

/** What callers without types may write. */
const untyped = (options: unknown) => options as VerifyOptions & JwtVerifierOptions

/** A signature of nobody's key. */
const forgeOfNobody = Effect.fnUntraced(function* (
  header: Readonly<Record<string, unknown>>,
  payload: Readonly<Record<string, unknown>>,
) {
  const { privateJwk } = yield* pairFor("ES256")
  return yield* forge({ scheme: "ES256", privateJwk }, header, payload)
})

// -----------------------------------------------------------------------------
// While a token waits
// -----------------------------------------------------------------------------

describe("while a token waits for a key, its provider is registered anew", () => {
  /** A, whose answers are held back, and B, which only another tenant uses. Both have keys under the kid `1`. */
  const setUpChange = Effect.fnUntraced(function* (how: { readonly isLoaded: boolean; readonly keysOfB?: number }) {
    const keysOfB = Array.from({ length: how.keysOfB ?? 1 }, (_, i) => ({ kid: `key-${i}`, members: { kid: "1" } }))
    const { providers, registry, verify } = yield* setUpProviders([
      { name: "a", provider: { keys: { keys: [{ kid: "1" }] } }, registration: { warm: false } },
      { name: "b", provider: { keys: { keys: keysOfB } }, registration: { tenant: "elsewhere" } },
    ])
    const [a, b] = providers
    if (a === undefined || b === undefined) return assert.fail("there are not two providers")
    if (how.isLoaded) yield* verify("acme", yield* a.token())
    yield* a.faults.hold
    /** B's key under a token that says it is A's. */
    const token = yield* forge(
      signerOf(b),
      { alg: "ES256", kid: "1" },
      { iss: a.issuer, sub: "admin", exp: startSeconds + 600 },
    )
    /** How the token ends where `change` happens while it waits for A. */
    const endsAfter = <E>(change: Effect.Effect<unknown, E>, options?: VerifyOptions) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(verify("acme", token, options))
        yield* a.faults.awaitHeld(1)
        yield* Effect.orDie(change)
        yield* a.faults.release()
        return yield* Fiber.join(fiber)
      })
    const asA = { tenant: "acme", provider: "a" }
    return { a, asA, b, endsAfter, registry }
  })

  const waits = [
    { wait: "for the first set", how: { isLoaded: false } },
    { wait: "for the first set, and then several keys fit", how: { isLoaded: false, keysOfB: 2 } },
    { wait: "for another key than the one that did not match", how: { isLoaded: true } },
    { wait: "for another key, and then several fit", how: { isLoaded: true, keysOfB: 2 } },
  ]

  for (const { how, wait } of waits) {
    it.effect(`${wait}: a token of the former issuer is not accepted by the key of the next`, () =>
      Effect.gen(function* () {
        for (const options of [{}, { provider: "a" }]) {
          const { asA, b, endsAfter, registry } = yield* setUpChange(how)
          const ends = endsAfter(registry.register({ ...asA, issuer: b.issuer, jwksUrl: b.jwksUrl }), options)
          assert.strictEqual((yield* reasonOf(ends))._tag, "Issuer")
        }
      }),
    )

    it.effect(`${wait}: a token is accepted where its issuer has moved to other keys`, () =>
      Effect.gen(function* () {
        const { a, asA, b, endsAfter, registry } = yield* setUpChange(how)
        const verified = yield* endsAfter(registry.register({ ...asA, issuer: a.issuer, jwksUrl: b.jwksUrl }))
        assert.deepInclude(verified, { provider: "a", issuer: a.issuer })
        assert.strictEqual(verified.claims.sub, "admin")
      }),
    )
  }

  it.effect("a token whose algorithm the provider does not use any more is refused for it", () =>
    Effect.gen(function* () {
      const { a, asA, b, endsAfter, registry } = yield* setUpChange({ isLoaded: false })
      yield* b.keys.add({ kid: "2", alg: "EdDSA" })
      const change = registry.register({ ...asA, issuer: a.issuer, jwksUrl: b.jwksUrl, algorithms: ["EdDSA"] })
      assert.strictEqual((yield* reasonOf(endsAfter(change)))._tag, "Algorithm")
    }),
  )

  it.effect("a token of a provider that is another's name by then does not follow the name", () =>
    Effect.gen(function* () {
      const { a, asA, b, endsAfter, registry } = yield* setUpChange({ isLoaded: false })
      const change = Effect.gen(function* () {
        yield* registry.register({ ...asA, issuer: b.issuer, jwksUrl: b.jwksUrl })
        yield* registry.register({ tenant: "acme", provider: "c", issuer: a.issuer, jwksUrl: a.jwksUrl })
      })
      const end = yield* Effect.result(endsAfter(change))
      if (Result.isSuccess(end)) assert.fail("the token was accepted")
    }),
  )
})

describe("while a token waits for keys that fit alike, and that may not be kept", () => {
  /** Two keys under the kid `1`, with the token of one, and what to do while the second request waits. */
  const setUpUnkept = Effect.fnUntraced(function* () {
    const keys = { keys: ["key-0", "key-1"].map((kid) => ({ kid, members: { kid: "1" } })) }
    const { providers, registry, verify } = yield* setUpProviders([
      {
        name: "a",
        provider: { keys, response: { cacheControl: "no-store" } },
        registration: { strictHttp: true, warm: false },
      },
      { name: "b", provider: { keys }, registration: { tenant: "elsewhere" } },
    ])
    const [a, b] = providers
    if (a === undefined || b === undefined) return assert.fail("there are not two providers")
    yield* a.faults.hold
    /** How the token ends, where `change` happens while its second request waits, if there is one. */
    const endsAfter = <E>(token: string, change: Effect.Effect<unknown, E>) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(verify("acme", token))
        yield* a.faults.awaitHeld(1)
        yield* a.faults.release(1)
        const held = yield* Effect.forkChild(a.faults.awaitHeld(1))
        yield* Effect.raceFirst(Fiber.join(held), Fiber.await(fiber))
        yield* Effect.orDie(change)
        yield* a.faults.release()
        return yield* Fiber.join(fiber)
      })
    return { a, b, endsAfter, registry }
  })

  it.effect("it is not accepted by the key of another issuer", () =>
    Effect.gen(function* () {
      const { a, b, endsAfter, registry } = yield* setUpUnkept()
      const claims = { iss: a.issuer, sub: "admin", exp: startSeconds + 600 }
      const token = yield* forge(signerOf(b), { alg: "ES256", kid: "1" }, claims)
      const change = registry.register({ tenant: "acme", provider: "a", issuer: b.issuer, jwksUrl: b.jwksUrl })
      const end = yield* Effect.result(endsAfter(token, change))
      if (Result.isSuccess(end)) assert.fail("the token was accepted")
    }),
  )

  it.effect("it is not accepted when it has expired", () =>
    Effect.gen(function* () {
      const { a, endsAfter } = yield* setUpUnkept()
      const token = yield* a.token({ exp: startSeconds + 1 }, { kid: "key-1", header: { kid: "1" } })
      const end = yield* Effect.result(endsAfter(token, TestClock.adjust("2 seconds")))
      // It may have been judged before, where no second request was needed.
      if (a.requests > 1) assert.isTrue(Result.isFailure(end))
    }),
  )
})

describe("while a token waits for a key, its time runs out", () => {
  /** A provider that holds its answers back, and the end of a verification that it lets go after 2.9 s. */
  const setUpHeld = Effect.fnUntraced(function* (isLoaded: boolean) {
    const world = yield* setUp({ provider: { keys: { keys: [{ kid: "1" }] } }, registration: { warm: false } })
    if (isLoaded) {
      yield* world.verify(yield* world.idp.token())
      yield* world.idp.keys.rotate({ kid: "1", keepOld: false })
    }
    yield* world.idp.faults.hold
    const later = Effect.fnUntraced(function* (token: string, options?: VerifyOptions) {
      const fiber = yield* Effect.forkChild(world.verify(token, options))
      yield* world.idp.faults.awaitHeld(1)
      yield* TestClock.adjust("2900 millis")
      yield* world.idp.faults.release()
      return yield* Fiber.join(fiber)
    })
    return { ...world, later }
  })

  for (const [wait, isLoaded] of [
    ["for the first set", false],
    ["for another key under its kid", true],
  ] as const) {
    it.effect(`${wait}: a token that expires meanwhile is refused`, () =>
      Effect.gen(function* () {
        const { idp, later } = yield* setUpHeld(isLoaded)
        const token = yield* idp.token({ exp: startSeconds + 1 })
        assert.deepStrictEqual(yield* reasonOf(later(token)), { _tag: "Expired", expiredAt: start + 1_000 })
      }),
    )

    it.effect(`${wait}: a token that grows too old meanwhile is refused`, () =>
      Effect.gen(function* () {
        const { idp, later } = yield* setUpHeld(isLoaded)
        const token = yield* idp.token({ iat: startSeconds })
        assert.deepStrictEqual(yield* reasonOf(later(token, { maxAge: "1 second" })), {
          _tag: "TooOld",
          issuedAt: start,
          maxAgeMillis: 1_000,
        })
      }),
    )

    it.effect(`${wait}: a token that has a moment left is accepted`, () =>
      Effect.gen(function* () {
        const { idp, later } = yield* setUpHeld(isLoaded)
        const token = yield* idp.token({ iat: startSeconds, exp: startSeconds + 3 })
        const verified = yield* later(token, { maxAge: "3 seconds" })
        assert.strictEqual(verified.thumbprint, idp.keys.current.thumbprint)
      }),
    )
  }
})

// -----------------------------------------------------------------------------
// Several keys fit
// -----------------------------------------------------------------------------

const kindsOfMany = [
  { many: "keys without kid", kid: undefined },
  { many: "keys under one kid", kid: "1" },
] as const

/** As many keys as there are scripts for, without kid, or all under one. */
const setUpMany = (count: number, kid: string | undefined, how: SetUp = {}) =>
  setUp({
    ...how,
    provider: {
      keys: { keys: Array.from({ length: count }, (_, i) => ({ kid: `key-${i}`, members: { kid } })) },
      ...how.provider,
    },
  })

for (const { kid, many } of kindsOfMany) {
  /** A token of a key that the provider knows by another name. */
  const by = (name: string) => [{ exp: farAhead }, { kid: name, header: { kid } }] as const
  const madeUp = (claims: Readonly<Record<string, unknown>>) =>
    forgeOfNobody({ alg: "ES256", ...(kid !== undefined && { kid }) }, claims)

  describe(`several ${many}`, () => {
    it.effect("are tried as they were brought, where nothing of them may be kept", () =>
      Effect.gen(function* () {
        const { claims, idp, reason, verify } = yield* setUpMany(2, kid, {
          provider: {
            keys: { keys: ["key-0", "key-1"].map((name) => ({ kid: name, members: { kid } })) },
            response: { cacheControl: "no-store" },
          },
          registration: { strictHttp: true, warm: false },
        })
        const thumbprints = new Set<string>()
        for (const name of ["key-0", "key-1"]) {
          thumbprints.add((yield* verify(yield* idp.token(...by(name)))).thumbprint)
        }
        assert.strictEqual(thumbprints.size, 2)
        assert.deepStrictEqual(yield* reason(yield* madeUp(claims)), wrongSignature)
      }),
    )

    it.effect("are told from those of other algorithms, also where nothing of them may be kept", () =>
      Effect.gen(function* () {
        const others = Array.from({ length: 5 }, (_, i) => ({
          kid: `other-${i}`,
          alg: "EdDSA" as const,
          members: { kid },
        }))
        const wanted = ["key-0", "key-1"].map((name) => ({ kid: name, members: { kid } }))
        const { idp, verify } = yield* setUp({
          provider: { keys: { keys: [...others, ...wanted] }, response: { cacheControl: "no-store" } },
          registration: { strictHttp: true, warm: false },
        })
        for (const name of ["key-0", "key-1"]) yield* verify(yield* idp.token(...by(name)))
      }),
    )

    it.effect("do not lend their algorithm to a key for another, also where nothing of them may be kept", () =>
      Effect.gen(function* () {
        const rsa = (["RS256", "RS256", "PS256"] as const).map((alg, i) => ({ kid: `key-${i}`, alg, members: { kid } }))
        const { idp, reason, verify } = yield* setUp({
          provider: { keys: { keys: rsa }, response: { cacheControl: "no-store" } },
          registration: { strictHttp: true, warm: false },
        })
        for (const name of ["key-0", "key-1", "key-2"]) yield* verify(yield* idp.token(...by(name)))
        const [claims, signing] = by("key-2")
        assert.deepStrictEqual(yield* reason(yield* idp.token(claims, { ...signing, alg: "RS256" })), wrongSignature)
      }),
    )

    for (const count of [2, 3, 4]) {
      it.effect(`${count} of them, and a newer one: its first token verifies, at the price of one request`, () =>
        Effect.gen(function* () {
          const { idp, verify } = yield* setUpMany(count, kid)
          yield* verify(yield* idp.token(...by("key-0")))
          assert.strictEqual(idp.requests, 1)
          const key = yield* idp.keys.rotate({ kid: "late", members: { kid } })
          assert.strictEqual((yield* verify(yield* idp.token(...by("late")))).thumbprint, key.thumbprint)
          assert.strictEqual(idp.requests, 2)
        }),
      )
    }

    it.effect("that were all replaced by several: each token of a new one verifies", () =>
      Effect.gen(function* () {
        const { idp, verify } = yield* setUpMany(2, kid)
        const old = yield* idp.token(...by("key-0"))
        yield* verify(old)
        yield* idp.keys.rotate({ kid: "late", members: { kid }, keepOld: false })
        const key = yield* idp.keys.rotate({ kid: "later", members: { kid } })
        assert.strictEqual((yield* verify(yield* idp.token(...by("later")))).thumbprint, key.thumbprint)
        yield* verify(yield* idp.token(...by("late")))
        assert.strictEqual(idp.requests, 2)
      }),
    )

    it.effect("cost no more for made-up signatures than the budget for unknown kids: 2, and one every 30 s", () =>
      Effect.gen(function* () {
        const { claims, idp, reason, verify } = yield* setUpMany(3, kid, { registration: { negativeCacheTtl: 0 } })
        yield* verify(yield* idp.token(...by("key-0")))
        const forged = yield* madeUp(claims)
        for (let i = 0; i < 20; i++) assert.deepStrictEqual(yield* reason(forged), wrongSignature)
        assert.strictEqual(idp.requests, 3)
        yield* idp.keys.rotate({ kid: "late", members: { kid } })
        const token = yield* idp.token(...by("late"))
        assert.deepStrictEqual(yield* reason(token), wrongSignature)
        assert.strictEqual(idp.requests, 3)
        yield* after(30)
        yield* verify(token)
        assert.strictEqual(idp.requests, 4)
      }),
    )

    it.effect("of a stale set verify during an outage, and say that they are stale", () =>
      Effect.gen(function* () {
        const { idp, verify } = yield* setUpMany(2, kid)
        for (const name of ["key-0", "key-1"]) {
          assert.strictEqual((yield* verify(yield* idp.token(...by(name)))).freshness, "fresh")
        }
        yield* idp.faults.status(503)
        yield* after(1_200)
        yield* letTimePass
        for (const name of ["key-0", "key-1"]) {
          assert.strictEqual((yield* verify(yield* idp.token(...by(name)))).freshness, "stale")
        }
      }),
    )
  })
}

describe("keys of one kid that this runtime can not use", () => {
  const algorithmOf = (alg: string): JwtInvalidReason => ({
    _tag: "Algorithm",
    alg,
    rule: "this runtime can not use the provider's key with it",
  })
  /** Another point of the curve. */
  const point = "X9dEm1m0Yf0s54fsYWrUah2hNCSFpw4fig6nXYDpZ3jt8SR2m0bHBhvWeD3x5Q9s0foavq_oJWGA"

  /** One key that can not be used and one that can, under one kid, in either order. */
  const bothCurves = Effect.gen(function* () {
    const [big, small] = [yield* pairFor("Ed448"), yield* pairFor("Ed25519")]
    const keys = [big, small].map(({ publicJwk }) => ({ ...publicJwk, kid: "1" }))
    return { big, small, orders: [keys, keys.toReversed()] }
  })

  it.effect("are no wrong signatures, and nobody is asked for others", () =>
    Effect.gen(function* () {
      const { privateJwk, publicJwk } = yield* pairFor("Ed448")
      const keys = [publicJwk, { ...publicJwk, x: point }].map((key) => ({ ...key, kid: "1" }))
      const { claims, idp, reason } = yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys }) })
      const token = yield* forge({ scheme: "Ed448", privateJwk }, { alg: "Ed448", kid: "1" }, claims)
      assert.deepStrictEqual(yield* reason(token), algorithmOf("Ed448"))
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("do not hide the one that the caller expects, wherever it stands", () =>
    Effect.gen(function* () {
      const { orders, small } = yield* bothCurves
      for (const published of orders) {
        const { claims, verify } = yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys: published }) })
        const token = yield* forge(
          { scheme: "Ed25519", privateJwk: small.privateJwk },
          { alg: "EdDSA", kid: "1" },
          claims,
        )
        yield* verify(token, { algorithms: ["Ed25519"] })
      }
    }),
  )

  it.effect("leave the word to the one that can be used, wherever it stands", () =>
    Effect.gen(function* () {
      const { big, orders } = yield* bothCurves
      for (const published of orders) {
        const { claims, reason } = yield* setUp({ before: (idp) => idp.keys.publishRaw({ keys: published }) })
        const token = yield* forge({ scheme: "Ed448", privateJwk: big.privateJwk }, { alg: "EdDSA", kid: "1" }, claims)
        assert.deepStrictEqual(yield* reason(token), wrongSignature)
      }
    }),
  )
})

describe("the second look for a key", () => {
  /** Answers the first request well and later ones with 503, and gives how the verification of `token` ends. */
  const downAfterTheFirst = Effect.fnUntraced(function* (cacheControl: string, options: VerifyOptions) {
    const { claims, idp, verifyAs } = yield* setUp({
      provider: { keys: { keys: [{ kid: "1" }] }, response: { cacheControl } },
      registration: { strictHttp: true, warm: false },
    })
    const token = yield* forgeOfNobody({ alg: "ES256", kid: "1" }, claims)
    yield* idp.faults.hold
    const fiber = yield* Effect.forkChild(Effect.flip(verifyAs("acme", token, options)))
    yield* idp.faults.awaitHeld(1)
    yield* idp.faults.status(503)
    const { met } = idp.faults
    yield* idp.faults.release()
    // The signature takes its time, and only what comes after it is to be waited out.
    yield* idp.faults.awaitMet(met + 1)
    yield* letTimePass
    return yield* Effect.orDie(Fiber.join(fiber))
  })

  it.effect("is an outage where nothing is held and the provider can not be asked", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* downAfterTheFirst("no-store", {}))._tag, "JwksUnavailable")
    }),
  )

  it.effect("is not answered from a stale set, where the caller takes none", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* downAfterTheFirst("max-age=0", { allowStale: false }))._tag, "JwksUnavailable")
    }),
  )
})

// -----------------------------------------------------------------------------
// Options
// -----------------------------------------------------------------------------

describe("options that change hands", () => {
  it.effect("a duration is read as it is at each verification", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason, verify } = yield* setUp()
      const expired = yield* forge(header, { ...claims, exp: startSeconds - 400 })
      const clockTolerance = { seconds: 500 }
      yield* verify(expired, { clockTolerance })
      clockTolerance.seconds = 0
      assert.strictEqual((yield* reason(expired, { clockTolerance }))._tag, "Expired")
      clockTolerance.seconds = 500
      yield* verify(expired, { clockTolerance })
    }),
  )

  it.effect("a pair of seconds and nanoseconds, too, and the age of a token", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason, verify } = yield* setUp()
      const old = yield* forge(header, { ...claims, iat: startSeconds - 400 })
      const pair: [number, number] = [500, 0]
      const parts = { minutes: 8 }
      for (const maxAge of [pair, parts]) yield* verify(old, { maxAge })
      pair[0] = 5
      parts.minutes = 1
      for (const maxAge of [pair, parts]) assert.strictEqual((yield* reason(old, { maxAge }))._tag, "TooOld")
    }),
  )

  it.effect("a list that is changed after its verification changes nothing for others who give the same", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason, verify } = yield* setUp()
      const right = yield* forge(header, { ...claims, sub: "ada", aud: "orders" })
      const audience = ["orders"]
      const algorithms = ["ES256" as const]
      const requiredClaims = ["sub"]
      yield* verify(right, { audience, algorithms, requiredClaims })
      audience[0] = "billing"
      algorithms.length = 0
      requiredClaims.length = 0
      // Others come between, so that nothing is remembered as the latest.
      yield* verify(right, { audience: null })
      const same = { audience: ["orders"], algorithms: ["ES256" as const], requiredClaims: ["sub"] }
      yield* verify(right, same)
      assert.strictEqual((yield* reason(yield* forge(header, { ...claims, aud: "orders" }), same))._tag, "Claims")
      const billing = yield* forge(header, { ...claims, sub: "ada", aud: "billing" })
      assert.strictEqual((yield* reason(billing, same))._tag, "Audience")
    }),
  )

  it.effect("a layer keeps the durations that it was built with", () =>
    Effect.gen(function* () {
      const clockTolerance = { seconds: 0 }
      const { claims, forge, header, reason } = yield* setUp({ verifier: { clockTolerance } })
      clockTolerance.seconds = 500
      const expired = yield* forge(header, { ...claims, exp: startSeconds - 400 })
      assert.strictEqual((yield* reason(expired))._tag, "Expired")
    }),
  )

  it.effect("a layer keeps everything else that it was built with", () =>
    Effect.gen(function* () {
      const verifier = {
        audience: ["orders"],
        typ: "JWT",
        algorithms: ["ES256" as const],
        maxAge: { minutes: 5 },
        requireExp: true,
        requiredClaims: ["sub"],
        allowStale: true,
        maxTokenLength: 2_000,
      }
      const { claims, forge, header, reason, verify } = yield* setUp({ verifier })
      verifier.audience.push("billing")
      verifier.typ = "at+jwt"
      verifier.algorithms.length = 0
      verifier.maxAge.minutes = 60
      verifier.requireExp = false
      verifier.requiredClaims.length = 0
      verifier.maxTokenLength = 300
      const typed = { ...header, typ: "JWT" }
      const right = { ...claims, sub: "ada", aud: "orders", fill: "x".repeat(300) }
      const { exp: _exp, ...endless } = right
      const { sub: _sub, ...nameless } = right
      yield* verify(yield* forge(typed, right))
      const refused: ReadonlyArray<readonly [payload: Readonly<Record<string, unknown>>, tag: string]> = [
        [{ ...right, aud: "billing" }, "Audience"],
        [{ ...right, iat: startSeconds - 400 }, "TooOld"],
        [endless, "Claims"],
        [nameless, "Claims"],
        [{ ...right, fill: "x".repeat(2_000) }, "Malformed"],
      ]
      for (const [payload, tag] of refused) {
        assert.strictEqual((yield* reason(yield* forge(typed, payload)))._tag, tag)
      }
      assert.strictEqual((yield* reason(yield* forge({ ...header, typ: "at+jwt" }, right)))._tag, "Type")
    }),
  )
})

describe("a profile and a typ", () => {
  const accessClaims = { sub: "ada", client_id: "app", aud: "orders", jti: "1" }
  const notAccess: JwtInvalidReason = { _tag: "Type", rule: "typ has to be at+jwt" }

  it.effect("the call's profile decides over the layer's typ", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason, verify } = yield* setUp({ verifier: { typ: "JWT", audience: "orders" } })
      const payload = { ...claims, ...accessClaims }
      const options = { profile: "at+jwt" } as const
      assert.deepStrictEqual(yield* reason(yield* forge({ ...header, typ: "JWT" }, payload), options), notAccess)
      yield* verify(yield* forge({ ...header, typ: "at+jwt" }, payload), options)
    }),
  )

  it.effect("the call's profile of ID tokens does, too", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason, verify } = yield* setUp({
        verifier: { typ: "at+jwt", audience: "orders" },
      })
      const payload = { ...claims, ...accessClaims }
      const options = { profile: "id_token" } as const
      yield* verify(yield* forge(header, payload), options)
      yield* verify(yield* forge({ ...header, typ: "JWT" }, payload), options)
      assert.strictEqual((yield* reason(yield* forge({ ...header, typ: "at+jwt" }, payload), options))._tag, "Type")
    }),
  )

  for (const profile of ["at+jwt", "id_token"] as const) {
    it.effect(`the call's typ decides over the layer's profile ${profile}`, () =>
      Effect.gen(function* () {
        const { claims, forge, header, reason, verify } = yield* setUp({ verifier: { profile, audience: "orders" } })
        const payload = { ...claims, ...accessClaims }
        const options = { typ: "logout+jwt" }
        yield* verify(yield* forge({ ...header, typ: "logout+jwt" }, payload), options)
        for (const typ of ["at+jwt", "JWT"]) {
          assert.deepStrictEqual(yield* reason(yield* forge({ ...header, typ }, payload), options), {
            _tag: "Type",
            rule: "typ has to be logout+jwt",
          })
        }
      }),
    )
  }

  for (const clientId of [null, 5, ["app"]]) {
    it.effect(`an access token's client_id is text, and not ${JSON.stringify(clientId)}`, () =>
      Effect.gen(function* () {
        const { claims, forge, header, reason } = yield* setUp()
        const payload = { ...claims, ...accessClaims, client_id: clientId }
        const token = yield* forge({ ...header, typ: "at+jwt" }, payload)
        const refused = yield* reason(token, { profile: "at+jwt", audience: "orders" })
        if (refused._tag !== "Claims") return assert.fail(refused._tag)
        return assert.deepStrictEqual(
          refused.issues.map(({ claim }) => claim),
          ["client_id"],
        )
      }),
    )
  }
})

/** Options that make no sense, and the field that is named. */
const wrongOptions: ReadonlyArray<readonly [options: Readonly<Record<string, unknown>>, field: string]> = [
  [{ typ: "JWT", profile: "at+jwt" }, "typ"],
  [{ typ: "JWT", profile: "id_token" }, "typ"],
  [{ issuer: null }, "issuer"],
  [{ issuer: 5 }, "issuer"],
  [{ provider: null }, "provider"],
  [{ provider: 5 }, "provider"],
  [{ claims: null }, "claims"],
  [{ toString: 5 }, "toString"],
  [{ constructor: "x" }, "constructor"],
]

describe("options that make no sense, and were taken", () => {
  for (const [options, field] of wrongOptions) {
    it.effect(`are a defect that names ${field}: ${JSON.stringify(options)}`, () =>
      Effect.gen(function* () {
        const { idp, verify } = yield* setUp()
        const token = yield* idp.token()
        // The second time, too, when they were seen before.
        for (let i = 0; i < 2; i++) {
          const exit = yield* Effect.exit(verify(token, untyped(options)))
          if (Exit.isSuccess(exit)) return assert.fail("the token was accepted")
          assert.isTrue(Cause.hasDies(exit.cause))
          assert.nestedPropertyVal(Cause.squash(exit.cause), "_tag", "InvalidRegistration")
          assert.nestedPropertyVal(Cause.squash(exit.cause), "issues[0].field", field)
        }
      }),
    )
  }

  it.effect("fail the layer where it is given a profile and a typ", () =>
    Effect.gen(function* () {
      const layer = JwtVerifier.layer({ typ: "JWT", profile: "at+jwt" }).pipe(
        Layer.provide(TestRegistry.layerNoClient()),
        Layer.provide(ScriptedProvider.layerClient()),
      )
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.deepStrictEqual(
        error.issues.map(({ field }) => field),
        ["typ"],
      )
    }),
  )

  it.effect("null is no options", () =>
    Effect.gen(function* () {
      const { idp, verify } = yield* setUp()
      assert.strictEqual((yield* verify(yield* idp.token({ sub: "ada" }), untyped(null))).claims.sub, "ada")
    }),
  )
})

it.effect("a class is a schema of claims, too", () =>
  Effect.gen(function* () {
    class Person extends Schema.Class<Person>("Person")({ sub: Schema.String }) {}
    const { idp, verifyAs } = yield* setUp()
    const { claims } = yield* verifyAs("acme", yield* idp.token({ sub: "ada" }), { claims: Person })
    assert.instanceOf(claims, Person)
  }),
)

/** Two callers of one verifier, and a token that only the first may accept. */
interface Callers {
  readonly apart: string
  readonly lax: VerifyOptions
  readonly strict: VerifyOptions
  readonly header?: Readonly<Record<string, unknown>>
  readonly claims?: Readonly<Record<string, unknown>>
  readonly refused: JwtInvalidReason["_tag"]
}

const accessToken = { typ: "at+jwt" }

const callers: ReadonlyArray<Callers> = [
  { apart: "typ", lax: { typ: "JWT" }, strict: { typ: "at+jwt" }, header: { typ: "JWT" }, refused: "Type" },
  { apart: "a typ and none", lax: {}, strict: { typ: "at+jwt" }, header: { typ: "JWT" }, refused: "Type" },
  { apart: "a profile and none", lax: {}, strict: { profile: "at+jwt" }, header: accessToken, refused: "Claims" },
  {
    apart: "maxAge",
    lax: { maxAge: "5 minutes" },
    strict: { maxAge: "1 minute" },
    claims: { iat: startSeconds - 120 },
    refused: "TooOld",
  },
  {
    apart: "a maxAge and none",
    lax: {},
    strict: { maxAge: "1 minute" },
    claims: { iat: startSeconds - 120 },
    refused: "TooOld",
  },
  {
    apart: "requireExp",
    lax: { requireExp: false },
    strict: { requireExp: true },
    claims: { exp: undefined },
    refused: "Claims",
  },
  {
    apart: "requireExp false and none",
    lax: { requireExp: false },
    strict: {},
    claims: { exp: undefined },
    refused: "Claims",
  },
  {
    apart: "requiredClaims",
    lax: { requiredClaims: ["sub"] },
    strict: { requiredClaims: ["email"] },
    claims: { sub: "ada" },
    refused: "Claims",
  },
  { apart: "requiredClaims and none", lax: {}, strict: { requiredClaims: ["email"] }, refused: "Claims" },
  {
    apart: "one more of the requiredClaims",
    lax: { requiredClaims: ["sub"] },
    strict: { requiredClaims: ["sub", "email"] },
    claims: { sub: "ada" },
    refused: "Claims",
  },
  {
    apart: "no requiredClaims in a list, and one",
    lax: { requiredClaims: [] },
    strict: { requiredClaims: ["email"] },
    refused: "Claims",
  },
  {
    apart: "one less of the audiences",
    lax: { audience: ["orders", "billing"] },
    strict: { audience: ["orders"] },
    claims: { aud: "billing" },
    refused: "Audience",
  },
  {
    apart: "audiences in one text, and in two",
    lax: { audience: ["orders", "billing"] },
    strict: { audience: "orders,billing" },
    claims: { aud: "billing" },
    refused: "Audience",
  },
  { apart: "any audience and none", lax: { audience: null }, strict: {}, claims: { aud: "x" }, refused: "Audience" },
  {
    apart: "one less of the algorithms",
    lax: { algorithms: ["RS256", "ES256"] },
    strict: { algorithms: ["RS256"] },
    refused: "Algorithm",
  },
  {
    apart: "clockTolerance",
    lax: { clockTolerance: Duration.seconds(30) },
    strict: { clockTolerance: Duration.seconds(5) },
    claims: { exp: startSeconds - 10 },
    refused: "Expired",
  },
]

describe("callers of one verifier who ask for more or less are each given their own", () => {
  for (const { apart, claims: more, header: parameters, lax, refused, strict } of callers) {
    it.effect(`told apart by ${apart}`, () =>
      Effect.gen(function* () {
        for (const begin of ["lax", "strict"]) {
          const { claims, forge, header, reason, verify } = yield* setUp()
          const token = yield* forge({ ...header, ...parameters }, { ...claims, ...more })
          if (begin === "lax") yield* verify(token, lax)
          for (let i = 0; i < 2; i++) {
            assert.strictEqual((yield* reason(token, strict))._tag, refused)
            yield* verify(token, lax)
          }
        }
      }),
    )
  }

  it.effect("told apart by allowStale, during an outage", () =>
    Effect.gen(function* () {
      const { idp, verify, verifyAs } = yield* setUp()
      const token = yield* idp.token({ exp: farAhead })
      yield* verify(token)
      yield* idp.faults.status(503)
      yield* after(1_200)
      yield* letTimePass
      for (let i = 0; i < 2; i++) {
        assert.strictEqual((yield* verify(token, { allowStale: true })).freshness, "stale")
        const fiber = yield* Effect.forkChild(Effect.flip(verifyAs("acme", token, { allowStale: false })))
        yield* letTimePass
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "JwksUnavailable")
      }
    }),
  )

  it.effect("32 audiences in turn, with a tolerance that is written inline", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason, verify } = yield* setUp()
      const tokens = yield* Effect.forEach(Array.from({ length: 32 }), (_, i) =>
        forge(header, { ...claims, aud: `app-${i}`, exp: startSeconds - 3 }),
      )
      for (let round = 0; round < 3; round++) {
        for (const [i, token] of tokens.entries()) {
          const audience = `app-${i}`
          yield* verify(token, { audience, clockTolerance: Duration.seconds(5) })
          assert.strictEqual((yield* reason(token, { audience, clockTolerance: Duration.seconds(2) }))._tag, "Expired")
          const next = { audience: `app-${i + 1}`, clockTolerance: Duration.seconds(5) }
          assert.strictEqual((yield* reason(token, next))._tag, "Audience")
        }
      }
    }),
  )

  it.effect("2000 audiences in turn, every second of which the token is for", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason, verify } = yield* setUp()
      const aud = Array.from({ length: 1_000 }, (_, i) => `a${2 * i}`)
      const token = yield* forge(header, { ...claims, aud })
      for (let i = 0; i < 2_000; i += 2) {
        yield* verify(token, { audience: `a${i}` })
        assert.deepStrictEqual(yield* reason(token, { audience: `a${i + 1}` }), {
          _tag: "Audience",
          expected: [`a${i + 1}`],
        })
      }
    }),
  )
})

// -----------------------------------------------------------------------------
// What is told
// -----------------------------------------------------------------------------

/** What moves a terminal's cursor, or begins another line of a log. */
// eslint-disable-next-line no-control-regex
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

const hostile = "a\r\nGET /\u001b[31mred"

const Scores = Schema.Struct({ scores: Schema.Record(Schema.String, Schema.Number) })

describe("the message of a refusal", () => {
  const messageOf = Effect.fnUntraced(function* (scores: Readonly<Record<string, unknown>>) {
    const { claims, forge, header, verifyAs } = yield* setUp()
    const token = yield* forge(header, { ...claims, scores })
    const error = yield* Effect.flip(verifyAs("acme", token, { claims: Scores }))
    if (!(error instanceof JwtInvalid) || error.reason._tag !== "Claims") return assert.fail(error.message)
    return { message: error.message, issues: error.reason.issues }
  })

  it.effect("quotes the names that the token gives its members", () =>
    Effect.gen(function* () {
      const { issues, message } = yield* messageOf({ [hostile]: "x" })
      assert.notMatch(message, controls)
      assert.include(message, "\\r\\n")
      for (const { claim, rule } of issues) assert.notMatch(claim + rule, controls)
    }),
  )

  it.effect("cuts them", () =>
    Effect.gen(function* () {
      const { message } = yield* messageOf({ ["x".repeat(5_000)]: "x" })
      assert.isBelow(message.length, 400)
      assert.include(message, "xxx")
    }),
  )

  it.effect("leaves names alone that are harmless", () =>
    Effect.gen(function* () {
      const { issues } = yield* messageOf({ ada: "x" })
      assert.deepStrictEqual(
        issues.map(({ claim }) => claim),
        ["scores.ada"],
      )
    }),
  )

  it.effect("names 16 of them at most, and how many more there are", () =>
    Effect.gen(function* () {
      const members = Array.from({ length: 100 }, (_, i) => [`member-${i}`, "x"] as const)
      const { issues, message } = yield* messageOf(Object.fromEntries(members))
      assert.strictEqual(message.match(/member-/g)?.length, 16)
      assert.include(message, "84")
      assert.isAtMost(issues.length, 17)
      const few = yield* messageOf(Object.fromEntries(members.slice(0, 16)))
      assert.strictEqual(few.message.match(/member-/g)?.length, 16)
      assert.notInclude(few.message, "more")
    }),
  )

  it.effect("has nothing raw of what a token says of itself", () =>
    Effect.gen(function* () {
      const { claims, forge, header, verify } = yield* setUp()
      const tokens = [
        yield* forge({ ...header, alg: hostile }, claims),
        yield* forge({ ...header, kid: hostile }, claims),
        yield* forge({ ...header, typ: hostile }, claims),
        yield* forge({ ...header, cty: hostile, crit: [hostile] }, claims),
        yield* forge(header, { ...claims, iss: hostile }),
        yield* forge(header, { ...claims, aud: hostile }),
        yield* forge(header, { ...claims, [hostile]: 1, sub: { [hostile]: 1 } }),
      ]
      for (const token of tokens) {
        const { message } = yield* Effect.flip(verify(token, { typ: "JWT", audience: "orders" }))
        assert.notMatch(message, controls)
        for (const options of [{}, { audience: "orders" }, { typ: "JWT", issuer: "https://idp.test" }]) {
          const end = yield* Effect.result(verify(token, options))
          if (Result.isFailure(end)) assert.notMatch(end.failure.message, controls)
        }
      }
    }),
  )
})

// -----------------------------------------------------------------------------
// Issuers
// -----------------------------------------------------------------------------

describe("an issuer", () => {
  it.effect("that a function can not judge is refused", () =>
    Effect.gen(function* () {
      const { idp, reason } = yield* setUp()
      const token = yield* idp.token()
      const issuer = () => {
        throw new TypeError("there is no tid")
      }
      for (const options of [{ issuer }, { issuer, provider: "idp" }]) {
        assert.strictEqual((yield* reason(token, options))._tag, "Issuer")
      }
    }),
  )

  const silent: ProviderSetUp = { vouches: false }
  for (const iss of ["", "h", "https://idp.tes", "https://idp.test/", "https://idp.test/x"]) {
    it.effect(`${JSON.stringify(iss)} is not https://idp.test, whoever says what is expected`, () =>
      Effect.gen(function* () {
        const asked: ReadonlyArray<readonly [how: ProviderSetUp, options: VerifyOptions]> = [
          [silent, { issuer: "https://idp.test" }],
          [silent, { issuer: ["https://idp.test"] }],
          [silent, { provider: "idp", issuer: "https://idp.test" }],
          [silent, { provider: "idp", issuer: ["https://idp.test"] }],
          [{}, {}],
          [{}, { provider: "idp" }],
          [{}, { provider: "idp", issuer: "https://idp.test" }],
        ]
        for (const [how, options] of asked) {
          const { claims, forge, header, reason, verify } = yield* setUp(how)
          if (options.issuer !== undefined || how.vouches !== false)
            yield* verify(yield* forge(header, claims), options)
          assert.strictEqual((yield* reason(yield* forge(header, { ...claims, iss }), options))._tag, "Issuer")
        }
      }),
    )
  }
})

// -----------------------------------------------------------------------------
// Headers and claims
// -----------------------------------------------------------------------------

describe("a header that is read once for many tokens", () => {
  it.effect("can not be changed by one who was given it", () =>
    Effect.gen(function* () {
      const { claims, forge, header, verify } = yield* setUp()
      const first = yield* verify(yield* forge({ ...header, typ: "JWT" }, { ...claims, sub: "ada" }))
      assert.isTrue(Object.isFrozen(first.header))
      for (const [parameter, value] of [
        ["alg", "none"],
        ["kid", "other"],
        ["typ", "at+jwt"],
        ["more", 1],
      ]) {
        assert.isFalse(Reflect.set(first.header, String(parameter), value))
      }
      const second = yield* verify(yield* forge({ ...header, typ: "JWT" }, { ...claims, sub: "eve" }))
      assert.deepStrictEqual(second.header, { ...header, typ: "JWT" })
    }),
  )

  it.effect("is not shared where it holds what can be changed", () =>
    Effect.gen(function* () {
      for (const nested of [{ jwk: { kty: "EC" } }, { x5c: ["MIIB"] }, { deep: { deeper: { kty: "EC" } } }]) {
        const { claims, forge, header, verify } = yield* setUp()
        const token = yield* forge({ ...header, ...nested }, claims)
        const { header: given } = yield* verify(token)
        for (const value of Object.values(given)) {
          if (typeof value === "object" && value !== null) Reflect.set(value, 0, "evil")
        }
        assert.deepStrictEqual((yield* verify(token)).header, { ...header, ...nested })
      }
    }),
  )

  const headerOf = (reader: TokenReader, header: Readonly<Record<string, unknown>>) =>
    Result.getOrThrow(reader.read(`${encodePart({ alg: "ES256", ...header })}.${encodePart({ iss: "x" })}.AAAA`)).header

  it("is remembered until many others have come", () => {
    const reader = new TokenReader(100_000)
    const first = headerOf(reader, { kid: "first" })
    assert.strictEqual(headerOf(reader, { kid: "first" }), first)
    for (let i = 0; i < 10_000; i++) headerOf(reader, { kid: `other-${i}` })
    const again = headerOf(reader, { kid: "first" })
    assert.deepStrictEqual(again, first)
    assert.notStrictEqual(again, first)
  })

  it("makes room for one other, not for all", () => {
    const reader = new TokenReader(100_000)
    let before = headerOf(reader, { kid: "other-0" })
    for (let i = 1; i < 10_000; i++) {
      const header = headerOf(reader, { kid: `other-${i}` })
      assert.strictEqual(headerOf(reader, { kid: `other-${i - 1}` }), before)
      before = header
    }
  })

  it("is not remembered where it is long", () => {
    const reader = new TokenReader(100_000)
    const long = { kid: "1", fill: "x".repeat(4_000) }
    const first = headerOf(reader, long)
    assert.deepStrictEqual(headerOf(reader, long), first)
    assert.notStrictEqual(headerOf(reader, long), first)
  })
})

it.effect("crit that names b64 is malformed without b64, and costs no look-up", () =>
  Effect.gen(function* () {
    const { claims, forge, header, idp, reason, verify } = yield* setUp({ registration: { warm: false } })
    assert.deepStrictEqual(yield* reason(yield* forge({ ...header, crit: ["b64"] }, claims)), {
      _tag: "Malformed",
      rule: "its crit names what is not understood here (RFC 7515 section 4.1.11)",
    })
    assert.strictEqual(idp.requests, 0)
    yield* verify(yield* forge({ ...header, crit: ["b64"], b64: true }, claims))
  }),
)

describe("claims at the edge", () => {
  for (const aud of ["app", ["app"], ["app", "other"]]) {
    it.effect(`an ID token for ${JSON.stringify(aud)} that another party asked for is not for us`, () =>
      Effect.gen(function* () {
        const { claims, forge, header, reason, verify } = yield* setUp()
        const options = { profile: "id_token", audience: "app" } as const
        const idClaims = { ...claims, sub: "ada", aud }
        yield* verify(yield* forge(header, { ...idClaims, azp: "app" }), options)
        assert.deepStrictEqual(yield* reason(yield* forge(header, { ...idClaims, azp: "other" }), options), {
          _tag: "Audience",
          expected: ["app"],
        })
      }),
    )
  }

  it.effect("an nbf of fractions is waited for to the millisecond", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason, verify } = yield* setUp()
      const token = yield* forge(header, { ...claims, nbf: startSeconds + 60.5 })
      for (const seconds of [60, 60.499]) {
        yield* after(seconds)
        assert.deepStrictEqual(yield* reason(token), { _tag: "NotYetValid", claim: "nbf", validAt: start + 60_500 })
      }
      yield* after(60.5)
      yield* verify(token)
    }),
  )
})

// -----------------------------------------------------------------------------
// Algorithms
// -----------------------------------------------------------------------------

describe("the algorithms of the Edwards curves", () => {
  const setUpCurve = Effect.fnUntraced(function* (
    curve: "Ed25519" | "Ed448",
    registration: ProviderSetUp["registration"] = {},
  ) {
    const { privateJwk, publicJwk } = yield* pairFor(curve)
    const world = yield* setUp({
      before: (idp) => idp.keys.publishRaw({ keys: [{ ...publicJwk, kid: "1" }] }),
      registration,
    })
    return {
      ...world,
      token: (alg: string) => forge({ scheme: curve, privateJwk }, { alg, kid: "1" }, world.claims),
    }
  })
  const unusable = "this runtime can not use the provider's key with it"

  it.effect("a caller who expects Ed448 takes no EdDSA token of an Ed25519 key", () =>
    Effect.gen(function* () {
      const { reason, token } = yield* setUpCurve("Ed25519")
      for (const alg of ["EdDSA", "Ed25519"]) {
        assert.deepInclude(yield* reason(yield* token(alg), { algorithms: ["Ed448"] }), { _tag: "Algorithm", alg })
        assert.deepInclude(yield* reason(yield* token(alg), { algorithms: ["Ed448", "RS256"] }), {
          _tag: "Algorithm",
          alg,
        })
      }
    }),
  )

  it.effect(
    "a caller who expects Ed25519 takes an EdDSA token of an Ed25519 key, and so does one who expects EdDSA",
    () =>
      Effect.gen(function* () {
        const { token, verify } = yield* setUpCurve("Ed25519")
        for (const alg of ["EdDSA", "Ed25519"]) {
          for (const algorithms of [["Ed25519"], ["EdDSA"], ["Ed448", "Ed25519"], ["Ed448", "EdDSA"]] as const) {
            assert.strictEqual((yield* verify(yield* token(alg), { algorithms })).header.alg, alg)
          }
        }
      }),
  )

  it.effect("a caller who expects Ed448 is told so where the key is one, by either name", () =>
    Effect.gen(function* () {
      const { reason, token } = yield* setUpCurve("Ed448")
      for (const alg of ["EdDSA", "Ed448"]) {
        for (const algorithms of [["Ed448"], ["EdDSA"]] as const) {
          assert.deepStrictEqual(yield* reason(yield* token(alg), { algorithms }), {
            _tag: "Algorithm",
            alg,
            rule: unusable,
          })
        }
      }
    }),
  )

  it.effect("a provider that uses Ed448 does so by either name", () =>
    Effect.gen(function* () {
      for (const algorithm of ["EdDSA", "Ed448"] as const) {
        const { reason, token } = yield* setUpCurve("Ed448", { algorithms: [algorithm] })
        for (const alg of ["EdDSA", "Ed448"]) {
          assert.deepStrictEqual(yield* reason(yield* token(alg)), { _tag: "Algorithm", alg, rule: unusable })
        }
      }
    }),
  )

  it.effect("no other name is one of theirs", () =>
    Effect.gen(function* () {
      const { claims, idp, reason } = yield* setUp()
      const token = yield* forge(signerOf(idp), { alg: "ES256", kid: idp.keys.current.kid }, claims)
      for (const algorithms of [["Ed448"], ["EdDSA"], ["Ed25519"]] as const) {
        assert.deepStrictEqual(yield* reason(token, { algorithms }), {
          _tag: "Algorithm",
          alg: "ES256",
          rule: "it is not expected here",
        })
      }
    }),
  )
})

it.effect("a token of a key for an algorithm that the provider does not use is refused for its algorithm", () =>
  Effect.gen(function* () {
    const { claims, idp, reason } = yield* setUp({
      provider: { keys: { keys: [{ kid: "2" }, { kid: "1", alg: "ES384" }] } },
      registration: { algorithms: ["ES256"] },
    })
    const token = yield* forge(signerOf(idp), { alg: "ES256", kid: "1" }, claims)
    assert.deepStrictEqual(yield* reason(token), {
      _tag: "Algorithm",
      alg: "ES256",
      rule: "it does not fit the key with this kid",
    })
  }),
)
