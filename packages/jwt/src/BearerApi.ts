/**
 * What a definition of an `HttpApi` says of bearer tokens: the security scheme, the errors of RFC 6750 section 3.1 with their
 * headers, and the scopes of an endpoint. Servers, typed clients and OpenAPI documents read it; a client's program gets
 * nothing else with it.
 */
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ErrorReporter from "effect/ErrorReporter"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import * as Schema from "effect/Schema"
import { challengeText } from "./internal/Challenge.ts"
import { issuesOfScopes, requiredIn, requiring } from "./internal/RequiredScopes.ts"

// -----------------------------------------------------------------------------
// Answers
// -----------------------------------------------------------------------------

const message = Schema.String.annotate({ description: "One readable sentence; nothing from the token." })

/** Of the header, so a browser on another origin may not see it. */
const challenge = Schema.optionalKey(Schema.String)

/** A cache that keeps errors of its own accord, as some in front of applications do, would answer others with them. */
const noStore = { "cache-control": "no-store" } as const

/** Optional for those who read: what is on the wire may be hidden by CORS. */
const challengeHeaders = {
  "www-authenticate": Schema.optionalKey(Schema.String),
  "cache-control": Schema.optionalKey(Schema.String),
}

interface Answer {
  readonly headers: { readonly [name: string]: string }
  readonly body: { readonly [member: string]: unknown }
}

const respond = (status: number, { body, headers }: Answer) =>
  Effect.succeed(HttpServerResponse.jsonUnsafe(body, { status, headers }))

const challenged = (challenge: string) => ({ "www-authenticate": challenge, ...noStore })

/** The `Authorization` header does not hold one bearer token: status 400, `invalid_request`. */
export class MalformedCredentials extends Schema.TaggedError<MalformedCredentials>()(
  "MalformedCredentials",
  {
    message,
    /** `WWW-Authenticate`, where it may be seen. */
    challenge,
  },
  { httpApiStatus: 400 },
) {
  override readonly [ErrorReporter.ignore] = true;
  [HttpServerRespondable.symbol]() {
    return respond(400, malformedAnswer(this))
  }
}

const malformedAnswer = ({ challenge, message }: MalformedCredentials) => ({
  headers: challenged(challenge ?? challengeText({}, { code: "invalid_request", description: message })),
  body: { _tag: "MalformedCredentials", message } as const,
})

/** {@link MalformedCredentials} with its headers, for the `error` of an endpoint; the class alone has the status without them. */
export const MalformedCredentialsWithHeaders = MalformedCredentials.pipe(
  HttpApiSchema.encodeToWithHeaders(
    {
      body: Schema.TaggedStruct("MalformedCredentials", { message })
        .annotate({ identifier: "MalformedCredentials", description: "The credentials are malformed." })
        .pipe(HttpApiSchema.status(400)),
      headers: challengeHeaders,
    },
    {
      decode: ({ body, headers }) => new MalformedCredentials({ message: body.message, ...challengeIn(headers) }),
      encode: malformedAnswer,
    },
  ),
)

/** No token (without `error`), or one that is not accepted (`invalid_token`): status 401. */
export class Unauthenticated extends Schema.TaggedError<Unauthenticated>()(
  "Unauthenticated",
  {
    message,
    error: Schema.optionalKey(Schema.Literal("invalid_token")),
    /** `WWW-Authenticate`, where it may be seen. */
    challenge,
  },
  { httpApiStatus: 401 },
) {
  override readonly [ErrorReporter.ignore] = true;
  [HttpServerRespondable.symbol]() {
    return respond(401, unauthenticatedAnswer(this))
  }
}

const unauthenticatedAnswer = ({ challenge, error, message }: Unauthenticated) => ({
  headers: challenged(
    challenge ?? challengeText({}, error === undefined ? undefined : { code: error, description: message }),
  ),
  body: { _tag: "Unauthenticated", message, ...(error === undefined ? {} : { error }) } as const,
})

/** {@link Unauthenticated} with its headers, for the `error` of an endpoint; the class alone has the status without them. */
export const UnauthenticatedWithHeaders = Unauthenticated.pipe(
  HttpApiSchema.encodeToWithHeaders(
    {
      body: Schema.TaggedStruct("Unauthenticated", {
        message,
        error: Schema.optionalKey(Schema.Literal("invalid_token")),
      })
        .annotate({ identifier: "Unauthenticated", description: "No token, or one that is not accepted." })
        .pipe(HttpApiSchema.status(401)),
      headers: challengeHeaders,
    },
    {
      decode: ({ body: { error, message }, headers }) =>
        new Unauthenticated({ message, ...(error === undefined ? {} : { error }), ...challengeIn(headers) }),
      encode: unauthenticatedAnswer,
    },
  ),
)

