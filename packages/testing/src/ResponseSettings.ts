/**
 * The headers that a provider sends with its documents.
 */
import { httpDate, type Validators } from "./Representation.ts"

/** The headers of a provider's responses; an absent field has its default. */
export interface ResponseSettings {
  /** `Cache-Control`; `undefined` sends none. Default: `public, max-age=600`. */
  readonly cacheControl?: string | undefined
  /** `Age` in seconds, or any text. Default: none. */
  readonly age?: number | string | undefined
  /** `Date` as epoch milliseconds, or any text; `undefined` sends none. Default: when the request arrives. */
  readonly date?: number | string | undefined
  /** Default: `application/jwk-set+json`, for the JWKS only. */
  readonly contentType?: string
  /** Kind of `ETag`. Default: `strong`. */
  readonly etag?: "strong" | "weak" | "none"
  /** Whether `Last-Modified` is sent and compared. Default: `true`. */
  readonly lastModified?: boolean
  /** Any other header, by lower-case name. */
  readonly extra?: Readonly<Record<string, string>>
}

/** The headers that go with a 200 and with a 304 alike (RFC 9110 section 15.4.5), by lower-case name. */
export const responseHeaders = (
  settings: ResponseSettings,
  { etag, lastModified }: Validators,
  now: number,
): Record<string, string> => {
  const { cacheControl, age, date } = { cacheControl: "public, max-age=600", date: now, ...settings }
  const headers = Object.entries({
    "cache-control": cacheControl,
    age: age === undefined ? undefined : String(age),
    date: typeof date === "number" ? httpDate(date) : date,
    etag,
    "last-modified": lastModified === undefined ? undefined : httpDate(lastModified),
    ...settings.extra,
  })
  return Object.fromEntries(headers.filter((header): header is [string, string] => header[1] !== undefined))
}
