/**
 * Memory for bytes that are needed for a moment, again and again.
 *
 * A key set of 1 MiB has thousands of numbers. To make a typed array of more than 64 bytes takes 300 ns,
 * and to make a part of one 20 ns; a short number is read in 40 ns.
 */

/** Bytes that whoever takes them has until they are taken again. */
export class Room {
  private readonly whole: Uint8Array<ArrayBuffer>
  /** The last two parts: numbers of a set are mostly as long as each other. */
  private part: Uint8Array<ArrayBuffer>
  private former: Uint8Array<ArrayBuffer>

  constructor(whole: Uint8Array<ArrayBuffer>) {
    this.whole = whole
    this.part = whole
    this.former = whole
  }

  /** So many bytes, with anything in them; an array of their own where there is not enough room. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const { former, part, whole } = this
    if (length === part.length) return part
    if (length > whole.length) return new Uint8Array(length)
    this.former = part
    this.part = length === former.length ? former : whole.subarray(0, length)
    return this.part
  }
}
