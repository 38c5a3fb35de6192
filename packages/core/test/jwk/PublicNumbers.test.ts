import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { decode, encode } from "../../src/jwk/Base64url.ts"
import { dropReason, ed25519, ed448, keptKey, mlDsa44, p256, p521, rsa } from "./sampleKeys.ts"

/** An odd modulus of so many bits. */
const modulus = (bits: number): string => {
  const value = (1n << BigInt(bits - 1)) | 1n
  const hex = value.toString(16)
  return encode(Uint8Array.from(Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex")))
}

const integer = (value: number): string => {
  const hex = value.toString(16)
  return encode(Uint8Array.from(Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex")))
}

describe("RSA numbers", () => {
  it("have a modulus of minRsaBits to 8192 bits", () => {
    expect(dropReason({ ...rsa, n: modulus(2047) })).toBe("RsaModulusTooSmall")
    expect(dropReason({ ...rsa, n: modulus(2048) })).toBeUndefined()
    expect(dropReason({ ...rsa, n: modulus(8192) })).toBeUndefined()
    expect(dropReason({ ...rsa, n: modulus(8193) })).toBe("RsaModulusTooLarge")
  })

  it("follow minRsaBits down to 1024 and up to 4096 bits", () => {
    expect(dropReason({ ...rsa, n: modulus(1024) }, { minRsaBits: 1024 })).toBeUndefined()
    expect(dropReason({ ...rsa, n: modulus(1023) }, { minRsaBits: 1024 })).toBe("RsaModulusTooSmall")
    expect(dropReason({ ...rsa, n: modulus(4095) }, { minRsaBits: 4096 })).toBe("RsaModulusTooSmall")
    expect(dropReason({ ...rsa, n: modulus(4096) }, { minRsaBits: 4096 })).toBeUndefined()
  })

  it("count the bits of the number, not of its bytes: leading zeros add none", () => {
    const padded = encode(Uint8Array.of(0, 0, ...(decode(modulus(2040)) ?? [])))
    expect(dropReason({ ...rsa, n: padded })).toBe("RsaModulusTooSmall")
    expect(dropReason({ ...rsa, n: "AAAA" })).toBe("RsaModulusTooSmall")
    expect(dropReason({ ...rsa, n: "" })).toBe("RsaModulusTooSmall")
  })

  it("have an odd modulus", () => {
    const even = (decode(rsa.n) ?? new Uint8Array()).map((byte, i) => (i === 255 ? byte & 0xfe : byte))
    expect(dropReason({ ...rsa, n: encode(even) })).toBe("RsaModulusEven")
  })

  it.each([3, 5, 35, 65_537, 2 ** 32 - 1])("may have the exponent %d", (e) => {
    expect(dropReason({ ...rsa, e: integer(e) })).toBeUndefined()
  })

  it.each([0, 1, 2, 4, 65_536, 2 ** 32 - 2, 2 ** 32 + 1])("may not have the exponent %d", (e) => {
    expect(dropReason({ ...rsa, e: integer(e) })).toBe("RsaExponentInvalid")
  })

  it("may not have an exponent without bytes", () => {
    expect(dropReason({ ...rsa, e: "" })).toBe("RsaExponentInvalid")
  })

  it("lose their leading zeros, so that the thumbprint stays the same", () => {
    const zeros = { ...rsa, n: encode(Uint8Array.of(0, 0, ...(decode(rsa.n) ?? []))), e: "AAABAAE" }
    expect(keptKey(zeros)).toEqual(keptKey(rsa))
  })

  it("have two primes: a non-empty oth is refused, an empty one left out", () => {
    expect(dropReason({ ...rsa, oth: [{ r: "AQAB", d: "AQAB", t: "AQAB" }] })).toBe("RsaMultiPrime")
    expect(dropReason({ ...rsa, oth: {} })).toBe("RsaMultiPrime")
    expect(dropReason({ ...rsa, oth: null })).toBe("RsaMultiPrime")
    expect(keptKey({ ...rsa, oth: [] }).jwk).toEqual(rsa)
  })

  it.for([
    ["missing", undefined],
    ["null", null],
    ["a number", 65_537],
    ["a list", ["AQAB"]],
    ["text of another alphabet", "AQ.B"],
    ["one digit too many", "AQABA"],
  ])("are base64url text, not %s", ([, value]) => {
    expect(dropReason({ ...rsa, n: value })).toBe("InvalidEncoding")
    expect(dropReason({ ...rsa, e: value })).toBe("InvalidEncoding")
  })

  it.prop(
    "are spelled canonically whatever the provider's alphabet, padding and line breaks",
    [Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })))],
    ([width]) => {
      const standard = Buffer.from(rsa.n, "base64url").toString("base64")
      const lines = standard.match(new RegExp(`.{1,${width}}`, "g"))?.join("\r\n")
      expect(keptKey({ ...rsa, n: lines, e: " AQAB\n" })).toEqual(keptKey(rsa))
    },
  )
})

