/**
 * The caller's schema over the claims of a token that was verified.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { JwtInvalidReason } from "../JwtError.ts"
import type { JwtPayload } from "../VerifiedJwt.ts"

// Neither says what was found, since inputs are not reported: claims are people's data.
const format = SchemaIssue.makeFormatterStandardSchemaV1()

const claimOf = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> = []): string =>
  path.map((part) => String(typeof part === "object" ? part.key : part)).join(".")

const reasonOf = (issue: SchemaIssue.Issue): JwtInvalidReason => ({
  _tag: "Claims",
  issues: format(issue).issues.map(({ message, path }) => ({ claim: claimOf(path), rule: message })),
  issue,
})

/** What the schema makes of the claims, or why it does not take them. */
export const decodeClaims = <S extends Schema.Constraint>(
  schema: S,
  payload: JwtPayload,
): Effect.Effect<S["Type"], JwtInvalidReason, S["DecodingServices"]> =>
  Effect.mapError(Schema.decodeUnknownEffect(schema, { errors: "all" })(payload), ({ issue }) => reasonOf(issue))
