/**
 * Whole numbers of some hundred bits as lists of doubles, for arithmetic that allocates nothing.
 *
 * A number is the sum of its limbs. Limb i is a multiple of 2^(25 i), its place, and at most half of the
 * next place: limbs have signs. Doubles are exact for 53 bits from a place on, which is enough for the sum
 * of some products of limbs; and since their exponents carry the places, what is too much for one limb is
 * added to the next as it is.
 *
 * For public numbers only: the time depends on them.
 */

/** A number as limbs, the lowest first. */
export type Limbs = Float64Array<ArrayBuffer>

/** Bits from one place to the next. */
export const limbBits = 25

/**
 * Added and taken away again, it rounds a double of less than 2^51 to an integer: near it, doubles are 1
 * apart. That takes a quarter of the time of Math.round and of Math.floor.
 */
export const rounder = 1.5 * 2 ** 52

/** What rounds a limb to the next place, as {@link rounder} does; for products of 450 bits. */
export const rounders = Float64Array.from({ length: 36 }, (_, i) => rounder * 2 ** (limbBits * (i + 1)))

/** Zero, with room for a number of so many limbs. */
export const makeLimbs = (count: number): Limbs => new Float64Array(count)

/** The number that the limbs add up to, rounded. */
export const approximately = (limbs: Limbs, count: number): number => {
  let sum = 0
  for (let i = count - 1; i >= 0; i--) sum += limbs[i] ?? 0
  return sum
}

/** Carries what is too much for a limb to the next one, from the lowest on. */
export const carry = (limbs: Limbs, count: number): void => {
  let carried = 0
  for (let i = 0; i < count; i++) {
    const sum = (limbs[i] ?? 0) + carried
    const round = rounders[i] ?? 0
    carried = sum + round - round
    limbs[i] = sum - carried
  }
}

/**
 * Carries as {@link carry}, in a third of the time: no limb waits for the one below, so limbs may be too
 * large by what came from there. Answers with what is too much for the last one.
 */
export const carryAtOnce = (limbs: Limbs, count: number): number => {
  let carried = 0
  for (let i = 0; i < count; i++) {
    const limb = limbs[i] ?? 0
    const round = rounders[i] ?? 0
    const above = limb + round - round
    limbs[i] = limb - above + carried
    carried = above
  }
  return carried
}

const room = new Uint8Array(64)
const words = new DataView(room.buffer)

/** Reads a number of at most 57 bytes, of which the lowest comes first. */
export const readLimbs = (littleEndian: Uint8Array, limbs: Limbs): void => {
  room.fill(0)
  room.set(littleEndian)
  let place = 1
  for (let i = 0; i < limbs.length; i++) {
    // Wherever in a byte 25 bits begin, they are among the 32 from that byte on.
    const bit = limbBits * i
    limbs[i] = ((words.getUint32(bit >> 3, true) >>> (bit & 7)) & (2 ** limbBits - 1)) * place
    place *= 2 ** limbBits
  }
  carryAtOnce(limbs, limbs.length)
}
