import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { decode, encode } from "../../src/jwk/Base64url.ts"

const byte = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const bytes = Arbitrary.map(Arbitrary.array(byte, { maxLength: 80 }), (list) => Uint8Array.from(list))

describe("decode", () => {
  it.prop("reads what encode writes, as Node does", [bytes], ([bytes]) => {
    expect(encode(bytes)).toBe(Buffer.from(bytes).toString("base64url"))
    expect(decode(encode(bytes))).toEqual(bytes)
  })

  it.prop(
    "reads the standard alphabet, padding and white space anywhere",
    [bytes, Arbitrary.schema(Schema.Literals([" ", "\t", "\r\n", "\n"]))],
    ([bytes, gap]) => {
      const standard = Buffer.from(bytes).toString("base64")
      expect(decode(standard)).toEqual(bytes)
      expect(decode(gap + standard.split("").join(gap) + gap)).toEqual(bytes)
    },
  )

  it("ignores the bits that no byte needs, so that encode clears them", () => {
    expect(decode("_x")).toEqual(Uint8Array.of(255))
    expect(decode("_w")).toEqual(Uint8Array.of(255))
    expect(encode(Uint8Array.of(255))).toBe("_w")
  })

  it.for([
    ["one digit too many", "AAAAA"],
    ["a lone digit", "A"],
    ["a character of neither alphabet", "AA.A"],
    ["a character beyond ASCII", "AAÀA"],
    ["a digit of another script", "AA\u0660A"],
    ["a no-break space", "AA\u00a0AA"],
    ["a vertical tab", "AA\vAA"],
    ["a null character", "AAAA\0"],
    ["padding in the middle", "AA==AAAA"],
    ["three padding characters", "AA==="],
  ] as const)("refuses %s", ([, text]) => {
    expect(decode(text)).toBeUndefined()
  })

  it("reads the empty text as no bytes", () => {
    expect(decode("")).toEqual(new Uint8Array())
  })
})