/** The token lacks a scope that is needed: status 403, `insufficient_scope`. */
export class InsufficientScope extends Schema.TaggedError<InsufficientScope>()(
  "InsufficientScope",
  {
    message,
    /** All that are needed. */
    scope: Schema.Array(Schema.String),
    /** `WWW-Authenticate`, where it may be seen. */
    challenge,
  },
  { httpApiStatus: 403 },
) {
  override readonly [ErrorReporter.ignore] = true;
  [HttpServerRespondable.symbol]() {
    return respond(403, scopeAnswer(this))
  }
}

const scopeAnswer = ({ challenge, message, scope }: InsufficientScope) => ({
  headers: challenged(challenge ?? challengeText({ scope }, { code: "insufficient_scope", description: message })),
  body: { _tag: "InsufficientScope", message, scope } as const,
})

/** {@link InsufficientScope} with its headers, for the `error` of an endpoint; the class alone has the status without them. */
export const InsufficientScopeWithHeaders = InsufficientScope.pipe(
  HttpApiSchema.encodeToWithHeaders(
    {
      body: Schema.TaggedStruct("InsufficientScope", { message, scope: Schema.Array(Schema.String) })
        .annotate({ identifier: "InsufficientScope", description: "The token lacks a scope." })
        .pipe(HttpApiSchema.status(403)),
      headers: challengeHeaders,
    },
    {
      decode: ({ body: { message, scope }, headers }) =>
        new InsufficientScope({ message, scope, ...challengeIn(headers) }),
      encode: scopeAnswer,
    },
  ),
)

const seconds = Schema.Int.annotate({ description: "When asking again may help, in seconds from now." })

/** The issuer's keys can not be had, so nothing is said of the token: status 503. */
export class KeysUnavailable extends Schema.TaggedError<KeysUnavailable>()(
  "KeysUnavailable",
  {
    message,
    /** When asking again may help, in whole seconds from now; the header `Retry-After` says the same. */
    retryAfter: seconds,
  },
  { httpApiStatus: 503 },
) {
  override readonly [ErrorReporter.ignore] = true;
  [HttpServerRespondable.symbol]() {
    return respond(503, unavailableAnswer(this))
  }
}

const unavailableAnswer = ({ message, retryAfter }: KeysUnavailable) => ({
  headers: { "retry-after": String(retryAfter), ...noStore },
  body: { _tag: "KeysUnavailable", message, retryAfter } as const,
})

/** {@link KeysUnavailable} with its headers, for the `error` of an endpoint; the class alone has the status without them. */
export const KeysUnavailableWithHeaders = KeysUnavailable.pipe(
  HttpApiSchema.encodeToWithHeaders(
    {
      body: Schema.TaggedStruct("KeysUnavailable", { message, retryAfter: seconds })
        .annotate({ identifier: "KeysUnavailable", description: "The issuer's keys can not be had." })
        .pipe(HttpApiSchema.status(503)),
      headers: {
        // What stands between may write a date instead.
        "retry-after": Schema.optionalKey(Schema.String),
        "cache-control": Schema.optionalKey(Schema.String),
      },
    },
    {
      decode: ({ body: { message, retryAfter } }) => new KeysUnavailable({ message, retryAfter }),
      encode: unavailableAnswer,
    },
  ),
)

const challengeIn = (headers: { readonly "www-authenticate"?: string }) =>
  headers["www-authenticate"] === undefined ? {} : { challenge: headers["www-authenticate"] }

/** How a request is refused. */
export type BearerAnswer = MalformedCredentials | Unauthenticated | InsufficientScope | KeysUnavailable

// -----------------------------------------------------------------------------
// Definition
// -----------------------------------------------------------------------------

/** `Authorization: Bearer <JWT>`. */
export const bearer: HttpApiSecurity.Http = HttpApiSecurity.bearer.pipe(
  HttpApiSecurity.annotateMerge(OpenApi.annotations({ format: "JWT" })),
)

