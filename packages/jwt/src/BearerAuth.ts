/**
 * Bearer security for `HttpApi` and `HttpRouter`: a request's token becomes the typed identity that handlers ask for, or the
 * request is answered by RFC 6750.
 *
 * **Example** (A route that knows who asks)
 *
 * ```ts
 * import { JwksRegistry } from "@effect-jwks/core"
 * import { JwtVerifierLive, type VerifiedJwt } from "@effect-jwks/jwt"
 * import * as BearerAuth from "@effect-jwks/jwt/BearerAuth"
 * import { FakeProvider, TestRegistry } from "@effect-jwks/testing"
 * import { Context, Effect, Layer, Schema } from "effect"
 * import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
 *
 * const Claims = Schema.Struct({ sub: Schema.String, email: Schema.String })
 *
 * class CurrentUser extends Context.Service<CurrentUser, VerifiedJwt<typeof Claims.Type>>()("app/CurrentUser") {}
 *
 * const auth = BearerAuth.make(CurrentUser, { tenant: "acme", verify: { audience: "orders", claims: Claims } })
 *
 * const Me = HttpRouter.add(
 *   "GET",
 *   "/me",
 *   Effect.map(CurrentUser, ({ claims }) => HttpServerResponse.text(claims.email)),
 * ).pipe(Layer.provide(auth.routes().layer))
 *
 * const program = Effect.gen(function* () {
 *   const { issuer, jwksUrl, token } = yield* FakeProvider
 *   yield* JwksRegistry.register({ tenant: "acme", provider: "idp", issuer, jwksUrl })
 *   const bearer = yield* token({ sub: "ada", email: "ada@example.com", aud: "orders" })
 *   const context = yield* Effect.context<JwksRegistry>()
 *   const app = Me.pipe(Layer.provide(JwtVerifierLive), Layer.provide(Layer.succeedContext(context)))
 *   const { dispose, handler } = HttpRouter.toWebHandler(app.pipe(Layer.provide(HttpServer.layerServices)))
 *   const ask = (headers: Record<string, string>) => handler(new Request("http://orders.test/me", { headers }))
 *   const [accepted, refused] = yield* Effect.promise(() =>
 *     Promise.all([ask({ authorization: `Bearer ${bearer}` }), ask({})]),
 *   )
 *   yield* Effect.promise(dispose)
 *   return [accepted.status, refused.headers.get("www-authenticate")] // => [200, 'Bearer realm="api"']
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Layer.merge(TestRegistry.layer(), FakeProvider.layer())))
 * ```
 */
import { InvalidRegistration, NotRegistered } from "@effect-jwks/core"
import { isAnswered } from "@effect-jwks/core/AnswersNow"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import type * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { unhandled } from "effect/Types"
import {
  type BearerError,
  BearerMissing,
  bearerOf,
  challengeFor,
  describe,
  refusalOf,
  ScopeMissing,
} from "./BearerAnswer.ts"
import {
  type BearerAnswer,
  type definition,
  InsufficientScope,
  KeysUnavailable,
  MalformedCredentials,
  requiredScopes,
  Unauthenticated,
} from "./BearerApi.ts"
import type { ChallengeOptions } from "./internal/Challenge.ts"
import { decodeClaims } from "./internal/ClaimsSchema.ts"
import { refusal } from "./internal/Refusal.ts"
import { issuesOfScopes } from "./internal/RequiredScopes.ts"
import { checkOptions, whole } from "./internal/Policy.ts"
import type { JwtInvalid, VerifyError } from "./JwtError.ts"
import { JwtVerifier } from "./JwtVerifier.ts"
import type { JwtVerifierService } from "./JwtVerifierService.ts"
import { scopesOf } from "./Scopes.ts"
import type { VerifiedJwt } from "./VerifiedJwt.ts"
import type { VerifyOptions, VerifyOptionsWithClaims } from "./VerifyOptions.ts"

// -----------------------------------------------------------------------------
// Options
// -----------------------------------------------------------------------------

/** Fixed, or found out for each request: the effect may ask for the request, its route's parameters and its query. */
export type PerRequest<A, R> = A | Effect.Effect<A, never, R | HttpRouter.Provided>

/** Which tenant a request means, from itself and from the parameters in its route's path. */
export type TenantOf = (
  request: HttpServerRequest.HttpServerRequest,
  params: Readonly<Record<string, string | undefined>>,
) => string | undefined

