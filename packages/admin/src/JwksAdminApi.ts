/**
 * The operators' API as a definition: routes, parameters, answers and errors. Servers, typed clients and the OpenAPI
 * document come from it.
 *
 * **Details**
 *
 * The groups `read`, `health` and `metrics` are those that the option `open` may name. `mutations` always needs the token.
 */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { BadRequest, ProviderNotRegistered, ProviderUnavailable, Unauthorized } from "./AdminErrors.ts"
import { Liveness, NotReady, Ready } from "./HealthModel.ts"
import { Health, ProviderDetail, ProviderPage, RefreshResult } from "./ProviderModel.ts"
import { StreamEvent, TimelinePage } from "./TimelineModel.ts"

/** Lets those through who bear the token, and everybody where the group is open. */
export class Authorization extends HttpApiMiddleware.Service<Authorization>()("@effect-jwks/admin/Authorization", {
  security: { bearer: HttpApiSecurity.bearer },
  error: Unauthorized,
}) {}

/** Says which parameter does not fit, without repeating it. */
export class ParameterErrors extends HttpApiMiddleware.Service<ParameterErrors>()(
  "@effect-jwks/admin/ParameterErrors",
  { error: BadRequest },
) {}

const wholeNumber = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** The largest id or offset that a number holds exactly. */
const anyCount = wholeNumber(0, Number.MAX_SAFE_INTEGER)

const aProvider = { tenant: Schema.String, provider: Schema.String }

/** What providers are sorted by. */
export const ProviderSort = Schema.Literals([
  "name",
  "health",
  "expiry",
  "failures",
  "requests",
  "hitRatio",
  "notModifiedRatio",
])

/** Which providers are asked for, and in which order. */
export const ProviderQuery = Schema.Struct({
  search: Schema.optionalKey(Schema.String).annotateKey({
    description: "Part of tenant, provider or URL, in any case.",
  }),
  tenant: Schema.optionalKey(Schema.String),
  health: Schema.optionalKey(Health),
  sort: Schema.optionalKey(ProviderSort).annotateKey({
    description: "Default: name (tenant, then provider). health: worst first. expiry: soonest first, none last.",
  }),
  order: Schema.optionalKey(Schema.Literals(["asc", "desc"])).annotateKey({ description: "Default: asc." }),
  offset: Schema.optionalKey(anyCount).annotateKey({ description: "Default: 0." }),
  limit: Schema.optionalKey(wholeNumber(1, 500)).annotateKey({ description: "Default: 100." }),
})

/** Which providers are asked for, and in which order. */
export type ProviderQuery = typeof ProviderQuery.Type

const Read = HttpApiGroup.make("read")
  .add(HttpApiEndpoint.get("providers", "/api/providers", { query: ProviderQuery.fields, success: ProviderPage }))
  .add(
    HttpApiEndpoint.get("provider", "/api/providers/:tenant/:provider", {
      params: aProvider,
      success: ProviderDetail,
      error: ProviderNotRegistered,
    }),
  )
  .add(
    HttpApiEndpoint.get("events", "/api/events", {
      query: {
        before: Schema.optionalKey(anyCount).annotateKey({ description: "Only events with a smaller id." }),
        limit: Schema.optionalKey(wholeNumber(1, 1_000)).annotateKey({ description: "Default: 100." }),
      },
      success: TimelinePage,
    }),
  )
  .add(
    HttpApiEndpoint.get("stream", "/api/events/stream", {
      headers: {
        "last-event-id": Schema.optionalKey(Schema.String).annotateKey({
          description: "Resumes after this id; what is no id is ignored.",
        }),
      },
      query: {
        after: Schema.optionalKey(anyCount).annotateKey({
          description: "The same, for who can not set a header; the header goes first.",
        }),
      },
      success: HttpApiSchema.StreamSse({ events: StreamEvent }),
    }),
  )
  .annotateMerge(OpenApi.annotations({ title: "read", description: "Providers and events." }))

const Mutations = HttpApiGroup.make("mutations")
  .add(
    HttpApiEndpoint.post("refresh", "/api/providers/:tenant/:provider/refresh", {
      params: aProvider,
      success: RefreshResult,
      error: [ProviderNotRegistered, ProviderUnavailable],
    }),
  )
  .annotateMerge(
    OpenApi.annotations({ title: "mutations", description: "What changes something; needs the token always." }),
  )

const HealthChecks = HttpApiGroup.make("health")
  .add(HttpApiEndpoint.get("live", "/health/live", { success: Liveness }))
  .add(HttpApiEndpoint.get("ready", "/health/ready", { success: [Ready, NotReady] }))
  .annotateMerge(
    OpenApi.annotations({ title: "health", description: "For whoever starts, stops and routes to processes." }),
  )

const Metrics = HttpApiGroup.make("metrics")
  .add(
    HttpApiEndpoint.get("prometheus", "/metrics", {
      success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" })),
    }),
  )
  .annotateMerge(OpenApi.annotations({ title: "metrics", description: "Prometheus text." }))

/** The operators' API. */
export class JwksAdminApi extends HttpApi.make("jwks-admin")
  .add(Read)
  .add(Mutations)
  .add(HealthChecks)
  .add(Metrics)
  .middleware(ParameterErrors)
  // Added last, so it stands outermost: who may not ask learns nothing of what was wrong with the question.
  .middleware(Authorization)
  .annotateMerge(
    OpenApi.annotations({
      title: "JWKS cache",
      version: "1",
      description: "How the providers of a JWKS cache stand, what happens to their keys, and whether it is ready.",
      // The document lies beside the routes, wherever the application has mounted them.
      servers: [{ url: "." }],
    }),
  ) {}
