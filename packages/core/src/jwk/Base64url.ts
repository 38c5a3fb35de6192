/**
 * Reads the base64url numbers of a JWK (RFC 7515 section 2, RFC 4648 section 5) as providers really
 * write them, and writes them back in their one canonical spelling.
 *
 * Tolerated: padding at the end, the standard alphabet (`+` and `/`), and space, tab, CR and LF
 * anywhere. Bits that no byte needs are ignored, as other decoders do. What is not spelled canonically is
 * written anew from its bytes, so equal numbers are equal texts and have one thumbprint.
 *
 * A document of 1 MiB may be nothing but such text, and it is read on the thread that answers everybody:
 * the loops work on bytes, and in rooms that are there already.
 */
import { Room } from "./Room.ts"

/** A number as it was written. */
export interface Base64urlNumber {
  readonly text: string
  readonly bytes: Uint8Array
  /** Whether the text is what {@link encode} makes of the bytes. */
  readonly isCanonical: boolean
}

/** Beside a sextet: the digit is of the standard alphabet. */
const notCanonical = 64
/** What is no digit. */
const whiteSpace = 128
const padding = 129
const invalid = 130

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
/** The characters of {@link alphabet}, as bytes, by sextet. */
const characters = new Uint8Array(64).map((_, sextet) => alphabet.charCodeAt(sextet))

/** What a byte of UTF-8 text stands for. */
const meanings = new Uint8Array(256).fill(invalid)
characters.forEach((character, sextet) => (meanings[character] = sextet))
meanings[0x2b] = notCanonical | 62 // +
meanings[0x2f] = notCanonical | 63 // /
meanings[0x3d] = padding
for (const character of [0x20, 0x09, 0x0d, 0x0a]) meanings[character] = whiteSpace

const utf8 = new TextEncoder()
const ascii = new TextDecoder()

/** Has room for the text of every number that passes the key policy (ML-DSA-87 has 3,456 digits). */
const textRoom = new Room(4_096)
const encodedRoom = new Room(4_096)

/** The text as bytes, until the next call; `undefined` where it is not ASCII. */
const asciiOf = (text: string): Uint8Array | undefined => {
  const bytes = textRoom.take(text.length)
  const { read, written } = utf8.encodeInto(text, bytes)
  // Any other character takes more than one byte, for which there is no room.
  return read === text.length && written === read ? bytes : undefined
}

/** The meanings of some characters together. */
const meaningOf = (text: Uint8Array, start: number, end: number): number => {
  let meaning = 0
  for (let i = start; i < end; i++) meaning |= meanings[text[i] ?? 0] ?? invalid
  return meaning
}

/**
 * Removes what is no digit from `start` on, in place. Answers with the length that is left; `undefined` where
 * there is more than is tolerated.
 */
const removeGaps = (text: Uint8Array, start: number): number | undefined => {
  let length = start
  let pads = 0
  for (let i = start; i < text.length; i++) {
    const character = text[i] ?? 0
    const meaning = meanings[character] ?? invalid
    if (meaning < whiteSpace) {
      if (pads > 0) return undefined
      text[length++] = character
    } else if (meaning === padding) {
      if (++pads > 2) return undefined
    } else if (meaning === invalid) {
      return undefined
    }
  }
  return length
}

/** How many bytes so many digits stand for. */
const byteLength = (digitCount: number): number => (digitCount * 3) >>> 2

/** The bits of the last digit that no byte needs, by the number of digits modulo 4. */
const spareBits = [0, 0, 15, 3]

/**
 * Reads a number; `undefined` where `text` is no base64url text even with tolerance.
 *
 * **Gotchas**
 *
 * The bytes are in `room`, until that is used again.
 */
export const read = (text: string, room: Room): Base64urlNumber | undefined => {
  const characters = asciiOf(text)
  if (characters === undefined) return undefined
  let { length } = characters
  const bytes = room.take(byteLength(length))
  /** Those of all characters so far. */
  let meaning = 0
  let place = 0
  let i = 0
  while (i + 4 <= length) {
    const a = meanings[characters[i] ?? 0] ?? invalid
    const b = meanings[characters[i + 1] ?? 0] ?? invalid
    const c = meanings[characters[i + 2] ?? 0] ?? invalid
    const d = meanings[characters[i + 3] ?? 0] ?? invalid
    const four = a | b | c | d
    meaning |= four
    if (four < whiteSpace) {
      bytes[place] = (a << 2) | ((b & 63) >> 4)
      bytes[place + 1] = (b << 4) | ((c & 63) >> 2)
      bytes[place + 2] = (c << 6) | (d & 63)
      place += 3
      i += 4
    } else {
      const left = removeGaps(characters, i)
      if (left === undefined) return undefined
      length = left
    }
  }
  const tail = meaningOf(characters, i, length)
  meaning |= tail
  if (tail >= whiteSpace) {
    const left = removeGaps(characters, i)
    if (left === undefined) return undefined
    length = left
  }
  const rest = length - i
  // A lone digit has too few bits for a byte.
  if (rest === 1) return undefined
  if (rest > 1) {
    const a = meanings[characters[i] ?? 0] ?? 0
    const b = meanings[characters[i + 1] ?? 0] ?? 0
    const c = rest === 3 ? (meanings[characters[i + 2] ?? 0] ?? 0) : 0
    bytes[place] = (a << 2) | ((b & 63) >> 4)
    if (rest === 3) bytes[place + 1] = (b << 4) | ((c & 63) >> 2)
    if (((rest === 3 ? c : b) & (spareBits[rest] ?? 0)) !== 0) meaning |= notCanonical
  }
  const count = byteLength(length)
  return { text, bytes: count === bytes.length ? bytes : bytes.subarray(0, count), isCanonical: meaning < notCanonical }
}

const noRoom = new Room(0)

/** The bytes that `text` stands for, as {@link read} finds them, in an array of their own. */
export const decode = (text: string): Uint8Array | undefined => read(text, noRoom)?.bytes

/** The canonical text of `bytes`. */
export const encode = (bytes: Uint8Array): string => {
  const { length } = bytes
  const rest = length % 3
  const end = length - rest
  const digitCount = Math.ceil((length * 4) / 3)
  const digits = encodedRoom.take(digitCount)
  let place = 0
  for (let i = 0; i < end; i += 3) {
    const three = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    digits[place] = characters[three >> 18] ?? 0
    digits[place + 1] = characters[(three >> 12) & 63] ?? 0
    digits[place + 2] = characters[(three >> 6) & 63] ?? 0
    digits[place + 3] = characters[three & 63] ?? 0
    place += 4
  }
  if (rest > 0) {
    const two = ((bytes[end] ?? 0) << 8) | (rest > 1 ? (bytes[end + 1] ?? 0) : 0)
    digits[place] = characters[two >> 10] ?? 0
    digits[place + 1] = characters[(two >> 4) & 63] ?? 0
    if (rest > 1) digits[place + 2] = characters[(two << 2) & 63] ?? 0
  }
  return ascii.decode(digits)
}
