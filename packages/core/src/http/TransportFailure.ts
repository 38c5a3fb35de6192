/**
 * What the error of an HTTP client becomes: a short code that names the trouble, and nothing that could
 * tell a query, a header or a body.
 */
import { hasProperty } from "effect/Predicate"
import { displayUrl, type UnavailableReason } from "../JwksError.ts"

/** No response from `url`: the code in the error's chain of causes, `otherwise` where there is none. */
export const transportFailed = (url: URL, error: unknown, otherwise: string): UnavailableReason => ({
  _tag: "TransportFailed",
  url: displayUrl(url),
  detail: codeIn(error) ?? otherwise,
})

/** Codes of Node, OpenSSL, undici and llhttp look like this. */
const code = /^[A-Z][A-Z0-9_]{2,63}$/

/**
 * The first code in a chain of causes, such as `ECONNREFUSED` or `CERT_HAS_EXPIRED`. Messages are left
 * alone: they may hold a URL with its query.
 */
const codeIn = (error: unknown): string | undefined => {
  let current = error
  try {
    for (let depth = 0; depth < 8; depth++) {
      if (hasProperty(current, "code") && typeof current.code === "string" && code.test(current.code)) {
        return current.code
      }
      if (hasProperty(current, "cause")) current = current.cause
      // All addresses of a host refused: an AggregateError.
      else if (hasProperty(current, "errors") && Array.isArray(current.errors)) current = current.errors[0]
      else return undefined
    }
  } catch {
    // A foreign error with a getter that throws.
  }
  return undefined
}
