import { assert, describe, it } from "@effect/vitest"
import { staticKeys } from "@effect-jwks/testing"
import * as Schema from "effect/Schema"
import type { ParsedJwks } from "../../src/jwk/Jwks.ts"
import { judge } from "../../src/jwk/KeyPolicy.ts"
import { storedKeys } from "../../src/jwk/StoredKeys.ts"
import { defaultSettings } from "../../src/Provider.ts"

const judged = (source: ReadonlyArray<unknown>): ParsedJwks => judge(source, defaultSettings)

/** What a set says, but for where it came from. */
const said = ({ dropped, keys }: ParsedJwks) => ({ dropped, keys })

const [key = {}] = staticKeys(1)
const text = "SECRET"

/** Entries that are no keys, with what nobody should have published. */
const entries: ReadonlyArray<unknown> = [
  text,
  [text],
  null,
  { k: text },
  { kty: [text], d: text },
  { kty: "oct", kid: "1", k: text },
  { ...key, kid: "2", d: text },
  { kty: "RSA", kid: "3", n: "AQAB", e: "AQAB", oth: [{ r: text, d: text, t: text }] },
  { ...key, kid: "4", use: "enc", D: text, jwk: { k: text } },
  { keys: [{ kty: "oct", k: text }] },
  { ...key, kid: { text }, more: text },
  { ...key, kid: "5", key_ops: { text } },
  { ...key, kid: "6", alg: [text] },
  { ...key, kid: "7", x: { text } },
  { kty: "EC", kid: "8", crv: [text] },
  { kty: "new", kid: "9", secret: text },
]

describe("what is stored of a set", () => {
  it("says of each entry what the document said, and nothing of what can never be a key", () => {
    const before = judged([key, ...entries])
    const stored = storedKeys(before)
    assert.deepStrictEqual(said(judged(stored)), said(before))
    assert.notInclude(JSON.stringify(stored), text)
    assert.deepStrictEqual(stored[0], key)
  })

  it("keeps what another policy may let pass", () => {
    const before = judge([{ ...key, note: "n" }], { ...defaultSettings, algorithms: ["RS256"] })
    assert.strictEqual(before.dropped[0]?.reason, "AlgorithmNotAllowed")
    assert.deepStrictEqual(storedKeys(before), [{ ...key, note: "n" }])
  })

  it.prop(
    "is judged as the document was, whatever that holds",
    {
      members: Schema.Array(
        Schema.Record(
          Schema.Literals([
            "kty",
            "crv",
            "kid",
            "use",
            "key_ops",
            "alg",
            "n",
            "e",
            "x",
            "y",
            "pub",
            "d",
            "k",
            "oth",
            "x5c",
          ]),
          Schema.Union([
            Schema.Literals([
              "RSA",
              "EC",
              "OKP",
              "oct",
              "P-256",
              "Ed25519",
              "sig",
              "enc",
              "ES256",
              "RS256",
              "AQAB",
              "",
            ]),
            Schema.Null,
            Schema.Int,
            Schema.Array(Schema.Literals(["verify", "sign"])),
            Schema.Struct({ t: Schema.String }),
          ]),
        ),
      ),
    },
    ({ members }) => {
      const before = judged([...members, ...members.map((more) => ({ ...key, ...more }))])
      const after = judged(storedKeys(before))
      assert.deepStrictEqual(said(after), said(before))
    },
  )
})
