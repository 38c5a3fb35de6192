/**
 * Parameters that do not fit, told by name; what was written is not repeated.
 */
import * as Effect from "effect/Effect"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import type * as Layer from "effect/Layer"
import * as SchemaIssue from "effect/SchemaIssue"
import { BadRequest } from "../AdminErrors.ts"
import { ParameterErrors } from "../JwksAdminApi.ts"

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** Answers 400; an answer of ours that does not fit its schema stays a defect. */
export const parameterErrorsLayer: Layer.Layer<ParameterErrors> = HttpApiMiddleware.layerSchemaErrorTransform(
  ParameterErrors,
  (error) => {
    if (error.kind === "Body" || error.kind === "ResponseHeaders") return Effect.die(error)
    const names = new Set(issuesOf(error.cause.issue).issues.map(({ path }) => (path ?? []).map(String).join(".")))
    return Effect.fail(
      new BadRequest({
        message: `${error.kind.toLowerCase()}: ${Array.from(names).join(", ")} can not be used; see openapi.json`,
      }),
    )
  },
)
