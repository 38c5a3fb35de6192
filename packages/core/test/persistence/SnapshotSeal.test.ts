import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { createHmac } from "node:crypto"
import { hmacSha256 } from "../../src/jwk/Sha256.ts"
import { makeSeal, type SealSettings } from "../../src/persistence/SnapshotSeal.ts"

const acme = { tenant: "acme", provider: "idp" }
const payload = '{"tenant":"acme","keys":["é𝄞\ufffd"]}'

const keyOf = (text: string): Uint8Array => new TextEncoder().encode(text.padEnd(32, "."))
const one = keyOf("one")
const two = keyOf("two")

const seal = (settings: Partial<SealSettings>) => makeSeal({ keys: [], unsigned: false, ...settings })

const forged = Result.fail({ rule: "is not signed with a key of this registry" })
const unsigned = Result.fail({ rule: "is not signed" })
const formless = Result.fail({ rule: "has not the form of a snapshot" })

describe("a signed snapshot", () => {
  it.effect("comes back as it was", () =>
    Effect.gen(function* () {
      const { open, outlivesProcess, seal: write } = yield* seal({ keys: [one] })
      assert.isTrue(outlivesProcess)
      for (const text of [payload, "", "\n", " ", "x".repeat(100_000)]) {
        assert.deepStrictEqual(open(acme, write(acme, text)), Result.succeed(text))
      }
    }),
  )

  it.effect("has the form that is written down, with the HMAC of version, owner and payload", () =>
    Effect.gen(function* () {
      const text = (yield* seal({ keys: [one] })).seal(acme, payload)
      const tag = createHmac("sha256", one)
        .update(`effect-jwks snapshot 1\n["acme","idp"]\n${payload}`)
        .digest("base64url")
      assert.strictEqual(text, `effect-jwks/1 ${tag} ${payload}`)
    }),
  )

  it.effect("is signed with the first key and accepted with any: a rotation loses nothing", () =>
    Effect.gen(function* () {
      const before = yield* seal({ keys: [one] })
      const during = yield* seal({ keys: [two, one] })
      const after = yield* seal({ keys: [two] })
      const old = before.seal(acme, payload)
      const fresh = during.seal(acme, payload)
      assert.strictEqual(fresh, after.seal(acme, payload))
      assert.deepStrictEqual(during.open(acme, old), Result.succeed(payload))
      assert.deepStrictEqual(after.open(acme, fresh), Result.succeed(payload))
      assert.deepStrictEqual(after.open(acme, old), forged)
      assert.deepStrictEqual(before.open(acme, fresh), forged)
    }),
  )

  it.effect("is refused for any other owner", () =>
    Effect.gen(function* () {
      const { open, seal: write } = yield* seal({ keys: [one] })
      const text = write(acme, payload)
      for (const other of [
        { tenant: "evil", provider: "idp" },
        { tenant: "acme", provider: "other" },
        { tenant: "idp", provider: "acme" },
        { tenant: "ACME", provider: "idp" },
        { tenant: 'acme","idp', provider: "" },
        { tenant: "", provider: "" },
      ]) {
        assert.deepStrictEqual(open(other, text), forged, JSON.stringify(other))
      }
    }),
  )

  it.effect.prop(
    "is refused for any two owners that differ",
    { a: Schema.String, b: Schema.String, c: Schema.String, d: Schema.String },
    ({ a, b, c, d }) =>
      Effect.gen(function* () {
        const { open, seal: write } = yield* seal({ keys: [one] })
        const text = write({ tenant: a, provider: b }, payload)
        const opened = open({ tenant: c, provider: d }, text)
        assert.strictEqual(Result.isSuccess(opened), a === c && b === d)
      }),
  )

  it.effect("is refused with any single bit of it flipped, unsigned ones accepted or not", () =>
    Effect.gen(function* () {
      const { seal: write } = yield* seal({ keys: [one] })
      const text = write(acme, '{"kid":"Zz09 é"}')
      const bytes = new TextEncoder().encode(text)
      for (const settings of [
        { keys: [one, two] },
        { keys: [two, one], unsigned: true },
        { keys: [], unsigned: true },
      ]) {
        const { open } = yield* seal(settings)
        for (let bit = 0; bit < bytes.length * 8; bit++) {
          const flipped = bytes.slice()
          flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
          // As a store gives it back, and as one that knows nothing of UTF-8 does.
          for (const encoding of ["utf8", "latin1"] as const) {
            const opened = open(acme, Buffer.from(flipped).toString(encoding))
            assert.isTrue(Result.isFailure(opened), `bit ${bit}`)
          }
        }
      }
    }),
  )

  it.effect("is refused with any single bit of any character flipped", () =>
    Effect.gen(function* () {
      const { open, seal: write } = yield* seal({ keys: [one] })
      const text = write(acme, '"é𝄞\ufffd"')
      for (let at = 0; at < text.length; at++) {
        for (let bit = 0; bit < 16; bit++) {
          const flipped = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit))
          const opened = open(acme, text.slice(0, at) + flipped + text.slice(at + 1))
          assert.isTrue(Result.isFailure(opened), `character ${at}, bit ${bit}`)
        }
      }
    }),
  )

  it.effect("is refused with half a surrogate pair in the place of U+FFFD, which are the same in UTF-8", () =>
    Effect.gen(function* () {
      const { open, seal: write } = yield* seal({ keys: [one] })
      const text = write(acme, '{"kid":"\ufffd"}')
      for (const half of ["\ud800", "\udbff", "\udc00", "\udfff"]) {
        assert.deepStrictEqual(open(acme, text.replace("\ufffd", half)), forged)
      }
    }),
  )

  it.effect("is refused with anything cut off or added", () =>
    Effect.gen(function* () {
      const { open, seal: write } = yield* seal({ keys: [one], unsigned: true })
      const text = write(acme, payload)
      for (let length = 0; length < text.length; length++) {
        assert.isTrue(Result.isFailure(open(acme, text.slice(0, length))), `the first ${length}`)
        if (length > 0) assert.isTrue(Result.isFailure(open(acme, text.slice(length))), `without ${length}`)
      }
      for (const more of [`${text} `, `${text}\n`, ` ${text}`, `${text}\0`, text + text]) {
        assert.isTrue(Result.isFailure(open(acme, more)))
      }
    }),
  )

  it.effect.prop(
    "is refused with a piece of it exchanged for any other",
    {
      at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200 })),
      length: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200 })),
      other: Schema.String,
    },
    ({ at, length, other }) =>
      Effect.gen(function* () {
        const { open, seal: write } = yield* seal({ keys: [one] })
        const text = write(acme, payload)
        const changed = text.slice(0, at) + other + text.slice(at + length)
        assert.strictEqual(Result.isSuccess(open(acme, changed)), changed === text)
      }),
    { arbitrary: { runs: 300 } },
  )
})

