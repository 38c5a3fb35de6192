/**
 * Which key a signature is tried on, how often a provider is asked for another, and when that is an outage.
 */
import { assert, describe, it } from "@effect/vitest"
import { isOutage, type JwtInvalidReason, retryAfterMillis } from "@effect-jwks/jwt"
import * as Effect from "effect/Effect"
import { forge, pairFor } from "../forge.ts"
import { aMinuteLater, after, letTimePass, reasonOf, setUp, type SetUp, signerOf } from "../support.ts"

const wrongSignature: JwtInvalidReason = { _tag: "Signature" }

/** A provider whose one key has the kid `1`, and that has been asked once. */
const setUpLoaded = Effect.fnUntraced(function* (how: SetUp = {}) {
  const world = yield* setUp({ ...how, provider: { keys: { keys: [{ kid: "1" }] }, ...how.provider } })
  const first = yield* world.idp.token()
  yield* world.verify(first)
  assert.strictEqual(world.idp.requests, 1)
  const other = yield* pairFor("ES256")
  return {
    ...world,
    first,
    /** A token with the right kid, and a signature of somebody else's key. */
    madeUp: yield* forge({ scheme: "ES256", privateJwk: other.privateJwk }, { alg: "ES256", kid: "1" }, world.claims),
  }
})

