/**
 * What a URL of the provider holds: bytes with their validators, and whether a conditional request
 * gets a 304 (RFC 9110 sections 8.8 and 13).
 */
import * as DateTime from "effect/DateTime"
import * as Headers from "effect/http/Headers"
import * as Result from "effect/Result"

/** Bytes with the validators that go with them (RFC 9110 section 8.8). */
export interface Representation {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Strong entity tag, quoted; the same bytes have the same tag. */
  readonly etag: string
  /** Epoch milliseconds, whole seconds. */
  readonly lastModified: number
}

/** Bytes of a document: text and bytes as they are, everything else as JSON. */
export const encode = (document: unknown): Uint8Array<ArrayBuffer> =>
  document instanceof Uint8Array
    ? new Uint8Array(document)
    : new TextEncoder().encode(typeof document === "string" ? document : JSON.stringify(document))

// Two FNV-1a sums side by side: synchronous, and wide enough to tell the documents of a test apart.
const digest = (bytes: Uint8Array): string => {
  let a = 0x811c9dc5
  let b = 0x9747b28c
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193)
    b = Math.imul(b ^ byte, 0x85ebca6b)
  }
  const hex = (n: number) => (n >>> 0).toString(16).padStart(8, "0")
  return `${hex(a)}${hex(b)}`
}

/** A representation of `document` that was last modified at `now` (epoch milliseconds). */
export const make = (document: unknown, now: number): Representation => {
  const bytes = encode(document)
  return { bytes, etag: `"${bytes.length.toString(16)}-${digest(bytes)}"`, lastModified: Math.floor(now / 1000) * 1000 }
}

/**
 * The representation that follows `previous`.
 *
 * `Last-Modified` moves on by a second at least: two changes within one second would otherwise look
 * like none to a client that holds no entity tag.
 */
export const next = (previous: Representation, document: unknown, now: number): Representation =>
  make(document, Math.max(now, previous.lastModified + 1000))

/** A date in the form that HTTP headers use (RFC 9110 section 5.6.7). */
export const httpDate = (millis: number): string => new Date(millis).toUTCString()

/** The validators that a response carries; an absent one is never compared. */
export interface Validators {
  readonly etag?: string
  readonly lastModified?: number
}

const opaqueTag = (etag: string): string => etag.replace(/^W\//, "")

const entityTags = (field: string): ReadonlyArray<string> => field.match(/(?:W\/)?"[^"]*"/g) ?? []

/**
 * Whether the client already holds the representation: `If-None-Match` by weak comparison, and
 * `If-Modified-Since` only where the former is absent (RFC 9110 section 13.2.2).
 */
export const isNotModified = (headers: Readonly<Record<string, string>>, validators: Validators): boolean => {
  const { etag, lastModified } = validators
  const noneMatch = headers["if-none-match"]
  if (noneMatch !== undefined) {
    if (noneMatch.trim() === "*") return true
    return etag !== undefined && entityTags(noneMatch).some((tag) => opaqueTag(tag) === opaqueTag(etag))
  }
  const modifiedSince = headers["if-modified-since"]
  if (modifiedSince === undefined || lastModified === undefined) return false
  const since = Headers.parseHttpDate(modifiedSince)
  return Result.isSuccess(since) && lastModified <= DateTime.toEpochMillis(since.success)
}