describe("the form", () => {
  it.effect("is looked at before the signature", () =>
    Effect.gen(function* () {
      const { open, seal: write } = yield* seal({ keys: [one] })
      const text = write(acme, payload)
      for (const other of [
        "",
        payload,
        "effect-jwks/1",
        "effect-jwks/1 ",
        "effect-jwks/1  x",
        "effect-jwks/1 abc {}",
      ]) {
        assert.deepStrictEqual(open(acme, other), formless, other)
      }
      for (const version of ["0", "2", "01", "999999"]) {
        assert.deepStrictEqual(
          open(acme, text.replace("/1 ", `/${version} `)),
          Result.fail({ rule: `is of version ${version}, and only 1 is known` }),
        )
      }
      assert.deepStrictEqual(open(acme, text.replace("/1 ", "/1234567 ")), formless)
    }),
  )
})

describe("without a key", () => {
  it.effect("a random one signs, which two registries of a process share", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* seal({}), yield* seal({})]
      assert.isFalse(first.outlivesProcess)
      const text = first.seal(acme, payload)
      assert.deepStrictEqual(second.open(acme, text), Result.succeed(payload))
      assert.strictEqual(second.seal(acme, payload), text)
      assert.deepStrictEqual((yield* seal({ keys: [one] })).open(acme, text), forged)
      assert.deepStrictEqual(first.open(acme, (yield* seal({ keys: [one] })).seal(acme, payload)), forged)
      assert.deepStrictEqual(first.open(acme, `effect-jwks/1 - ${payload}`), unsigned)
      // An empty key or one of zeros is not it.
      for (const key of [new Uint8Array(0), new Uint8Array(32)]) {
        const tag = createHmac("sha256", key).update(`effect-jwks snapshot 1\n["acme","idp"]\n${payload}`)
        assert.deepStrictEqual(first.open(acme, `effect-jwks/1 ${tag.digest("base64url")} ${payload}`), forged)
      }
    }),
  )
})

