/**
 * The short code in an error of a store, for logs and events: never its message, which may hold what is
 * stored, or a password.
 */
import { hasProperty } from "effect/Predicate"
import { codeIn, firstIn } from "../http/TransportFailure.ts"

/** The first code or word in an error's chain of causes, such as `ECONNREFUSED` or `OOM`. */
export const storeCode = (error: unknown): string | undefined => codeIn(error) ?? firstIn(error, wordOf)

/** Redis begins its errors with a word such as `OOM`, `READONLY` or `NOAUTH`. */
const wordOf = (cause: unknown): string | undefined =>
  hasProperty(cause, "message") && typeof cause.message === "string"
    ? /^([A-Z]{2,20}) /.exec(cause.message)?.[1]
    : undefined
