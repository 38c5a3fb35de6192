/**
 * The caller's schema over the claims of a token that was verified.
 */
import { quote } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { JwtInvalidReason } from "../JwtError.ts"
import type { JwtPayload } from "../VerifiedJwt.ts"

// Neither says what was found, since inputs are not reported: claims are people's data.
const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** Most issues that are told. */
const maxIssues = 16

/** Names of members may be anything, too: only plain ones go into a message as they are. */
const claimOf = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> = []): string =>
  path
    .slice(0, 8)
    .map((part) => String(typeof part === "object" ? part.key : part))
    .map((name) => (/^[\w:/-]{1,64}$/.test(name) ? name : quote(name)))
    .join(".")

const reasonOf = (issue: SchemaIssue.Issue): JwtInvalidReason => {
  const { issues } = format(issue)
  const told = issues.slice(0, maxIssues).map(({ message, path }) => ({ claim: claimOf(path), rule: message }))
  const more = issues.length - told.length
  return { _tag: "Claims", issues: more === 0 ? told : [...told, { claim: "", rule: `and ${more} more` }], issue }
}

/** What the schema makes of the claims, or why it does not take them. */
export const decodeClaims = <S extends Schema.Constraint>(
  schema: S,
  payload: JwtPayload,
): Effect.Effect<S["Type"], JwtInvalidReason, S["DecodingServices"]> =>
  Effect.mapError(Schema.decodeUnknownEffect(schema, { errors: "all" })(payload), ({ issue }) => reasonOf(issue))
