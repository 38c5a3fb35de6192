import { assert, describe, it } from "@effect/vitest"
import { staticKeys } from "@effect-jwks/testing"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { HeldSet } from "../../src/cache/CacheState.ts"
import { descriptionOf, heldFrom, locationOf } from "../../src/cache/HeldSnapshot.ts"
import { evaluate } from "../../src/http/Freshness.ts"
import type { Instant } from "../../src/Instant.ts"
import { isPending, usableKeys } from "../../src/jwk/JudgedLater.ts"
import { judge } from "../../src/jwk/KeyPolicy.ts"
import { decode, encode, type Snapshot } from "../../src/persistence/Snapshot.ts"
import { defaultSettings, type Provider, type ResolvedSettings } from "../../src/Provider.ts"
import type { UrlPolicy } from "../../src/security/UrlPolicy.ts"

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** When the set was fetched, by the clocks of the first process. */
const fetched: Instant = { wall: Date.UTC(2026, 10, 20), mono: 7 * day }
/** The same moment by the clocks of the second. */
const origin: Instant = { wall: fetched.wall, mono: 5_000 }

const at = (millis: number, monoMillis = millis): Instant => ({
  wall: origin.wall + millis,
  mono: origin.mono + monoMillis,
})

const policy: UrlPolicy = { requireHttps: true, allowedDomainLists: [], allowPrivateAddresses: false }

const makeProvider = (settings: Partial<ResolvedSettings> = {}, more: Partial<Provider> = {}): Provider => ({
  tenant: "acme",
  provider: "idp",
  source: { _tag: "Registered", jwksUrl: new URL("https://idp.test/jwks") },
  issuer: undefined,
  settings: { ...defaultSettings, ...settings },
  ...more,
})

const provider = makeProvider()
const headers = { "cache-control": "max-age=600" }
const keys = staticKeys(3)

/** What a fetch of that provider holds. */
const fetchedSet = (
  { settings }: Provider = provider,
  fields: Readonly<Record<string, string>> = headers,
  source: ReadonlyArray<unknown> = keys,
): HeldSet => {
  const verdict = evaluate(fields, fetched.wall, settings)
  const plus = (millis: number) => ({ wall: fetched.wall + millis, mono: fetched.mono + millis })
  return {
    jwks: judge(source, settings),
    jwksUrl: "https://idp.test/jwks",
    finalUrl: "https://idp.test/jwks",
    receivedAt: fetched,
    expiresAt: plus(verdict.lifetimeMillis),
    staleUntil: plus(verdict.lifetimeMillis + verdict.staleMillis),
    refreshAt: plus(verdict.lifetimeMillis / 2),
    fetchedInFullAt: plus(-minute),
    headers: fields,
    validators: { url: "https://idp.test/jwks", etag: '"1"' },
    removed: [],
  }
}

const textOf = (of: Provider, held: HeldSet): string =>
  Result.getOrThrow(encode(descriptionOf(of, held), held.jwks.source, 1_000_000))

const snapshotOf = (of: Provider, held: HeldSet): Snapshot => Result.getOrThrow(decode(textOf(of, held), 1_000_000))

const snapshot = snapshotOf(provider, fetchedSet())

const restore = (
  changes: Partial<Snapshot> = {},
  how: {
    readonly provider?: Provider
    readonly now?: Instant
    readonly jitter?: number
    readonly policy?: UrlPolicy
    readonly isOurs?: boolean
  } = {},
) =>
  heldFrom(
    { ...snapshot, ...changes },
    how.provider ?? provider,
    how.policy ?? policy,
    how.now ?? at(0),
    how.jitter ?? 0.5,
    how.isOurs,
  )

const held = (...given: Parameters<typeof restore>): HeldSet => Result.getOrThrow(restore(...given))

const ruleOf = (...given: Parameters<typeof restore>): string | undefined => {
  const restored = restore(...given)
  return Result.isFailure(restored) ? restored.failure.rule : undefined
}

