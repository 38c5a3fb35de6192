/**
 * Liveness and readiness as the API gives them.
 */
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"

/** The process answers. */
export const Liveness = Schema.Struct({ alive: Schema.Literal(true) })

const readiness = {
  policy: Schema.Literals(["all", "some", "critical"]),
  usable: Schema.Int.annotate({ description: "Providers that can answer now, of those that the policy looks at." }),
  total: Schema.Int.annotate({ description: "Providers that the policy looks at." }),
  missing: Schema.Array(Schema.Struct({ tenant: Schema.String, provider: Schema.String })).annotate({
    description: "At most 20 of the others.",
  }),
}

/** The policy holds: status 200. */
export const Ready = Schema.Struct({ ready: Schema.Literal(true), ...readiness }).annotate({ identifier: "Ready" })

/** The policy does not hold: status 503. */
export const NotReady = Schema.Struct({ ready: Schema.Literal(false), ...readiness })
  .annotate({ identifier: "NotReady" })
  .pipe(HttpApiSchema.status(503))

/** Whether the policy holds, and who is missing. */
export type Readiness = typeof Ready.Type | typeof NotReady.Type
