import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { squareTest as squareTestOfLimbs } from "../../src/jwk/JacobiSymbol.ts"
import { limbBits, makeLimbs, readLimbs, type Limbs } from "../../src/jwk/Limbs.ts"

const limbsOf = (value: bigint, count: number): Limbs => {
  const limbs = makeLimbs(count)
  readLimbs(
    Uint8Array.from({ length: 57 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn)),
    limbs,
  )
  return limbs
}

const squareTest = (prime: bigint): ((value: bigint) => boolean) => {
  const count = Math.ceil((prime.toString(2).length + 1) / limbBits)
  const isSquare = squareTestOfLimbs(limbsOf(prime, count))
  return (value) => isSquare(limbsOf(value, count))
}

const power = (base: bigint, exponent: bigint, prime: bigint): bigint => {
  let result = 1n
  let square = base % prime
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % prime
    square = (square * square) % prime
  }
  return result
}

/** Euler's criterion. */
const isSquareByPower = (value: bigint, prime: bigint): boolean => power(value, (prime - 1n) / 2n, prime) <= 1n

const fields = [
  { curve: "Ed25519", prime: 2n ** 255n - 19n },
  { curve: "Ed448", prime: 2n ** 448n - 2n ** 224n - 1n },
]
const natural = Arbitrary.schema(Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: 0n, maximum: 2n ** 448n })))

describe("squareTest", () => {
  it("agrees with Euler's criterion on every residue of the odd primes below 100", () => {
    const primes = [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97]
    for (const prime of primes.map(BigInt)) {
      const isSquare = squareTest(prime)
      for (let value = 0n; value < prime; value++) {
        expect(isSquare(value), `${value} modulo ${prime}`).toBe(isSquareByPower(value, prime))
      }
    }
  })

  it.each(fields)("agrees with Euler's criterion where limbs of zeros occur, in the field of $curve", ({ prime }) => {
    const isSquare = squareTest(prime)
    for (let exponent = 0n; exponent < 448n; exponent++) {
      for (const value of [2n ** exponent, 3n * 2n ** exponent, -(2n ** exponent), -1n - 2n ** exponent]) {
        const residue = ((value % prime) + prime) % prime
        expect(isSquare(residue), `${value}`).toBe(isSquareByPower(residue, prime))
      }
    }
  })

  for (const { curve, prime } of fields) {
    const isSquare = squareTest(prime)
    it.prop(`agrees with Euler's criterion in the field of ${curve}`, [natural, natural], ([x, y]) => {
      const residue = (x * y + y) % prime
      expect(isSquare(residue)).toBe(isSquareByPower(residue, prime))
      expect(isSquare((residue * residue) % prime)).toBe(true)
    })
  }
})