describe("a restored set", () => {
  it("is the set that was held: its keys, headers, validators and URL, without keys in grace", () => {
    const [key = assert.fail("there are keys")] = fetchedSet().jwks.keys
    const before = {
      ...fetchedSet(),
      removed: [{ key, until: at(hour), removedAt: at(0), fetchedAt: fetched.wall, expiresAt: fetched.wall + hour }],
    }
    const after = Result.getOrThrow(heldFrom(snapshotOf(provider, before), provider, policy, at(minute), 0))
    assert.deepStrictEqual(after.jwks, before.jwks)
    assert.deepStrictEqual(after.headers, before.headers)
    assert.deepStrictEqual(after.validators, before.validators)
    assert.strictEqual(after.jwksUrl, before.jwksUrl)
    assert.isEmpty(after.removed)
  })

  it("keeps its original times, on both clocks, for as long as it is of use", () => {
    for (const later of [0, minute, 9 * minute, 10 * minute, 30 * minute, 70 * minute - 1]) {
      const { expiresAt, fetchedInFullAt, receivedAt, staleUntil } = held({}, { now: at(later) })
      assert.deepStrictEqual(receivedAt, at(0))
      assert.deepStrictEqual(fetchedInFullAt, at(-minute))
      assert.deepStrictEqual(expiresAt, at(10 * minute))
      assert.deepStrictEqual(staleUntil, at(70 * minute))
    }
  })

  it("that is fresh is revalidated in the second half of minTtl, and before it expires", () => {
    const refreshAt = (jitter: number, now: number) => held({}, { jitter, now: at(now) }).refreshAt
    assert.deepStrictEqual(refreshAt(0, minute), at(minute + 30 * second))
    assert.deepStrictEqual(refreshAt(1, minute), at(2 * minute))
    assert.deepStrictEqual(refreshAt(1, 9 * minute), at(10 * minute - 30 * second))
    assert.deepStrictEqual(refreshAt(1, 10 * minute - 1), at(10 * minute - 1))
  })

  it("that is expired is revalidated at once", () => {
    assert.deepStrictEqual(held({}, { now: at(10 * minute), jitter: 1 }).refreshAt, at(10 * minute))
    assert.deepStrictEqual(held({}, { now: at(hour), jitter: 1 }).refreshAt, at(hour))
  })

  it("of our own is the same set under the same rules, but is judged when somebody looks at its keys", () => {
    for (const later of [0, 5 * minute, 30 * minute]) {
      const [anew, ofOurs] = [held({}, { now: at(later) }), held({}, { now: at(later), isOurs: true })]
      assert.isTrue(isPending(ofOurs.jwks))
      assert.strictEqual(usableKeys(ofOurs.jwks), anew.jwks.keys.length)
      assert.isTrue(isPending(ofOurs.jwks))
      assert.deepStrictEqual({ ...ofOurs, jwks: undefined }, { ...anew, jwks: undefined })
      const { byKid, dropped, droppedAt, keys, source } = ofOurs.jwks
      assert.isFalse(isPending(ofOurs.jwks))
      assert.deepStrictEqual({ byKid, dropped, droppedAt, keys, source }, { ...anew.jwks })
    }
  })

  it("of our own is judged at once where a rule has changed since, and never lives longer for it", () => {
    const strict = { ...provider, settings: { ...provider.settings, maxTtl: 5 * minute } }
    const again = held({}, { provider: strict, isOurs: true })
    assert.isFalse(isPending(again.jwks))
    assert.deepStrictEqual(again.expiresAt, at(5 * minute))
    assert.strictEqual(
      ruleOf(
        {},
        { provider: { ...provider, settings: { ...provider.settings, algorithms: ["EdDSA"] } }, isOurs: true },
      ),
      "has no usable key",
    )
    assert.isFalse(isPending(held({ rules: "others" }, { isOurs: true }).jwks))
  })

  it("survives being stored and restored again and again, with its times", () => {
    let text = textOf(provider, fetchedSet())
    for (let i = 1; i < 60; i++) {
      const now = at(i * minute)
      const again = Result.getOrThrow(heldFrom(Result.getOrThrow(decode(text, 1_000_000)), provider, policy, now, 0.5))
      text = textOf(provider, again)
    }
    assert.strictEqual(text, textOf(provider, fetchedSet()))
  })
})

