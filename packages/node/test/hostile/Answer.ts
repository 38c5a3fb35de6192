/**
 * What a hostile server writes, byte for byte and with its pauses.
 */
import { staticKeys } from "@effect-jwks/testing"

/** One thing that a server does with a connection. */
export type Act =
  | { readonly _tag: "Send"; readonly bytes: Uint8Array }
  /** Over and over, as fast as it is read, until the client goes. */
  | { readonly _tag: "Repeat"; readonly bytes: Uint8Array }
  /** Byte by byte, over and over, until the client goes. */
  | { readonly _tag: "Drip"; readonly bytes: Uint8Array; readonly everyMillis: number }
  /** Ends the sending side (FIN). */
  | { readonly _tag: "Finish" }
  /** Ends the connection at once (RST). */
  | { readonly _tag: "Reset" }

/** What a server does once it has read a request; afterwards it waits for the client to close the connection. */
export type Answer = ReadonlyArray<Act>

/** Text as bytes, one for each character up to U+00FF. */
const bytesOf = (text: string | Uint8Array): Uint8Array =>
  typeof text === "string" ? Buffer.from(text, "latin1") : text

export const send = (text: string | Uint8Array): Act => ({ _tag: "Send", bytes: bytesOf(text) })
export const repeat = (text: string | Uint8Array): Act => ({ _tag: "Repeat", bytes: bytesOf(text) })
export const drip = (text: string, everyMillis: number): Act => ({ _tag: "Drip", bytes: bytesOf(text), everyMillis })
export const finish: Act = { _tag: "Finish" }
export const reset: Act = { _tag: "Reset" }

// -----------------------------------------------------------------------------
// Whole responses
// -----------------------------------------------------------------------------

/** A response, as far as it is not what one would expect. */
export interface ResponseOptions {
  /** Default: 200. */
  readonly status?: number
  /** Field lines without their line ends, such as `Age: -5`. */
  readonly headers?: ReadonlyArray<string>
  /** Default: none. */
  readonly body?: string | Uint8Array
  /** Whether it says how long its body is. Default: `true`. */
  readonly announces?: boolean
  /** Whether it says that the connection ends with it. Default: `true`. */
  readonly closes?: boolean
}

/** A status line and a header section. */
export const head = (status: number, headers: ReadonlyArray<string>): string =>
  [`HTTP/1.1 ${status} Whatever`, ...headers, "", ""].join("\r\n")

/** A response that is well-formed, whatever it says. */
export const response = ({
  announces = true,
  body = "",
  closes = true,
  headers = [],
  status = 200,
}: ResponseOptions): Answer => {
  const bytes = typeof body === "string" ? Buffer.from(body, "utf8") : body
  const all = [
    ...headers,
    ...(announces ? [`Content-Length: ${bytes.length}`] : []),
    ...(closes ? ["Connection: close"] : []),
  ]
  return [send(head(status, all)), send(bytes)]
}

/** A document with these entries, whatever they are. */
export const jwks = (keys: ReadonlyArray<unknown>, headers: ReadonlyArray<string> = []): Answer =>
  response({ headers: [...jwksType, ...headers], body: JSON.stringify({ keys }) })

/** A redirect. */
export const redirect = (location: string, status = 302): Answer =>
  response({ status, headers: [`Location: ${location}`] })

/** The type of RFC 7517 section 8.5.2. */
export const jwksType: ReadonlyArray<string> = ["Content-Type: application/jwk-set+json"]

/** What looks like a page, with something in it that no message may show. */
export const page = "<!doctype html><title>Sign in</title><p>s3cr3t-in-the-body"

/** What good documents hold: keys `static-1`, `static-2`, ... */
export const goodKeys = (count: number, from = 1) => staticKeys(count, { from })

/** A document that nothing is wrong with; by default with another key than the first one. */
export const goodBody = (from = 2): string => JSON.stringify({ keys: goodKeys(1, from) })

/** An issuer's metadata (OpenID Connect Discovery 1.0 section 3). */
export const metadata = (members: Readonly<Record<string, unknown>>): Answer =>
  response({ headers: ["Content-Type: application/json"], body: JSON.stringify(members) })
