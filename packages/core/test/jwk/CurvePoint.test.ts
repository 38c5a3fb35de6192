import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as crypto from "node:crypto"
import { decode, encode } from "../../src/jwk/Base64url.ts"
import { isEdwardsPoint, isNistPoint } from "../../src/jwk/CurvePoint.ts"
import { ed25519, ed448, p256, p384, p521 } from "./sampleKeys.ts"

const bytesOf = (text: string): Uint8Array => decode(text) ?? new Uint8Array()

const littleEndian = (value: bigint, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))

const bigEndian = (value: bigint, length: number): Uint8Array => littleEndian(value, length).toReversed()

const flipped = (bytes: Uint8Array, bit: number): Uint8Array =>
  bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))

const bitBelow = (bits: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: bits - 1 })))

describe("isNistPoint", () => {
  for (const { crv, x, y } of [p256, p384, p521]) {
    if (crv !== "P-256" && crv !== "P-384" && crv !== "P-521") continue
    const [xBytes, yBytes] = [bytesOf(x), bytesOf(y)]
    const { length } = xBytes

    it(`accepts keys that Node makes on ${crv}`, () => {
      for (let i = 0; i < 20; i++) {
        const jwk = crypto.generateKeyPairSync("ec", { namedCurve: crv }).publicKey.export({ format: "jwk" })
        expect(isNistPoint(crv, bytesOf(jwk.x ?? ""), bytesOf(jwk.y ?? ""))).toBe(true)
      }
    })

    it.prop(`refuses every single flipped bit of a coordinate on ${crv}`, [bitBelow(16 * length)], ([bit]) => {
      const point = flipped(Uint8Array.of(...xBytes, ...yBytes), bit)
      expect(isNistPoint(crv, point.subarray(0, length), point.subarray(length))).toBe(false)
    })

    it(`refuses coordinates of another length on ${crv}, even with the same value`, () => {
      expect(isNistPoint(crv, Uint8Array.of(0, ...xBytes), yBytes)).toBe(false)
      expect(isNistPoint(crv, xBytes, Uint8Array.of(0, ...yBytes))).toBe(false)
      expect(isNistPoint(crv, xBytes.subarray(1), yBytes)).toBe(false)
      expect(isNistPoint(crv, new Uint8Array(), new Uint8Array())).toBe(false)
    })

    it(`refuses the origin on ${crv}`, () => {
      expect(isNistPoint(crv, new Uint8Array(length), new Uint8Array(length))).toBe(false)
    })
  }

  it("refuses a coordinate that is not reduced modulo the prime", () => {
    // The 528 bits of 66 bytes leave room for it on P-521.
    const prime = 2n ** 521n - 1n
    const value = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`)
    const [x, y] = [bytesOf(p521.x), bytesOf(p521.y)]
    expect(isNistPoint("P-521", x, y)).toBe(true)
    expect(isNistPoint("P-521", bigEndian(value(x) + prime, 66), y)).toBe(false)
    expect(isNistPoint("P-521", x, bigEndian(value(y) + prime, 66))).toBe(false)
  })

  it("refuses a point of another curve of the same length", () => {
    // The generator of secp256k1.
    const x = bigEndian(0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n, 32)
    const y = bigEndian(0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n, 32)
    expect(isNistPoint("P-256", x, y)).toBe(false)
  })
})

describe("isEdwardsPoint", () => {
  const curves = [
    { crv: "Ed25519", x: ed25519.x, prime: 2n ** 255n - 19n, bytes: 32 },
    { crv: "Ed448", x: ed448.x, prime: 2n ** 448n - 2n ** 224n - 1n, bytes: 57 },
  ] as const

  /** RFC 8032 sections 5.1.3 and 5.2.3, by Euler's criterion and with a modular inverse. */
  const decompresses = (crv: "Ed25519" | "Ed448", encoded: Uint8Array): boolean => {
    const prime = crv === "Ed25519" ? 2n ** 255n - 19n : 2n ** 448n - 2n ** 224n - 1n
    const bits = BigInt(8 * encoded.length - 1)
    const y = BigInt.asUintN(Number(bits), BigInt(`0x${Buffer.from(encoded.toReversed()).toString("hex")}`))
    const power = (base: bigint, exponent: bigint): bigint => {
      let result = 1n
      let square = ((base % prime) + prime) % prime
      for (let rest = exponent; rest > 0n; rest >>= 1n) {
        if (rest & 1n) result = (result * square) % prime
        square = (square * square) % prime
      }
      return result
    }
    const inverse = (value: bigint) => power(value, prime - 2n)
    const xSquared =
      crv === "Ed25519"
        ? (y * y - 1n) * inverse(-121665n * inverse(121666n) * y * y + 1n)
        : (y * y - 1n) * inverse(-39081n * y * y - 1n)
    return y < prime && power(xSquared, (prime - 1n) / 2n) <= 1n
  }

  for (const { bytes, crv, prime, x } of curves) {
    const key = bytesOf(x)

    it(`accepts keys that Node makes on ${crv}, with either sign of x`, () => {
      for (let i = 0; i < 20; i++) {
        const { publicKey } =
          crv === "Ed25519" ? crypto.generateKeyPairSync("ed25519") : crypto.generateKeyPairSync("ed448")
        const made = bytesOf(publicKey.export({ format: "jwk" }).x ?? "")
        expect(isEdwardsPoint(crv, made)).toBe(true)
        expect(isEdwardsPoint(crv, flipped(made, 8 * bytes - 1))).toBe(true)
      }
    })

    it.prop(`agrees with RFC 8032 on every flipped bit of a key on ${crv}`, [bitBelow(8 * bytes)], ([bit]) => {
      const other = flipped(key, bit)
      expect(isEdwardsPoint(crv, other), encode(other)).toBe(decompresses(crv, other))
    })

    it(`refuses keys of another length on ${crv}`, () => {
      expect(isEdwardsPoint(crv, key.subarray(1))).toBe(false)
      expect(isEdwardsPoint(crv, Uint8Array.of(...key, 0))).toBe(false)
      expect(isEdwardsPoint(crv, new Uint8Array())).toBe(false)
    })

    it(`refuses y that is not reduced modulo the prime on ${crv}`, () => {
      for (let y = 0n; y < 19n; y++) expect(isEdwardsPoint(crv, littleEndian(prime + y, bytes))).toBe(false)
    })

    it(`refuses 0, 1 and -1 for y on ${crv}: points of order 4, 1 and 2`, () => {
      for (const y of [0n, 1n, prime - 1n]) {
        expect(decompresses(crv, littleEndian(y, bytes))).toBe(true)
        expect(isEdwardsPoint(crv, littleEndian(y, bytes))).toBe(false)
        expect(isEdwardsPoint(crv, flipped(littleEndian(y, bytes), 8 * bytes - 1))).toBe(false)
      }
    })
  }

  it("refuses the points of order 8 on Ed25519", () => {
    const prime = 2n ** 255n - 19n
    for (const hex of [
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ]) {
      const point = Uint8Array.from(Buffer.from(hex, "hex"))
      const y = BigInt(`0x${Buffer.from(point.toReversed()).toString("hex")}`)
      // Doubling it gives y = 0: d y^4 + 2 y^2 - 1 = 0.
      expect((-121665n * y ** 4n + 121666n * (2n * y ** 2n - 1n)) % prime).toBe(0n)
      expect(isEdwardsPoint("Ed25519", point)).toBe(false)
      expect(isEdwardsPoint("Ed25519", flipped(point, 255))).toBe(false)
    }
  })
})