describe("a snapshot is refused", () => {
  const discovered = makeProvider(
    {},
    {
      issuer: "https://idp.test",
      source: {
        _tag: "Discovered",
        issuer: "https://idp.test",
        metadataUrl: new URL("https://idp.test/.well-known/openid-configuration"),
      },
    },
  )

  it("of another tenant or provider", () => {
    assert.strictEqual(ruleOf({ tenant: "evil" }), "is of another provider")
    assert.strictEqual(ruleOf({ provider: "other" }), "is of another provider")
  })

  it("of another issuer, or of one where there was none", () => {
    assert.strictEqual(ruleOf({ issuer: "https://evil.test" }), "is of another issuer")
    assert.strictEqual(
      ruleOf({}, { provider: makeProvider({}, { issuer: "https://idp.test" }) }),
      "is of another issuer",
    )
  })

  it("of another URL, by a single character", () => {
    for (const url of ["https://idp.test/jwks2", "https://idp.test/jwks?", "http://idp.test/jwks", ""]) {
      assert.strictEqual(ruleOf({ url }), "is of another URL", url)
    }
  })

  it("of other transport settings, each of them", () => {
    for (const settings of [
      { requireHttps: false },
      { allowedDomains: ["idp.test"] },
      { maxResponseBytes: 1_000 },
      { maxRedirects: 0 },
      { pinnedSpki: ["x"] },
    ]) {
      assert.strictEqual(
        ruleOf({}, { provider: makeProvider(settings) }),
        "is of other transport settings",
        JSON.stringify(settings),
      )
    }
    assert.strictEqual(ruleOf({ digest: "" }), "is of other transport settings")
  })

  it("of a discovered URL that today's rules forbid, or that is none; an allowed one comes back", () => {
    const found = snapshotOf(discovered, { ...fetchedSet(discovered), jwksUrl: "https://keys.idp.test/jwks" })
    const rule = (url: string, rules: Partial<UrlPolicy> = {}) => {
      const restored = heldFrom({ ...found, url }, discovered, { ...policy, ...rules }, at(0), 0)
      return Result.isFailure(restored) ? restored.failure.rule : undefined
    }
    assert.isUndefined(rule("https://keys.idp.test/jwks"))
    assert.isUndefined(rule("https://keys.idp.test/jwks", { allowedDomainLists: [["idp.test"]] }))
    const forbidden = "is of a URL that is not allowed"
    assert.strictEqual(rule("https://keys.idp.test/jwks", { allowedDomainLists: [["other.test"]] }), forbidden)
    for (const url of ["http://keys.idp.test/jwks", "https://127.0.0.1/jwks", "https://[::1]/", "nonsense", ""]) {
      assert.strictEqual(rule(url), forbidden, url)
    }
  })

  it("with more keys than are allowed, usable or not", () => {
    assert.isUndefined(ruleOf({}, { provider: makeProvider({ maxKeys: 3 }) }))
    assert.strictEqual(ruleOf({}, { provider: makeProvider({ maxKeys: 2 }) }), "has more than 2 keys")
  })

  it("from 61 s in the future, not from 59 s", () => {
    const from = (millis: number) => ({
      ...snapshot,
      fetchedAt: fetched.wall + millis,
      fetchedInFullAt: fetched.wall + millis,
    })
    assert.isUndefined(ruleOf(from(59 * second)))
    assert.isUndefined(ruleOf(from(60 * second)))
    assert.strictEqual(ruleOf(from(60 * second + 1)), "was fetched in the future")
    assert.strictEqual(ruleOf(from(61 * second)), "was fetched in the future")
    assert.strictEqual(ruleOf(from(1000 * 365 * day)), "was fetched in the future")
  })

  it("whose document was received after it was fetched", () => {
    assert.isUndefined(ruleOf({ fetchedInFullAt: fetched.wall }))
    assert.strictEqual(ruleOf({ fetchedInFullAt: fetched.wall + 1 }), "has times that contradict each other")
  })

  it("past its stale window, to the millisecond", () => {
    assert.isUndefined(ruleOf({}, { now: at(70 * minute - 1) }))
    assert.strictEqual(ruleOf({}, { now: at(70 * minute) }), "is past its stale window")
    assert.strictEqual(ruleOf({ staleUntil: fetched.wall }), "is past its stale window")
  })

  it("without a usable key under today's policy", () => {
    const rule = "has no usable key"
    assert.strictEqual(ruleOf({}, { provider: makeProvider({ algorithms: ["RS512"] }) }), rule)
    for (const document of ['{"keys":[]}', '{"keys":[null,1,"key",[],{}]}']) {
      assert.strictEqual(ruleOf({ document }), rule)
    }
  })

  it("that must not be stored", () => {
    const strict = makeProvider({ strictHttp: true })
    assert.strictEqual(
      ruleOf({ headers: { "cache-control": "no-store" } }, { provider: strict }),
      "is of a document that must not be stored",
    )
    assert.isUndefined(ruleOf({ headers: { "cache-control": "no-store" } }))
  })

  it("with numbers that no clock gives: never used longer than its lifetime, and never thrown", () => {
    const times = ["fetchedAt", "fetchedInFullAt", "expiresAt", "staleUntil"] as const
    const hostile = ["1e999", "-1e999", "-1", "0", "-0", "1e308", "-1e308", "5e-324", "9007199254740993", "1e15"]
    const written = textOf(provider, fetchedSet())
    for (const first of times) {
      for (const second of times) {
        for (const a of hostile) {
          for (const b of hostile) {
            const text = written
              .replace(new RegExp(`"${first}":[^,}]+`), `"${first}":${a}`)
              .replace(new RegExp(`"${second}":[^,}]+`), `"${second}":${b}`)
            const restored = heldFrom(Result.getOrThrow(decode(text, 1_000_000)), provider, policy, at(0), 0.5)
            if (Result.isFailure(restored)) continue
            const { expiresAt, refreshAt, staleUntil } = restored.success
            const message = `${first} ${a} ${second} ${b}`
            assert.isAtMost(expiresAt.wall, fetched.wall + 10 * minute, message)
            assert.isAtMost(staleUntil.wall, fetched.wall + 70 * minute, message)
            assert.isAtMost(expiresAt.wall, staleUntil.wall, message)
            assert.isAtMost(staleUntil.mono, at(70 * minute).mono, message)
            assert.isAtLeast(refreshAt?.mono ?? 0, at(0).mono, message)
            assert.isAtMost(refreshAt?.mono ?? 0, at(minute).mono, message)
          }
        }
      }
    }
  })

  it("of a URL, headers or validators that are no such thing: without a throw", () => {
    for (const fields of [
      { "cache-control": "\0", date: "never", age: "-1", expires: "0", vary: "*" },
      { __proto__: "x" },
    ]) {
      assert.doesNotThrow(() => restore({ headers: fields }))
    }
  })
})