/** How requests are judged and refused. */
export interface BearerAuthOptions<RT, RH> extends Omit<ChallengeOptions, "scope"> {
  /**
   * Whose providers' tokens are accepted: one tenant, or the one that the request names in its path, its host or a header.
   * Where it names none (`undefined`), no token is accepted. An effect may ask services of the application.
   */
  readonly tenant: string | TenantOf | Effect.Effect<string | undefined, never, RT | HttpRouter.Provided>
  /** Is told of each refusal, with the typed error, which no answer holds: for a counter or an audit. Default: nobody. */
  readonly onRefused?: (error: BearerError) => Effect.Effect<void, never, RH | HttpRouter.Provided>
}

/** What is asked of a token; the identity has what the schema makes of its claims. */
export interface WithClaims<C, RD, RV> {
  /** See `JwtVerifier.verify`; what is left out is as the verifier's layer says. */
  readonly verify: PerRequest<VerifyOptionsWithClaims<Schema.ConstraintDecoder<C, RD>>, RV>
}

/** What is asked of a token; the identity has its claims as they were signed. */
export interface WithoutClaims<RV> {
  /** See `JwtVerifier.verify`; what is left out is as the verifier's layer says. */
  readonly verify?: PerRequest<VerifyOptions, RV>
}

/** The claims of an identity: a `VerifiedJwt` or a part of it; `never` where it has more, which nobody would provide. */
export type ClaimsOf<A> = A extends { readonly claims: infer C } ? ([VerifiedJwt<C>] extends [A] ? C : never) : never

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What HttpApi calls for the scheme `bearer` of a middleware. */
export type Handler<I> = (
  httpEffect: Effect.Effect<HttpServerResponse, unhandled, I>,
  options: { readonly endpoint: HttpApiEndpoint.Top; readonly group: HttpApiGroup.Top },
) => Effect.Effect<HttpServerResponse, unhandled | BearerAnswer, HttpRouter.Provided>

/** Bearer security that provides the identity `I`. */
export interface BearerAuth<I, R> {
  /**
   * Implements an `HttpApiMiddleware.Service` that was declared with `BearerApi.definition`. Its error is about a fixed
   * `verify`.
   */
  readonly layer: <Id, Requires>(
    middleware: Context.Service<
      Id,
      HttpApiMiddleware.HttpApiMiddlewareSecurity<
        (typeof definition)["security"],
        I,
        (typeof definition)["error"],
        Requires
      >
    >,
  ) => Layer.Layer<Id, InvalidRegistration, JwtVerifier | R>
  /**
   * The same as a part, for a middleware that has other schemes or other errors besides.
   *
   * **Gotchas**
   *
   * Where every scheme refuses, `HttpApi` answers as the last one does: name `bearer` last in `security`, or its 400, 403 and
   * 503 become what another scheme says. The others have to ask for `BearerApi.requiredScopes` themselves.
   */
  readonly handler: Effect.Effect<Handler<I>, InvalidRegistration, JwtVerifier | R>
  /**
   * A middleware for routes of an `HttpRouter`, with the same answers: provide its `layer` to the routes.
   *
   * **Gotchas**
   *
   * Each call makes another middleware.
   */
  readonly routes: (options?: { readonly scopes?: ReadonlyArray<string> }) => HttpRouter.Middleware<{
    provides: I
    handles: never
    error: never
    requires: never
    layerError: InvalidRegistration
    layerRequires: JwtVerifier | R
  }>
}

/**
 * Bearer security for an identity: the service that handlers ask for to know who they answer.
 *
 * **Details**
 *
 * The token is taken from `Authorization` (RFC 6750 section 2.1) and from nowhere else. `realm` and `resourceMetadata` go
 * into the challenges. A refused request annotates its span with `jwt.refused`, the tag of the error or of its reason.
 */
