/**
 * SHA-256 (FIPS 180-4), and HMAC with it (RFC 2104).
 *
 * WebCrypto's is asynchronous. `@noble/hashes` takes 65 % longer for the hundred bytes that tell one key of
 * a curve from another, and 40 % longer for the largest keys: of a document full of those, with it hashing
 * alone would take 14 times as long as JSON.parse.
 */

/** The first 64 primes. */
const primes: Array<number> = []
for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n)

/** The first 32 bits of the fractional part; a double has some 50 bits of it. */
const fraction = (root: number): number => Math.floor((root % 1) * 2 ** 32)

/** Section 4.2.2. */
const roundConstants = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)))
/** Section 5.3.3. */
const initialHash = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)))

const hash = new Int32Array(8)
const schedule = new Int32Array(64)

/** The message schedule's word at t, from 16 on (section 6.2.2, step 1). */
const scheduled = (t: number): number => {
  const x = schedule[t - 2] ?? 0
  const y = schedule[t - 15] ?? 0
  const sigma1 = ((x >>> 17) | (x << 15)) ^ ((x >>> 19) | (x << 13)) ^ (x >>> 10)
  const sigma0 = ((y >>> 7) | (y << 25)) ^ ((y >>> 18) | (y << 14)) ^ (y >>> 3)
  return (sigma1 + (schedule[t - 7] ?? 0) + sigma0 + (schedule[t - 16] ?? 0)) | 0
}

/** Adds one block to the hash (section 6.2.2). The rounds wait for each other; meanwhile they prepare the schedule. */
const addBlock = (message: DataView, block: number): void => {
  let a = hash[0] ?? 0
  let b = hash[1] ?? 0
  let c = hash[2] ?? 0
  let d = hash[3] ?? 0
  let e = hash[4] ?? 0
  let f = hash[5] ?? 0
  let g = hash[6] ?? 0
  let h = hash[7] ?? 0
  for (let t = 0; t < 64; t++) {
    const word = t < 16 ? message.getInt32(block + 4 * t) : scheduled(t)
    schedule[t] = word
    const sum1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const choice = g ^ (e & (f ^ g))
    const t1 = (h + sum1 + choice + (roundConstants[t] ?? 0) + word) | 0
    const sum0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const majority = (a & b) | (c & (a | b))
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + sum0 + majority) | 0
  }
  hash[0] = (hash[0] ?? 0) + a
  hash[1] = (hash[1] ?? 0) + b
  hash[2] = (hash[2] ?? 0) + c
  hash[3] = (hash[3] ?? 0) + d
  hash[4] = (hash[4] ?? 0) + e
  hash[5] = (hash[5] ?? 0) + f
  hash[6] = (hash[6] ?? 0) + g
  hash[7] = (hash[7] ?? 0) + h
}

const utf8 = new TextEncoder()

const blockBytes = 64

/** Of a message and its padding: a bit, zeros, and the length in 8 bytes (section 5.1.1). */
const paddedLength = (length: number): number => blockBytes * Math.ceil((length + 9) / blockBytes)

/** Room for the thumbprint input of every key that passes the key policy (ML-DSA-87 takes 3,501 bytes). */
const room = new Uint8Array(4_096)
const roomView = new DataView(room.buffer)

const digest = new Uint8Array(32)
const digestView = new DataView(digest.buffer)

/** A hash from which to go on, and the bytes that it has seen: whole blocks. */
interface Midstate {
  readonly hash: Int32Array
  readonly length: number
}

const start: Midstate = { hash: initialHash, length: 0 }

/** Goes on with bytes that have room behind them for the padding. */
const hashPadded = (from: Midstate, bytes: Uint8Array, view: DataView, length: number): Uint8Array => {
  const end = paddedLength(length)
  const bits = 8 * (from.length + length)
  bytes[length] = 0x80
  bytes.fill(0, length + 1, end)
  view.setUint32(end - 8, bits / 2 ** 32)
  view.setUint32(end - 4, bits)
  hash.set(from.hash)
  for (let block = 0; block < end; block += blockBytes) addBlock(view, block)
  for (let i = 0; i < 8; i++) digestView.setInt32(4 * i, hash[i] ?? 0)
  return digest
}

const hashBytes = (from: Midstate, bytes: Uint8Array): Uint8Array => {
  const isShort = paddedLength(bytes.length) <= room.length
  const padded = isShort ? room : new Uint8Array(paddedLength(bytes.length))
  padded.set(bytes)
  return hashPadded(from, padded, isShort ? roomView : new DataView(padded.buffer), bytes.length)
}

const hashText = (from: Midstate, text: string): Uint8Array => {
  const { read, written } = utf8.encodeInto(text, room)
  if (read === text.length && paddedLength(written) <= room.length) return hashPadded(from, room, roomView, written)
  return hashBytes(from, utf8.encode(text))
}

/** SHA-256 of the UTF-8 form of `text`: 32 bytes, until the next call. */
export const sha256 = (text: string): Uint8Array => hashText(start, text)

/** The hash of a key as long as a block, with every byte changed (RFC 2104 section 2). */
const afterKey = (key: Uint8Array, pad: number): Midstate => {
  const block = new Uint8Array(blockBytes)
  block.set(key.length > blockBytes ? hashBytes(start, key) : key)
  hash.set(initialHash)
  addBlock(new DataView(block.map((byte) => byte ^ pad).buffer), 0)
  return { hash: hash.slice(), length: blockBytes }
}

/** HMAC-SHA-256 under `key` of the UTF-8 form of texts: 32 bytes, until the next call. */
export const hmacSha256 = (key: Uint8Array): ((text: string) => Uint8Array) => {
  const inner = afterKey(key, 0x36)
  const outer = afterKey(key, 0x5c)
  return (text) => hashBytes(outer, hashText(inner, text))
}