describe("EC numbers", () => {
  it("are a point of the curve", () => {
    expect(dropReason({ ...p256, x: p256.y, y: p256.x })).toBe("InvalidPoint")
    expect(dropReason({ ...p256, x: encode(new Uint8Array(32)), y: encode(new Uint8Array(32)) })).toBe("InvalidPoint")
  })

  it("have the curve's length: a dropped leading zero is not put back", () => {
    const shortened = encode((decode(p521.x) ?? new Uint8Array()).subarray(1))
    expect(decode(p521.x)?.at(0)).toBe(0)
    expect(dropReason({ ...p521, x: shortened })).toBe("InvalidPoint")
    expect(dropReason({ ...p256, x: "" })).toBe("InvalidPoint")
  })

  it.each([undefined, null, 1, "?"])("are base64url text, not %j", (value) => {
    expect(dropReason({ ...p256, x: value })).toBe("InvalidEncoding")
    expect(dropReason({ ...p256, y: value })).toBe("InvalidEncoding")
  })

  it("have no second spelling: trailing bits are cleared", () => {
    expect(p256.x.at(-1)).toBe("4")
    expect(keptKey({ ...p256, x: `${p256.x.slice(0, -1)}7` })).toEqual(keptKey(p256))
  })
})

describe("OKP numbers", () => {
  it.each([ed25519, ed448])("are a point of $crv", (key) => {
    expect(dropReason(key)).toBeUndefined()
    expect(dropReason({ ...key, x: encode(new Uint8Array(decode(key.x)?.length ?? 0)) })).toBe("InvalidPoint")
    expect(dropReason({ ...key, x: encode((decode(key.x) ?? new Uint8Array()).subarray(1)) })).toBe("InvalidPoint")
  })

  it.each([undefined, null, 1, "?"])("are base64url text, not %j", (value) => {
    expect(dropReason({ ...ed25519, x: value })).toBe("InvalidEncoding")
  })
})

describe("AKP numbers", () => {
  it.for([
    ["ML-DSA-44", 1312],
    ["ML-DSA-65", 1952],
    ["ML-DSA-87", 2592],
  ] as const)("of %s are %d bytes", ([alg, length]) => {
    const pub = (bytes: number) => encode(new Uint8Array(bytes).fill(1))
    expect(dropReason({ kty: "AKP", alg, pub: pub(length) })).toBeUndefined()
    expect(dropReason({ kty: "AKP", alg, pub: pub(length - 1) })).toBe("InvalidPublicKey")
    expect(dropReason({ kty: "AKP", alg, pub: pub(length + 1) })).toBe("InvalidPublicKey")
  })

  it.each([undefined, null, 1, "?"])("are base64url text, not %j", (value) => {
    expect(dropReason({ ...mlDsa44, pub: value })).toBe("InvalidEncoding")
  })
})