describe("a provider publishes a new key under an old kid", () => {
  it.effect("the first token of the new key verifies, at the price of one request", () =>
    Effect.gen(function* () {
      const { idp, verify } = yield* setUpLoaded()
      const key = yield* idp.keys.rotate({ kid: "1", keepOld: false })
      const token = yield* idp.token()
      assert.strictEqual((yield* verify(token)).thumbprint, key.thumbprint)
      assert.strictEqual(idp.requests, 2)
      yield* verify(token)
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("the tokens of the old key are refused from then on", () =>
    Effect.gen(function* () {
      const { first, idp, reason, verify } = yield* setUpLoaded()
      yield* idp.keys.rotate({ kid: "1", keepOld: false })
      yield* verify(yield* idp.token())
      assert.deepStrictEqual(yield* reason(first), wrongSignature)
    }),
  )

  it.effect("both verify while both are published", () =>
    Effect.gen(function* () {
      const { first, idp, verify } = yield* setUpLoaded()
      const key = yield* idp.keys.rotate({ kid: "1" })
      assert.strictEqual((yield* verify(yield* idp.token())).thumbprint, key.thumbprint)
      assert.notStrictEqual((yield* verify(first)).thumbprint, key.thumbprint)
      assert.strictEqual(idp.requests, 2)
    }),
  )

  it.effect("the first token verifies also where several new keys came under the old kid", () =>
    Effect.gen(function* () {
      for (const keepOld of [true, false]) {
        const { idp, reason, verify, madeUp } = yield* setUpLoaded()
        yield* idp.keys.rotate({ kid: "1", keepOld })
        const key = yield* idp.keys.rotate({ kid: "1" })
        assert.strictEqual((yield* verify(yield* idp.token())).thumbprint, key.thumbprint)
        assert.strictEqual(idp.requests, 2)
        assert.deepStrictEqual(yield* reason(madeUp), wrongSignature)
      }
    }),
  )

  it.effect("a token of a third key is refused, though there was a second", () =>
    Effect.gen(function* () {
      const { idp, madeUp, reason } = yield* setUpLoaded()
      yield* idp.keys.rotate({ kid: "1", keepOld: false })
      assert.deepStrictEqual(yield* reason(madeUp), wrongSignature)
    }),
  )
})

describe("made-up signatures", () => {
  it.effect("cost the provider no more than its budget for unknown kids: 2, and one every 30 s", () =>
    Effect.gen(function* () {
      const { idp, madeUp, reason } = yield* setUpLoaded({ registration: { negativeCacheTtl: 0 } })
      for (let i = 0; i < 50; i++) assert.deepStrictEqual(yield* reason(madeUp), wrongSignature)
      assert.strictEqual(idp.requests, 3)
      yield* after(30)
      for (let i = 0; i < 50; i++) assert.deepStrictEqual(yield* reason(madeUp), wrongSignature)
      assert.strictEqual(idp.requests, 4)
    }),
  )

  it.effect("and those with made-up kids share that budget", () =>
    Effect.gen(function* () {
      const { claims, error, idp, madeUp, reason } = yield* setUpLoaded({ registration: { negativeCacheTtl: 0 } })
      for (const kid of ["x", "y"]) {
        const unknown = yield* forge(signerOf(idp), { alg: "ES256", kid }, claims)
        assert.deepInclude(yield* error(unknown), { _tag: "KeyNotFound", confirmed: true })
      }
      assert.strictEqual(idp.requests, 3)
      assert.deepStrictEqual(yield* reason(madeUp), wrongSignature)
      assert.strictEqual(idp.requests, 3)
    }),
  )

  it.effect("are made-up signatures also while the provider is down", () =>
    Effect.gen(function* () {
      const { first, idp, madeUp, reason, verify } = yield* setUpLoaded()
      yield* idp.faults.status(503)
      for (let i = 0; i < 5; i++) assert.deepStrictEqual(yield* aMinuteLater(reason(madeUp)), wrongSignature)
      yield* verify(first)
    }),
  )

  it.effect("do not take the provider's good tokens down with them", () =>
    Effect.gen(function* () {
      const { first, madeUp, verify } = yield* setUpLoaded()
      const ends = yield* Effect.all(
        Array.from({ length: 40 }, (_, i) => Effect.option(verify(i % 2 === 0 ? first : madeUp))),
        { concurrency: "unbounded" },
      )
      assert.deepStrictEqual(
        ends.map(({ _tag }) => _tag),
        Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? "Some" : "None")),
      )
    }),
  )
})

describe("keys that nothing tells apart", () => {
  /** As many keys as there are scripts for, without kid, or all under the kid `1`. */
  const setUpMany = (count: number, kid: string | undefined) =>
    setUp({
      provider: {
        keys: { keys: Array.from({ length: count }, (_, i) => ({ kid: `key-${i}`, members: { kid } })) },
      },
    })

  for (const [name, kid] of [
    ["keys without kid", undefined],
    ["keys under one kid", "1"],
  ] as const) {
    for (const count of [2, 4]) {
      it.effect(`${count} ${name}: the token of each of them verifies, and names it`, () =>
        Effect.gen(function* () {
          const { idp, registry, verify } = yield* setUpMany(count, kid)
          const thumbprints = new Set<string>()
          for (let i = 0; i < count; i++) {
            const token = yield* idp.token({}, { kid: `key-${i}`, header: { kid } })
            thumbprints.add((yield* verify(token)).thumbprint)
          }
          const { keys } = yield* registry.providerStatus("acme", "idp")
          assert.sameMembers(
            [...thumbprints],
            keys.map(({ thumbprint }) => thumbprint),
          )
          assert.strictEqual(idp.requests, 1)
        }),
      )
    }

    it.effect(`${name}: a token of none of them is refused`, () =>
      Effect.gen(function* () {
        const { claims, reason } = yield* setUpMany(4, kid)
        const { privateJwk } = yield* pairFor("ES256")
        const token = yield* forge({ scheme: "ES256", privateJwk }, { alg: "ES256", ...(kid && { kid }) }, claims)
        assert.deepStrictEqual(yield* reason(token), wrongSignature)
      }),
    )

    it.effect(`5 ${name} are too many to try`, () =>
      Effect.gen(function* () {
        const { error, idp } = yield* setUpMany(5, kid)
        const failure = yield* error(yield* idp.token({}, { kid: "key-0", header: { kid } }))
        assert.strictEqual(failure._tag, "KeyAmbiguous")
        assert.isFalse(isOutage(failure))
      }),
    )
  }

  it.effect("one key without kid verifies tokens without kid", () =>
    Effect.gen(function* () {
      const { idp, verify } = yield* setUpMany(1, undefined)
      assert.isUndefined((yield* verify(yield* idp.token({}, { header: { kid: undefined } }))).header.kid)
    }),
  )

  it.effect("keys of another algorithm are told apart by it", () =>
    Effect.gen(function* () {
      const { idp, verify } = yield* setUp({
        provider: { keys: { keys: [{ kid: "1" }, { kid: "2", alg: "EdDSA", members: { kid: "1" } }] } },
      })
      for (const kid of ["1", "2"]) {
        yield* verify(yield* idp.token({}, { kid, header: { kid: "1" } }))
      }
    }),
  )
})

describe("an outage is no verdict on a token", () => {
  it.effect("nothing cached, and the provider is down: JwksUnavailable, with the time to ask again", () =>
    Effect.gen(function* () {
      const { error, idp } = yield* setUp({ before: (idp) => idp.faults.status(503) })
      const failure = yield* aMinuteLater(error(yield* idp.token()))
      assert.strictEqual(failure._tag, "JwksUnavailable")
      assert.isTrue(isOutage(failure))
      assert.isAbove(retryAfterMillis(failure) ?? 0, 0)
    }),
  )

  it.effect("a kid that nobody knows while the provider is down: KeyNotFound that is not confirmed", () =>
    Effect.gen(function* () {
      const { claims, error, idp } = yield* setUpLoaded()
      yield* idp.faults.status(503)
      const failure = yield* aMinuteLater(error(yield* forge(signerOf(idp), { alg: "ES256", kid: "2" }, claims)))
      assert.deepInclude(failure, { _tag: "KeyNotFound", confirmed: false })
      assert.isTrue(isOutage(failure))
      assert.isAbove(retryAfterMillis(failure) ?? 0, 0)
    }),
  )

  it.effect("a kid that the provider itself does not know: KeyNotFound that is confirmed, and no outage", () =>
    Effect.gen(function* () {
      const { claims, error, idp } = yield* setUpLoaded()
      const failure = yield* error(yield* forge(signerOf(idp), { alg: "ES256", kid: "2" }, claims))
      assert.deepInclude(failure, { _tag: "KeyNotFound", confirmed: true })
      assert.isFalse(isOutage(failure))
    }),
  )

  it.effect("a key that was published for something else is no outage", () =>
    Effect.gen(function* () {
      const { error, idp } = yield* setUp({ provider: { keys: { keys: [{ members: { use: "enc" } }, {}] } } })
      const failure = yield* error(yield* idp.token())
      assert.deepInclude(failure, { _tag: "KeyNotFound", confirmed: true })
      assert.isFalse(isOutage(failure))
    }),
  )

  it.effect("what is wrong with the token itself is told all the same", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason } = yield* setUp({ before: (idp) => idp.faults.status(503) })
      const expired = yield* forge(header, { ...claims, exp: 1 })
      assert.deepStrictEqual(yield* reason(expired), { _tag: "Expired", expiredAt: 1_000 })
    }),
  )

  it.effect("stale keys verify during an outage, and say that they are stale", () =>
    Effect.gen(function* () {
      const { idp, verify } = yield* setUpLoaded()
      const token = yield* idp.token({ exp: 9_999_999_999 })
      assert.strictEqual((yield* verify(token)).freshness, "fresh")
      yield* idp.faults.status(503)
      yield* after(1_200)
      yield* letTimePass
      assert.strictEqual((yield* verify(token)).freshness, "stale")
    }),
  )

  it.effect("allowStale: false refuses them, as an outage", () =>
    Effect.gen(function* () {
      const { error, idp, verify } = yield* setUpLoaded()
      const token = yield* idp.token({ exp: 9_999_999_999 })
      yield* verify(token, { allowStale: false })
      yield* idp.faults.status(503)
      yield* after(1_200)
      yield* letTimePass
      const failure = yield* aMinuteLater(error(token, { allowStale: false }))
      assert.strictEqual(failure._tag, "JwksUnavailable")
      assert.isTrue(isOutage(failure))
      yield* verify(token)
    }),
  )

  it.effect("the provider is back: the same token verifies", () =>
    Effect.gen(function* () {
      const { error, idp, verify } = yield* setUp({ before: (idp) => idp.faults.status(503) })
      const token = yield* idp.token({ exp: 9_999_999_999 })
      assert.isTrue(isOutage(yield* aMinuteLater(error(token))))
      yield* idp.faults.heal
      yield* letTimePass
      yield* aMinuteLater(verify(token))
    }),
  )

  it.effect("a key that was removed from the document is gone for tokens too", () =>
    Effect.gen(function* () {
      const { idp, registry, verify, verifyAs } = yield* setUpLoaded()
      const token = yield* idp.token()
      yield* idp.keys.rotate({ keepOld: false })
      yield* verify(yield* idp.token())
      yield* Effect.orDie(registry.refresh("acme", "idp"))
      assert.deepInclude(yield* Effect.flip(verifyAs("acme", token)), { _tag: "KeyNotFound", confirmed: true })
    }),
  )
})

it.effect("a provider that was unregistered verifies nothing any more", () =>
  Effect.gen(function* () {
    const { first, registry, verifyAs } = yield* setUpLoaded()
    yield* registry.register({ tenant: "acme", provider: "other", issuer: "https://other.test" })
    yield* registry.unregister("acme", "idp")
    assert.deepStrictEqual(yield* reasonOf(verifyAs("acme", first)), {
      _tag: "Issuer",
      rule: "no provider of the tenant vouches for it",
    })
  }),
)
