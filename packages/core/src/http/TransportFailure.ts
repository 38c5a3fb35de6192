/**
 * What the error of an HTTP client becomes: the reason of a transport that refused, or a short code that
 * names the trouble, and nothing that could tell a query, a header or a body.
 */
import { hasProperty, isTagged } from "effect/Predicate"
import * as Schema from "effect/Schema"
import { displayUrl, type UnavailableReason } from "../JwksError.ts"
import { TransportRefused } from "./Transport.ts"

/** No response from `url`: why in the error's chain of causes, `otherwise` where nothing there says it. */
export const transportFailed = (url: URL, error: unknown, otherwise: string): UnavailableReason => {
  const found = firstIn(error, (cause) => refusalOf(cause) ?? codeOf(cause))
  return typeof found === "object"
    ? found
    : { _tag: "TransportFailed", url: displayUrl(url), detail: found ?? otherwise }
}

const isReason = Schema.is(TransportRefused.fields.reason)

/** By its tag and not by its class: a transport may have another copy of this package. */
const refusalOf = (cause: unknown): UnavailableReason | undefined =>
  isTagged(cause, "TransportRefused") && hasProperty(cause, "reason") && isReason(cause.reason)
    ? cause.reason
    : undefined

/** Codes of Node, OpenSSL, undici and llhttp look like this. */
const code = /^[A-Z][A-Z0-9_]{2,63}$/

/** The first code in an error's chain of causes. */
export const codeIn = (error: unknown): string | undefined => firstIn(error, codeOf)

/** A code such as `ECONNREFUSED` or `CERT_HAS_EXPIRED`. Messages are left alone: they may hold a URL with its query. */
const codeOf = (cause: unknown): string | undefined =>
  hasProperty(cause, "code") && typeof cause.code === "string" && code.test(cause.code) ? cause.code : undefined

/** The first that `find` finds in a chain of causes. */
export const firstIn = <A>(error: unknown, find: (cause: unknown) => A | undefined): A | undefined => {
  let current = error
  try {
    for (let depth = 0; depth < 8; depth++) {
      const found = find(current)
      if (found !== undefined) return found
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
