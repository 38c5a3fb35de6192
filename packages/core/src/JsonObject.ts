/**
 * Reads the JSON object that a response body should be: a JWK Set, or an issuer's metadata.
 */
import * as Result from "effect/Result"

/** Why a body is refused: a readable phrase that never quotes the body. */
export interface BodyRule {
  readonly rule: string
}

/** The members of a JSON object. */
export type JsonMembers = Readonly<Record<string, unknown>>

/** Refuses what is not UTF-8 (RFC 8259 section 8.1); a byte order mark in front is left out. */
const strictUtf8 = new TextDecoder("utf-8", { fatal: true })

/** Refuses a body. */
export const refuse = (rule: string): Result.Result<never, BodyRule> => Result.fail({ rule })

/** Whether a value that came from JSON is an object, which no list is. */
export const isJsonObject = (value: unknown): value is JsonMembers =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The object in `body`. Of members that occur twice the last counts (RFC 8259 section 4). */
export const parseJsonObject = (body: Uint8Array): Result.Result<JsonMembers, BodyRule> => {
  const text = Result.try(() => strictUtf8.decode(body))
  if (Result.isFailure(text)) return refuse("the body is not UTF-8 text")
  const document = Result.try((): unknown => JSON.parse(text.success))
  if (Result.isFailure(document)) return refuse("the body is not JSON, or nests too deeply")
  return isJsonObject(document.success) ? Result.succeed(document.success) : refuse("the body is not a JSON object")
}
