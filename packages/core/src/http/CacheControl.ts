/**
 * `Cache-Control` of a response as providers really send it: names in any case, quoted and fractional
 * numbers, duplicates, a repeated field name. Pure.
 */

/** Header fields by lower-case name. */
export type Fields = Readonly<Record<string, string>>

const maxFieldLength = 8_192

/** A field's value; values over 8 KiB count as absent (CVE-2022-25881 of http-cache-semantics). */
export const fieldOf = (headers: Fields, name: string): string | undefined => {
  const value = headers[name]
  return value !== undefined && value.length <= maxFieldLength ? value : undefined
}

/** The directives that bear on a private cache (RFC 9111 section 5.2.2). */
export interface Directives {
  readonly noStore: boolean
  readonly noCache: boolean
  readonly mustRevalidate: boolean
  /** Seconds; the smallest of several. */
  readonly maxAge: number | undefined
  /** Some `max-age` is no number. */
  readonly maxAgeMalformed: boolean
  /** Seconds; the smallest of several (RFC 5861 section 4). */
  readonly staleIfError: number | undefined
}

/** The members of a list, which commas outside quoted strings separate (RFC 9110 section 5.6.1). */
export const listMembers = (value: string): ReadonlyArray<string> =>
  (value.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g) ?? []).map((member) => member.trim())

/**
 * delta-seconds (RFC 9111 section 1.2.2): an overflow counts as 2^31. Servers also write quotes, which
 * section 5.2 asks recipients to accept, fractions, and negative numbers for "already stale".
 */
const deltaSeconds = (text: string): number | undefined => {
  const [, sign, digits] = /^"?\s*(-?)(\d+)(?:\.\d*)?\s*"?$/.exec(text) ?? []
  if (digits === undefined) return undefined
  return sign === "-" ? 0 : Math.min(Number(digits), 2 ** 31)
}

const smallest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b)

/** Reads `Cache-Control`, and `Pragma` where that is absent. */
export const directivesOf = (headers: Fields): Directives => {
  const cacheControl = fieldOf(headers, "cache-control")
  let noStore = false
  // RFC 9111 section 5.4: Pragma counts only without Cache-Control.
  let noCache = cacheControl === undefined && /\bno-cache\b/i.test(fieldOf(headers, "pragma") ?? "")
  let mustRevalidate = false
  let maxAge: number | undefined
  let maxAgeMalformed = false
  let staleIfError: number | undefined
  for (const member of listMembers(cacheControl ?? "")) {
    const equals = member.indexOf("=")
    const argument = equals < 0 ? undefined : member.slice(equals + 1).trim()
    const name = (equals < 0 ? member : member.slice(0, equals)).trim().toLowerCase()
    // Some servers send "Cache-Control: Cache-Control: max-age=...".
    switch (name.replace(/^(?:cache-control:\s*)+/, "")) {
      case "no-store":
        noStore = true
        break
      case "no-cache":
        // Section 5.2.2.4: qualified, it forbids the reuse of the named header fields only.
        noCache ||= argument === undefined || argument === ""
        break
      case "must-revalidate":
        mustRevalidate = true
        break
      case "max-age": {
        const seconds = deltaSeconds(argument ?? "")
        maxAgeMalformed ||= seconds === undefined
        maxAge = smallest(maxAge, seconds)
        break
      }
      case "stale-if-error":
        staleIfError = smallest(staleIfError, deltaSeconds(argument ?? ""))
        break
      default:
    }
  }
  return { noStore, noCache, mustRevalidate, maxAge, maxAgeMalformed, staleIfError }
}