/**
 * What `HttpApiMiddleware.Service` has to know: the scheme, and the errors with their headers. `BearerAuth.layer` implements
 * it.
 *
 * **Example**
 *
 * ```ts
 * import type { VerifiedJwt } from "@effect-jwks/jwt"
 * import * as BearerApi from "@effect-jwks/jwt/BearerApi"
 * import { Context, Schema } from "effect"
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware, OpenApi } from "effect/http-api"
 *
 * class CurrentUser extends Context.Service<CurrentUser, VerifiedJwt>()("app/CurrentUser") {}
 *
 * class Authorization extends HttpApiMiddleware.Service<Authorization, { provides: CurrentUser }>()(
 *   "app/Authorization",
 *   BearerApi.definition,
 * ) {}
 *
 * const Orders = HttpApiGroup.make("orders")
 *   .add(HttpApiEndpoint.get("list", "/orders", { success: Schema.Array(Schema.String) }))
 *   .middleware(Authorization)
 *
 * const { paths } = OpenApi.fromApi(HttpApi.make("shop").add(Orders))
 * console.log(paths["/orders"]?.get?.security) // => [ { bearer: [] } ]
 * ```
 */
export const definition = {
  security: { bearer },
  error: [
    MalformedCredentialsWithHeaders,
    UnauthenticatedWithHeaders,
    InsufficientScopeWithHeaders,
    KeysUnavailableWithHeaders,
  ],
} as const

// -----------------------------------------------------------------------------
// Scopes
// -----------------------------------------------------------------------------

/** An endpoint or a group, as far as scopes can be required of it; `A` is what it is with them. */
export interface Guardable<out A extends object> {
  readonly annotations: Context.Context<never>
  readonly annotateMerge: (annotations: Context.Context<never>) => A
  /** Those of a group. */
  readonly endpoints?: { readonly [name: string]: Guardable<object> }
  /** What an `HttpApi` has: the middleware knows the endpoint and its group alone. */
  readonly groups?: never
}

/**
 * Requires scopes for an endpoint or a group: a token that lacks one is answered with 403.
 *
 * **Details**
 *
 * They add to those that are required already, so the order does not matter, and nothing that is merged into annotations takes
 * one away. On a group they are needed for all its endpoints. The OpenAPI document names all of them at the operation
 * (OpenAPI 3.1, Security Requirement Object). Throws a `TypeError` for what is no scope (RFC 6749 section 3.3).
 *
 * **Gotchas**
 *
 * The middleware asks for them, so they do nothing for an endpoint without it. The document is made by `OpenApi.Transform`:
 * one that is there is kept, one that is annotated afterwards takes its place, and endpoints that are added to a group
 * afterwards are guarded, but not in the document.
 *
 * **Example**
 *
 * ```ts
 * import * as BearerApi from "@effect-jwks/jwt/BearerApi"
 * import { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 *
 * HttpApiGroup.make("orders")
 *   .add(HttpApiEndpoint.delete("cancel", "/orders/:id").pipe(BearerApi.requireScopes("orders:write")))
 *   .pipe(BearerApi.requireScopes("shop"))
 * ```
 */
export const requireScopes =
  (...scopes: readonly [string, ...ReadonlyArray<string>]): (<A extends object>(self: Guardable<A>) => A) =>
  (self) => {
    const [issue] = issuesOfScopes(scopes)
    if (issue !== undefined) throw new TypeError(`requireScopes: ${issue.field} ${issue.rule}`)
    const required = requiring(scopes)
    const { endpoints } = self
    if (endpoints === undefined) return self.annotateMerge(Context.merge(required, documenting(self, scopes)))
    const documented = Record.map(endpoints, (endpoint) => endpoint.annotateMerge(documenting(endpoint, scopes)))
    // A copy already, which nobody else has.
    return Object.assign(self.annotateMerge(required), { endpoints: documented })
  }

/** The scopes that an endpoint needs with those of its group: for the other schemes of a middleware, which have to ask for them. */
export const requiredScopes = ({
  endpoint,
  group,
}: {
  readonly endpoint: Pick<Guardable<object>, "annotations">
  readonly group: Pick<Guardable<object>, "annotations">
}): ReadonlyArray<string> => Arr.union(requiredIn(group.annotations), requiredIn(endpoint.annotations))

/** The operation of the document names the scopes beside those that it names. */
const documenting = ({ annotations }: Guardable<object>, scopes: ReadonlyArray<string>) => {
  const before = Context.getOption(annotations, OpenApi.Transform)
  return OpenApi.annotations({
    transform: (operation) => {
      const made = Option.isSome(before) ? before.value(operation) : operation
      return { ...made, security: securedWith(made["security"], scopes) }
    },
  })
}

const securedWith = (security: unknown, scopes: ReadonlyArray<string>): unknown =>
  Array.isArray(security) ? security.map((requirement: unknown) => scoped(requirement, scopes)) : security

const scoped = (requirement: unknown, scopes: ReadonlyArray<string>): unknown =>
  isRequirement(requirement) ? { ...requirement, bearer: Arr.union(requirement.bearer, scopes) } : requirement

const isRequirement = Schema.is(Schema.Struct({ bearer: Schema.Array(Schema.String) }))