describe("under stricter settings", () => {
  it("its times get shorter: maxTtl, staleWhileError, strictHttp", () => {
    const times = (settings: Partial<ResolvedSettings>) => {
      const { expiresAt, staleUntil } = held({}, { provider: makeProvider(settings) })
      return [expiresAt, staleUntil]
    }
    assert.deepStrictEqual(times({ maxTtl: 5 * minute }), [at(5 * minute), at(65 * minute)])
    assert.deepStrictEqual(times({ staleWhileError: 0 }), [at(10 * minute), at(10 * minute)])
    assert.deepStrictEqual(times({ minTtl: 20 * minute, staleWhileError: day }), [at(10 * minute), at(70 * minute)])
  })

  const millis = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
  const settings = {
    minTtl: millis(hour),
    longer: millis(day),
    defaultTtl: millis(day),
    staleWhileError: millis(day),
    strictHttp: Schema.Boolean,
  }

  it.prop(
    "and any others, with the clock set anywhere: never past a time of the snapshot, nor longer than its lifetime",
    {
      before: Schema.Struct(settings),
      after: Schema.Struct(settings),
      directive: Schema.Literals([
        "max-age=600",
        "no-cache",
        "no-store",
        "max-age=3600, stale-if-error=60",
        "",
        "must-revalidate, max-age=120",
      ]),
      step: Schema.Int.check(Schema.isBetween({ minimum: -2 * day, maximum: 2 * day })),
      near: Schema.Int.check(Schema.isBetween({ minimum: -70 * second, maximum: 90 * minute })),
      isNear: Schema.Boolean,
      jitter: Schema.Literals([0, 0.5, 0.999]),
    },
    ({ after, before, directive, isNear, jitter, near, step }) => {
      const make = ({ longer, ...given }: typeof before) => makeProvider({ ...given, maxTtl: given.minTtl + longer })
      const [first, second] = [make(before), make(after)]
      const stored = snapshotOf(first, fetchedSet(first, { "cache-control": directive }))
      const now = at(isNear ? near : step, 0)
      const restored = heldFrom(stored, second, policy, now, jitter)
      if (Result.isFailure(restored)) return
      const { expiresAt, receivedAt, refreshAt, staleUntil } = restored.success
      assert.isAtMost(expiresAt.wall, stored.expiresAt)
      assert.isAtMost(staleUntil.wall, stored.staleUntil)
      assert.strictEqual(receivedAt.wall, stored.fetchedAt)
      assert.isAtMost(expiresAt.wall, staleUntil.wall)
      assert.isAtMost(expiresAt.mono, staleUntil.mono)
      assert.isAtMost(expiresAt.mono - now.mono, stored.expiresAt - stored.fetchedAt)
      assert.isAtMost(staleUntil.mono - now.mono, stored.staleUntil - stored.fetchedAt)
      assert.isAtMost(staleUntil.mono - now.mono, staleUntil.wall - now.wall)
      if (refreshAt !== undefined) {
        assert.isAtLeast(refreshAt.mono, now.mono)
        assert.isAtMost(refreshAt.mono, now.mono + second.settings.minTtl)
      }
    },
    { arbitrary: { runs: 1_000 } },
  )
})

