/**
 * Memory for bytes that are needed for a moment, again and again.
 *
 * A key set of 1 MiB has thousands of numbers. To make a typed array of more than 64 bytes takes 300 ns,
 * and to make a part of one 20 ns; a short number is read in 40 ns.
 */

/** Bytes that whoever takes them has until they are taken again. */
export class Room {
  private readonly whole: Uint8Array<ArrayBuffer>
  private part: Uint8Array<ArrayBuffer>

  constructor(length: number) {
    this.whole = new Uint8Array(length)
    this.part = this.whole
  }

  /** So many bytes, with anything in them; an array of their own where there is not enough room. */
  take(length: number): Uint8Array<ArrayBuffer> {
    if (length > this.whole.length) return new Uint8Array(length)
    // The next number is mostly as long as the last one.
    if (length !== this.part.length) this.part = this.whole.subarray(0, length)
    return this.part
  }
}
