import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { sha256 } from "../../src/jwk/Sha256.ts"

const expected = (text: string): string => createHash("sha256").update(text).digest("hex")
const actual = (text: string): string => Buffer.from(sha256(text)).toString("hex")

describe("sha256", () => {
  it("agrees with OpenSSL on every length over several blocks, and around its room", () => {
    for (const length of [
      ...Array.from({ length: 300 }, (_, i) => i),
      4_085,
      4_086,
      4_087,
      4_088,
      4_096,
      4_097,
      100_000,
    ]) {
      const text = Array.from({ length }, (_, i) => String.fromCharCode(33 + ((i * 7 + length) % 94))).join("")
      assert.strictEqual(actual(text), expected(text), `${length} characters`)
    }
  })

  it("takes a text in UTF-8", () => {
    for (const text of ["é", "\u2028", "𝄞", "é".repeat(3_000), "\ud800"])
      assert.strictEqual(actual(text), expected(text))
  })

  it("does not depend on what was hashed before", () => {
    const long = "a".repeat(3_000)
    assert.strictEqual(actual(long), expected(long))
    assert.strictEqual(actual("a"), expected("a"))
    assert.strictEqual(actual(""), expected(""))
  })
})
