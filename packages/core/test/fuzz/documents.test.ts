/**
 * JWK Sets that nobody should publish: bytes are flipped, cut, doubled and spliced, members change their
 * type or their place. Whatever comes out is refused for a reason, or every key in it is one that a second
 * engine takes too.
 *
 * Each case follows from one number, so a failure is repeated by its number. `FUZZ_RUNS` says how often
 * each property is tried.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { createPublicKey } from "node:crypto"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { calculateJwkThumbprint, type JWK } from "jose"
import { judge, parseDocument } from "../../src/jwk/KeyPolicy.ts"
import { DropReason, type ParsedJwks } from "../../src/jwk/Jwks.ts"
import { defaultSettings } from "../../src/Provider.ts"
import { sampleKeys } from "../jwk/sampleKeys.ts"
import { publishedDocuments } from "./corpusFolder.ts"

const runs = Number(process.env["FUZZ_RUNS"] ?? 1_500)

const encoder = new TextEncoder()

const made: ReadonlyArray<Uint8Array> = [
  { keys: Object.values(sampleKeys) },
  { keys: Object.values(sampleKeys).map((key, index) => ({ ...key, kid: `key-${index % 3}`, use: "sig" })) },
  { keys: [], more: { nested: [1, 2.5, -0, null, true, "\u2028"] } },
].map((document) => encoder.encode(JSON.stringify(document)))

const documents = [...made, ...publishedDocuments]
const origin =
  publishedDocuments.length > 0
    ? `made up and ${publishedDocuments.length} published`
    : "made up; no published ones are here"

// -----------------------------------------------------------------------------
// Mutations
// -----------------------------------------------------------------------------

/** Numbers from 0 to below 1 that follow from `seed` (mulberry32). */
const randomOf = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

class Chance {
  readonly #next: () => number

  constructor(seed: number) {
    this.#next = randomOf(seed)
  }

  below(limit: number): number {
    return Math.floor(this.#next() * limit)
  }

  of<A>(list: ReadonlyArray<A>, otherwise: A): A {
    return list[this.below(list.length)] ?? otherwise
  }
}

const insertions = [
  Uint8Array.of(0xef, 0xbb, 0xbf),
  Uint8Array.of(0),
  Uint8Array.of(0xff, 0xfe),
  Uint8Array.of(0xc0, 0x80),
  Uint8Array.of(0xed, 0xa0, 0x80),
  ...[
    ...[
      '"',
      "\\",
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      "null",
      "1e999",
      "-",
      "//",
      "\n",
      "\u2028",
      '"\\ud800"',
      '"__proto__":{"x":1},',
    ],
    ...[
      '"kid":1,',
      '"kty":"oct","k":"AAAA",',
      '"d":"AQ",',
      '"keys":[],',
      " ".repeat(5_000),
      "[".repeat(5_000),
      "a".repeat(5_000),
    ],
  ].map((text) => encoder.encode(text)),
]

const join = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

/** A document that one thing has happened to. */
const spoilBytes = (bytes: Uint8Array, chance: Chance): Uint8Array => {
  const at = chance.below(bytes.length + 1)
  const to = Math.min(bytes.length, at + chance.below(64))
  const head = bytes.subarray(0, at)
  switch (chance.below(8)) {
    case 0: {
      const flipped = bytes.slice()
      flipped[at] = (flipped[at] ?? 0) ^ (1 << chance.below(8))
      return flipped
    }
    case 1:
      return head
    case 2:
      return bytes.subarray(at)
    case 3:
      return join(head, bytes.subarray(to))
    case 4:
      return join(bytes.subarray(0, to), bytes.subarray(at))
    case 5:
      return join(bytes.subarray(at), head)
    case 6: {
      const other = chance.of(documents, bytes)
      return join(head, other.subarray(chance.below(other.length)))
    }
    default:
      return join(head, chance.of(insertions, new Uint8Array()), bytes.subarray(at))
  }
}

const values: ReadonlyArray<unknown> = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1.5,
    1e308,
    "",
    " ",
    "\u0000",
    "AQAB",
    "AQ==",
    "====",
    "é",
    "\ud800",
    "none",
    "HS256",
    "RS256",
  ],
  ...[
    "ES512",
    "EdDSA",
    "sig",
    "enc",
    "oct",
    "RSA",
    "EC",
    "OKP",
    "AKP",
    "P-256",
    "P-521",
    "secp256k1",
    "X25519",
    "A".repeat(2_000),
  ],
  ...[[], ["verify"], ["sign"], [[]], {}, { toString: 1 }, ["verify", 7]],
]

