/**
 * Tells squares from other residues by the Jacobi symbol: the binary algorithm with subtraction, on
 * limbs of 30 bits (Bach and Shallit, Algorithmic Number Theory, section 5.9).
 *
 * For 255 bits it takes 5 µs, the same on BigInt 13 µs, and Euler's criterion 110 µs; a key set may
 * hold thousands of points. For public keys only: its time depends on its arguments.
 */

/** Differences of limbs and their borrows stay small integers. */
const limbBits = 30
const limbMask = 2 ** limbBits - 1

/** Lowest limb first. */
const limbsOf = (value: bigint, count: number): Int32Array<ArrayBuffer> => {
  const limbs = new Int32Array(count)
  let rest = value
  for (let i = 0; i < count; i++) {
    limbs[i] = Number(BigInt.asUintN(limbBits, rest))
    rest >>= BigInt(limbBits)
  }
  return limbs
}

const isLess = (a: Int32Array, b: Int32Array, count: number): boolean => {
  let i = count - 1
  while (i > 0 && a[i] === b[i]) i--
  return (a[i] ?? 0) < (b[i] ?? 0)
}

/**
 * `a = (a - b) >> zeros`, for a > b and an even difference, in one pass. Answers with `zeros`: as many
 * as the difference ends with, but no more than one limb holds.
 */
const subtractAndShift = (a: Int32Array, b: Int32Array, count: number): number => {
  let difference = (a[0] ?? 0) - (b[0] ?? 0)
  let limb = difference & limbMask
  const zeros = limb === 0 ? limbBits : 31 - Math.clz32(limb & -limb)
  for (let i = 1; i < count; i++) {
    // The sign of the limb below is its borrow.
    difference = (a[i] ?? 0) - (b[i] ?? 0) + (difference >> limbBits)
    a[i - 1] = (limb >> zeros) | ((difference << (limbBits - zeros)) & limbMask)
    limb = difference & limbMask
  }
  a[count - 1] = limb >> zeros
  return zeros
}

/** Whether a `value`, 0 <= value < prime, is a square modulo the odd `prime`; 0 is one. */
export const squareTest = (prime: bigint): ((value: bigint) => boolean) => {
  const limbCount = Math.ceil(prime.toString(2).length / limbBits)
  const primeLimbs = limbsOf(prime, limbCount)
  const zero = limbsOf(0n, limbCount)

  return (value) => {
    if (value === 0n) return true
    // The symbol wanted is (a/n), negated where `flips` is odd. n is always odd.
    let a = limbsOf(value, limbCount)
    let n = primeLimbs.slice()
    let count = limbCount
    let flips = 0
    for (;;) {
      while (count > 1 && a[count - 1] === 0 && n[count - 1] === 0) count--
      const isOdd = ((a[0] ?? 0) & 1) === 1
      // a and n have no common factor, so a gets to 1, whose symbol is 1.
      if (count === 1 && a[0] === 1) return (flips & 1) === 0
      if (isOdd && isLess(a, n, count)) {
        const former = a
        a = n
        n = former
        // Quadratic reciprocity: negated where both are 3 modulo 4.
        flips ^= ((a[0] ?? 0) & (n[0] ?? 0)) >> 1
      }
      const zeros = subtractAndShift(a, isOdd ? n : zero, count)
      // (2/n) = -1 where n is 3 or 5 modulo 8.
      const lowest = n[0] ?? 0
      flips ^= zeros & ((lowest >> 1) ^ (lowest >> 2))
    }
  }
}