export function make<I, A, RD = never, RT = never, RV = never, RH = never>(
  identity: Context.Key<I, A>,
  options: BearerAuthOptions<RT, RH> & WithClaims<ClaimsOf<A>, RD, RV>,
): BearerAuth<I, Exclude<RT | RV | RH, HttpRouter.Provided> | RD>
export function make<I, A, RT = never, RV = never, RH = never>(
  identity: Context.Key<I, A>,
  options: BearerAuthOptions<RT, RH> & ([VerifiedJwt] extends [A] ? WithoutClaims<RV> : never),
): BearerAuth<I, Exclude<RT | RV | RH, HttpRouter.Provided>>
export function make<I, R>(identity: Context.Key<I, VerifiedJwt<unknown>>, options: GuardOptions<R>): BearerAuth<I, R> {
  const guard = makeGuard(identity, options)
  const handler = Effect.map(guard, (guard): Handler<I> => {
    const requiredBy = rememberScopes()
    return (httpEffect, { endpoint, group }) => guard(httpEffect, requiredBy(endpoint, group), Effect.fail)
  })
  return {
    handler,
    layer: (middleware) =>
      Layer.effect(
        middleware,
        Effect.map(handler, (bearer) => middleware.of({ bearer })),
      ),
    routes: ({ scopes = [] } = {}) =>
      HttpRouter.middleware<{ provides: I }>()(
        Effect.map(
          Effect.andThen(checkScopes(scopes), guard),
          (guard) => (httpEffect: Effect.Effect<HttpServerResponse, unhandled, I>) =>
            guard(httpEffect, scopes, HttpServerRespondable.toResponse),
        ),
      ),
  }
}

// -----------------------------------------------------------------------------
// The decision
// -----------------------------------------------------------------------------

interface GuardOptions<R> extends BearerAuthOptions<R, R> {
  readonly verify?: PerRequest<TokenOptions<R>, R>
}

type TokenOptions<R> = VerifyOptions | VerifyOptionsWithClaims<Schema.ConstraintDecoder<unknown, R>>

const hasClaims = <R>(
  options: TokenOptions<R>,
): options is VerifyOptionsWithClaims<Schema.ConstraintDecoder<unknown, R>> =>
  "claims" in options && options.claims !== undefined

const checkScopes = (scopes: ReadonlyArray<string>): Effect.Effect<void, InvalidRegistration> => {
  const issues = issuesOfScopes(scopes)
  return issues.length === 0 ? Effect.void : Effect.fail(new InvalidRegistration({ issues }))
}

type Scopes = ReadonlyArray<string>

/** Lets those through who may, with their identity, and answers the others. */
type Guard<I> = <E>(
  httpEffect: Effect.Effect<HttpServerResponse, unhandled, I>,
  scopes: ReadonlyArray<string>,
  answer: (answer: BearerAnswer) => Effect.Effect<HttpServerResponse, E>,
) => Effect.Effect<HttpServerResponse, unhandled | E, HttpRouter.Provided>

const makeGuard = Effect.fnUntraced(function* <I, R>(
  identity: Context.Key<I, VerifiedJwt<unknown>>,
  options: GuardOptions<R>,
): Effect.fn.Return<Guard<I>, InvalidRegistration, JwtVerifier | R> {
  const { onRefused, verify = {} } = options
  // A bug of the program's shows when it starts, not when it is asked.
  if (!Effect.isEffect(verify)) yield* Effect.fromResult(checkOptions(verify))
  const verifier = yield* JwtVerifier
  const services = yield* Effect.context<R>()

  const verified = verification(verifier, options, services)
  const refuse = (error: BearerError): Effect.Effect<BearerAnswer, never, HttpRouter.Provided> => {
    const told = Effect.annotateCurrentSpan("jwt.refused", error._tag === "JwtInvalid" ? error.reason._tag : error._tag)
    const answer = Effect.as(told, answerTo(error, options))
    return onRefused === undefined ? answer : Effect.andThen(withServices(onRefused(error), services), answer)
  }

  return (httpEffect, scopes, answer) =>
    Effect.contextWith((context: Context.Context<HttpRouter.Provided>) => {
      const { headers } = Context.get(context, HttpServerRequest.HttpServerRequest)
      const token = bearerOf(headers["authorization"])
      if (token === undefined) return Effect.flatMap(refuse(new BearerMissing()), answer)
      const jwt = verified(context, token)
      return Effect.matchEffect(scopes.length === 0 ? jwt : Effect.tap(jwt, (jwt) => lacking(jwt, scopes)), {
        onSuccess: (jwt) =>
          Effect.updateContext(httpEffect, (context: Context.Context<HttpRouter.Provided>) =>
            Context.add(context, identity, jwt),
          ),
        onFailure: (error) => Effect.flatMap(refuse(refusalOf(token, error)), answer),
      })
    })
})

/** With what the application has, beside what belongs to the request. It copies both contexts, so not for every request. */
const withServices = <A, E, R>(
  effect: Effect.Effect<A, E, R | HttpRouter.Provided>,
  services: Context.Context<R>,
): Effect.Effect<A, E, HttpRouter.Provided> =>
  Effect.updateContext(effect, (context: Context.Context<HttpRouter.Provided>) => Context.merge(services, context))