const memberNames = [
  ...[
    "kty",
    "kid",
    "use",
    "key_ops",
    "alg",
    "n",
    "e",
    "crv",
    "x",
    "y",
    "pub",
    "d",
    "p",
    "k",
    "priv",
    "oth",
    "x5c",
    "x5u",
  ],
  ...["__proto__", "constructor", "toString", "length", "extra", ""],
]

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The keys of a document that one thing has happened to. */
const spoilKeys = (keys: ReadonlyArray<unknown>, chance: Chance): ReadonlyArray<unknown> => {
  const at = chance.below(keys.length)
  const key = keys[at]
  const other = chance.of(keys, key)
  const put = (value: unknown) => keys.map((entry, index) => (index === at ? value : entry))
  if (!isRecord(key)) return [...keys, chance.of(values, null)]
  const name = chance.of([...memberNames, ...Object.keys(key)], "kty")
  switch (chance.below(7)) {
    case 0:
      return put(Object.fromEntries([...Object.entries(key), [name, chance.of(values, null)]]))
    case 1:
      return put(Object.fromEntries(Object.entries(key).filter(([member]) => member !== name)))
    case 2:
      return put(isRecord(other) && Object.hasOwn(other, name) ? { ...key, [name]: other[name] } : other)
    case 3:
      return put(chance.of(values, null))
    case 4:
      return [...keys, key]
    case 5: {
      const text = key[name]
      if (typeof text !== "string" || text.length === 0) return [...keys, other]
      const index = chance.below(text.length)
      return put({
        ...key,
        [name]: text.slice(0, index) + chance.of(["A", "_", "/", "=", "", "é", " "], "") + text.slice(index + 1),
      })
    }
    default:
      return put(Object.fromEntries(Object.entries(key).toReversed()))
  }
}

const keysIn = (bytes: Uint8Array): ReadonlyArray<unknown> => {
  const { keys } = JSON.parse(new TextDecoder().decode(bytes)) as { readonly keys: ReadonlyArray<unknown> }
  return keys
}

const spoiledBytes = (seed: number): Uint8Array => {
  const chance = new Chance(seed)
  let bytes = chance.of(documents, new Uint8Array())
  for (let times = 1 + chance.below(4); times > 0; times--) bytes = spoilBytes(bytes, chance)
  return bytes
}

const spoiledKeys = (seed: number): ReadonlyArray<unknown> => {
  const chance = new Chance(seed)
  let keys = keysIn(chance.of(documents, new Uint8Array()))
  for (let times = 1 + chance.below(6); times > 0; times--) keys = spoilKeys(keys, chance)
  return keys
}

const seed = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 - 1 })))

// -----------------------------------------------------------------------------
// What has to hold
// -----------------------------------------------------------------------------

const reasons: ReadonlySet<string> = new Set(DropReason.literals)

/** A kept key is public, frozen, judged alike again, and one that Node takes too. */
const assertKept = ({ dropped, keys }: ParsedJwks): void => {
  for (const { reason } of dropped) assert.isTrue(reasons.has(reason), reason)
  const again = judge(
    keys.map(({ jwk }) => jwk),
    defaultSettings,
  )
  assert.deepStrictEqual(
    again.keys.map(({ algorithms, kid, thumbprint }) => [kid, thumbprint, algorithms]),
    keys.map(({ algorithms, kid, thumbprint }) => [kid, thumbprint, algorithms]),
  )
  for (const { algorithms, jwk } of keys) {
    assert.isTrue(Object.isFrozen(jwk))
    assert.isFalse(Object.hasOwn(jwk, "__proto__"))
    assert.isAbove(algorithms.length, 0)
    for (const name of ["d", "p", "q", "dp", "dq", "qi", "k", "priv"]) assert.isFalse(Object.hasOwn(jwk, name), name)
    // ML-DSA keys of made-up bytes are kept as they are; no engine can tell.
    if (jwk.kty !== "AKP") createPublicKey({ key: { ...jwk }, format: "jwk" })
  }
}