describe("unsigned snapshots", () => {
  const plain = `effect-jwks/1 - ${payload}`

  it.effect("are refused unless they are allowed", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* seal({ keys: [one] })).open(acme, plain), unsigned)
      assert.deepStrictEqual((yield* seal({})).open(acme, plain), unsigned)
    }),
  )

  it.effect("alone: are written and accepted, and signed ones refused", () =>
    Effect.gen(function* () {
      const { open, outlivesProcess, seal: write } = yield* seal({ unsigned: true })
      assert.isTrue(outlivesProcess)
      assert.strictEqual(write(acme, payload), plain)
      assert.deepStrictEqual(open(acme, plain), Result.succeed(payload))
      assert.deepStrictEqual(open(acme, (yield* seal({ keys: [one] })).seal(acme, payload)), forged)
    }),
  )

  it.effect("beside a key: are accepted, and signed ones written; a bad signature is no missing one", () =>
    Effect.gen(function* () {
      const both = yield* seal({ keys: [one], unsigned: true })
      assert.deepStrictEqual(both.open(acme, plain), Result.succeed(payload))
      const text = both.seal(acme, payload)
      assert.match(text, /^effect-jwks\/1 [\w-]{43} /)
      assert.deepStrictEqual((yield* seal({ keys: [one] })).open(acme, text), Result.succeed(payload))
      assert.deepStrictEqual(both.open(acme, (yield* seal({ keys: [two] })).seal(acme, payload)), forged)
    }),
  )
})

describe("hmacSha256", () => {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
  const fill = (byte: number, length: number) => new Uint8Array(length).fill(byte)
  const ascii = (text: string) => new TextEncoder().encode(text)

  it("gives what RFC 4231 section 4 says of texts", () => {
    const cases: ReadonlyArray<readonly [Uint8Array, string, string]> = [
      [fill(0x0b, 20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
      [
        ascii("Jefe"),
        "what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      ],
      [
        fill(0xaa, 131),
        "Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      ],
      [
        fill(0xaa, 131),
        "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
      ],
    ]
    for (const [key, data, tag] of cases) assert.strictEqual(hex(hmacSha256(key)(data)), tag)
  })

  it("agrees with OpenSSL on keys and texts of every length around a block, and on long ones", () => {
    const bytes = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255)
    for (const keyLength of [0, 1, 31, 32, 63, 64, 65, 127, 128, 129, 5_000]) {
      for (const length of [0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 1_300, 4_020, 4_030, 4_032, 4_090, 100_000]) {
        const key = bytes(keyLength, length)
        for (const text of [String.fromCharCode(...bytes(1, keyLength)).repeat(length), "é𝄞\0".repeat(length / 3)]) {
          assert.strictEqual(hex(hmacSha256(key)(text)), createHmac("sha256", key).update(text).digest("hex"))
        }
      }
    }
  })
})