type Verified = Effect.Effect<VerifiedJwt<unknown>, VerifyError, HttpRouter.Provided>

type Verify = (tenant: string | undefined, token: string) => Verified

/** A token's verification as the options ask for it. */
const verification = <R>(
  { verify: verifyToken }: JwtVerifierService,
  { tenant, verify = {} }: GuardOptions<R>,
  services: Context.Context<R>,
): ((request: Context.Context<HttpRouter.Provided>, token: string) => Verified) => {
  const verifyAs = (options: TokenOptions<R>): Verify => {
    if (!hasClaims(options)) {
      return (tenant, token) => (tenant === undefined ? nobody : verifyToken(tenant, token, options))
    }
    const { claims: schema, ...rest } = whole(options)
    const decode = Schema.decodeUnknownEffect(schema)
    return (tenant, token) =>
      tenant === undefined
        ? nobody
        : Effect.flatMap(verifyToken(tenant, token, rest), (jwt) => {
            // Most schemas answer at once; the others, and refusals, are worth a way round.
            const claims = decode(jwt.payload)
            return isAnswered(claims)
              ? Effect.succeed({ ...jwt, claims: claims.value })
              : withClaims(jwt, schema, services)
          })
  }
  const fixed = Effect.isEffect(verify) ? undefined : verifyAs(verify)
  const judge: Verify =
    fixed ??
    ((tenant, token) =>
      Effect.flatMap(withServices(Effect.isEffect(verify) ? verify : Effect.succeed(verify), services), (options) =>
        verifyAs(options)(tenant, token),
      ))
  if (typeof tenant === "string") return (_, token) => judge(tenant, token)
  if (Effect.isEffect(tenant)) {
    return (_, token) => Effect.flatMap(withServices(tenant, services), (tenant) => judge(tenant, token))
  }
  return (context, token) => {
    const request = Context.get(context, HttpServerRequest.HttpServerRequest)
    return judge(tenant(request, Context.get(context, HttpRouter.RouteContext).params), token)
  }
}

/** The request names no tenant. */
const nobody: Verified = Effect.fail(new NotRegistered({ tenant: "" }))

const withClaims = <R>(
  jwt: VerifiedJwt,
  schema: Schema.ConstraintDecoder<unknown, R>,
  services: Context.Context<R>,
): Effect.Effect<VerifiedJwt<unknown>, JwtInvalid> =>
  Effect.mapBoth(
    // Not merged into the request's context: that copies both, for each request.
    Effect.updateContext(decodeClaims(schema, jwt.payload), () => services),
    {
      onSuccess: (claims) => ({ ...jwt, claims }),
      onFailure: (reason) => refusal(jwt.tenant, jwt.provider, reason),
    },
  )

const lacking = (jwt: VerifiedJwt<unknown>, required: ReadonlyArray<string>): Effect.Effect<void, ScopeMissing> => {
  const given = scopesOf(jwt)
  return required.every((scope) => given.has(scope)) ? Effect.void : Effect.fail(new ScopeMissing({ required }))
}

/** The scopes of an endpoint and its group, put together once; one endpoint may stand in two groups. */
const rememberScopes = () => {
  const known = new WeakMap<HttpApiEndpoint.Top, { readonly group: HttpApiGroup.Top; readonly scopes: Scopes }>()
  return (endpoint: HttpApiEndpoint.Top, group: HttpApiGroup.Top): Scopes => {
    const found = known.get(endpoint)
    if (found?.group === group) return found.scopes
    const scopes = requiredScopes({ endpoint, group })
    known.set(endpoint, { group, scopes })
    return scopes
  }
}

// -----------------------------------------------------------------------------
// The answer
// -----------------------------------------------------------------------------

const answerTo = (error: BearerError, options: ChallengeOptions): BearerAnswer => {
  const message = describe(error)
  const { headers, status } = challengeFor(error, options)
  if (status === 503) return new KeysUnavailable({ message, retryAfter: Number(headers["retry-after"]) })
  const challenge = headers["www-authenticate"]
  switch (error._tag) {
    case "BearerMalformed":
      return new MalformedCredentials({ message, challenge })
    case "BearerMissing":
      return new Unauthenticated({ message, challenge })
    case "ScopeMissing":
      return new InsufficientScope({ message, scope: error.required, challenge })
    default:
      return new Unauthenticated({ message, error: "invalid_token", challenge })
  }
}
