/**
 * Multiplication modulo a prime 2^bits - terms, where division takes additions alone: of what is above
 * 2^bits, as many times the terms are added below.
 *
 * A number of the field has many forms here: anything below 2^bits, with either sign. Limbs may be a little
 * more than half of the next place; up to 1.4 times as much, 18 products of two have less than 53 bits.
 */
import { carryAtOnce, limbBits, type Limbs, makeLimbs, rounder, rounders } from "./Limbs.ts"

/** factor * 2^exponent. */
export interface Term {
  readonly factor: number
  readonly exponent: number
}

/** A field of prime order. */
export interface PrimeField {
  /** Zero. */
  readonly make: () => Limbs
  /** Writes a * b to `product`. All may be the same. */
  readonly multiply: (a: Limbs, b: Limbs, product: Limbs) => void
  /** Makes limbs small again that were multiplied by less than 2^17, and then added to. */
  readonly reduce: (a: Limbs) => void
}

/** Rows of a product that are added up together, which takes half as long as one by one. */
const rows = 3

/** The field of 2^bits - terms, terms by falling exponents. */
export const primeField = (bits: number, terms: ReadonlyArray<Term>): PrimeField => {
  const count = Math.ceil((bits + 1) / limbBits)
  const wholeRows = rows * Math.ceil(count / rows)
  const wide = makeLimbs(wholeRows + count + 1)
  const topRounder = rounder * 2 ** bits
  /** What a term takes a limb down to, from limb `count` and from 2^bits. */
  const folds = terms.map(({ exponent, factor }) => ({
    factor: factor * 2 ** (exponent - bits),
    down: count - Math.floor((limbBits * count - bits + exponent) / limbBits),
    place: Math.floor(exponent / limbBits),
  }))

  /** Terms that are far larger than a place make limbs that are. */
  const passes = terms.some(({ factor }) => factor > 2) ? 2 : 1

  const reduce = (a: Limbs): void => {
    for (let pass = 0; pass < passes; pass++) a[count - 1] = (a[count - 1] ?? 0) + carryAtOnce(a, count - 1)
    const top = a[count - 1] ?? 0
    const above = top + topRounder - topRounder
    a[count - 1] = top - above
    for (const { factor, place } of folds) {
      const sum = (a[place] ?? 0) + above * factor
      const round = rounders[place] ?? 0
      const carried = sum + round - round
      a[place] = sum - carried
      a[place + 1] = (a[place + 1] ?? 0) + carried
    }
  }

  return {
    make: () => makeLimbs(wholeRows),
    reduce,
    multiply: (a, b, product) => {
      wide.fill(0)
      for (let i = 0; i < wholeRows; i += rows) {
        const row = a[i] ?? 0
        const nextRow = a[i + 1] ?? 0
        const lastRow = a[i + 2] ?? 0
        let before = 0
        let twoBefore = 0
        for (let j = 0; j < count; j++) {
          const limb = b[j] ?? 0
          wide[i + j] = (wide[i + j] ?? 0) + (row * limb + nextRow * before + lastRow * twoBefore)
          twoBefore = before
          before = limb
        }
        wide[i + count] = (wide[i + count] ?? 0) + (nextRow * before + lastRow * twoBefore)
        wide[i + count + 1] = (wide[i + count + 1] ?? 0) + lastRow * before
      }
      carryAtOnce(wide, 2 * count)
      // From the top, and the largest term first, so that what is added above 2^bits comes down as well.
      for (const { down, factor } of folds) {
        for (let i = 2 * count - 1; i >= count; i--) wide[i - down] = (wide[i - down] ?? 0) + (wide[i] ?? 0) * factor
      }
      for (let i = 0; i < count; i++) product[i] = wide[i] ?? 0
      reduce(product)
    },
  }
}