const assertUnpolluted = (): void => {
  assert.deepStrictEqual(Object.keys(Object.prototype), [])
  assert.isUndefined(({} as Record<string, unknown>)["x"])
}

/** Fails the test if reading takes longer than a second, ten times what the worst document does. */
const inTime = <A>(read: () => A): A => {
  const begun = performance.now()
  const value = read()
  assert.isBelow(performance.now() - begun, 1_000, "milliseconds")
  return value
}

const ruleLength = 100

const copied = (keys: ReadonlyArray<unknown>): ReadonlyArray<unknown> =>
  keysIn(encoder.encode(JSON.stringify({ keys })))

describe(`Documents that are ${origin}`, () => {
  it.prop(
    "with spoiled bytes are refused for a reason, or give good keys",
    { seed },
    ({ seed }) => {
      const bytes = spoiledBytes(seed)
      const parsed = inTime(() => parseDocument(bytes, defaultSettings))
      assertUnpolluted()
      if (Result.isFailure(parsed)) {
        // A phrase of ours: nothing of the body.
        assert.isAtMost(parsed.failure.rule.length, ruleLength)
        return
      }
      assertKept(parsed.success)
      assert.isAtMost(parsed.success.keys.length + parsed.success.dropped.length, defaultSettings.maxKeys)
    },
    { arbitrary: { runs } },
  )

  it.prop(
    "with spoiled keys lose those alone",
    { seed },
    ({ seed }) => {
      const document = JSON.stringify({ keys: spoiledKeys(seed) })
      const parsed = inTime(() => parseDocument(encoder.encode(document), defaultSettings))
      assertUnpolluted()
      if (Result.isFailure(parsed)) return assert.fail(parsed.failure.rule)
      assertKept(parsed.success)
    },
    { arbitrary: { runs } },
  )

  it.prop(
    "give the same keys and the same drops in any order",
    { seed },
    ({ seed }) => {
      const keys = spoiledKeys(seed)
      const chance = new Chance(seed + 1)
      const shuffled = keys
        .map((key) => ({ key, place: chance.below(2 ** 30) }))
        .toSorted((a, b) => a.place - b.place)
        .map(({ key }) => key)
      const said = (source: ReadonlyArray<unknown>) => {
        const { dropped, keys } = judge(source, defaultSettings)
        return {
          keys: keys.map(({ algorithms, kid, thumbprint }) => JSON.stringify([kid, thumbprint, algorithms])).toSorted(),
          dropped: dropped.map(({ kid, reason }) => JSON.stringify([kid, reason])).toSorted(),
        }
      }
      // Judging freezes what it keeps, so each order gets a copy.
      assert.deepStrictEqual(said(copied(shuffled)), said(copied(keys)))
    },
    { arbitrary: { runs } },
  )

  it("have the thumbprints that jose computes", async () => {
    for (let seed = 0; seed < 100; seed++) {
      for (const { jwk, thumbprint } of judge(spoiledKeys(seed), defaultSettings).keys) {
        if (jwk.kty === "AKP") continue
        assert.strictEqual(await calculateJwkThumbprint(jwk as JWK), thumbprint)
      }
    }
  })

  it("leave no memory behind, however many are read", () => {
    const heapAfter = (count: number): number => {
      for (let seed = 0; seed < count; seed++) parseDocument(spoiledBytes(seed), defaultSettings)
      collectGarbage()
      return process.memoryUsage().heapUsed
    }
    heapAfter(500)
    const before = heapAfter(500)
    // Together they are twenty times as large.
    assert.isBelow(heapAfter(5_000) - before, 2_000_000, "bytes")
  })
})

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void