describe("between two runs the wall clock is set", () => {
  it("back by a day: it was fetched in the future, and is refused", () => {
    assert.strictEqual(ruleOf({}, { now: at(minute - day, minute) }), "was fetched in the future")
  })

  it("back by less than a minute: it ends after its lifetime by the monotonic clock", () => {
    const now = at(-59 * second, 0)
    const { expiresAt, receivedAt, staleUntil } = held({}, { now })
    assert.strictEqual(expiresAt.mono - now.mono, 10 * minute)
    assert.strictEqual(staleUntil.mono - now.mono, 70 * minute)
    assert.strictEqual(receivedAt.mono, now.mono)
    assert.strictEqual(staleUntil.wall, snapshot.staleUntil)
  })

  it("forward by a day: it is past its stale window", () => {
    assert.strictEqual(ruleOf({}, { now: at(day, minute) }), "is past its stale window")
  })

  it("forward by half an hour: it is expired, inside what is left of its window", () => {
    const now = at(30 * minute, 0)
    const { expiresAt, staleUntil } = held({}, { now })
    assert.isBelow(expiresAt.mono, now.mono)
    assert.strictEqual(staleUntil.mono - now.mono, 40 * minute)
  })
})

describe("the location of a restored set's issuer", () => {
  it("is the URL of the set, and the metadata are due at once", () => {
    const now = at(minute)
    assert.deepInclude(locationOf(held({}, { now }), now), {
      jwksUrl: new URL("https://idp.test/jwks"),
      receivedAt: at(0),
      dueAt: now,
      failures: 0,
    })
  })
})
