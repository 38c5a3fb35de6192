/**
 * The whole API behind one door of the application's router: what comes through it is answered here, with the same
 * headers, whether or not there is such a route.
 */
import type { JwksRegistry } from "@effect-jwks/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import { HttpServerError } from "effect/http/HttpServerError"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { NotFound, type Unauthorized } from "../AdminErrors.ts"
import { JwksAdminApi } from "../JwksAdminApi.ts"
import { Access, authorizationLayer, unauthorized } from "./Access.ts"
import type { AdminSettings } from "./AdminSettings.ts"
import { handlersLayer } from "./Handlers.ts"
import { pageResponse } from "./Page.ts"
import { parameterErrorsLayer } from "./ParameterErrors.ts"
import type { Timeline } from "./Timeline.ts"

/** On every answer, errors and defects included. */
const securityHeaders = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "x-frame-options": "DENY",
}

/** RFC 6750 section 3. */
const challenge = { "www-authenticate": 'Bearer realm="jwks-admin"' }

const guardHeaders: HttpEffect.PreResponseHandler = (_, response) =>
  Effect.succeed(
    HttpServerResponse.setHeaders(
      response,
      response.status === 401 ? { ...securityHeaders, ...challenge } : securityHeaders,
    ),
  )

/** An error as the definition would write it. */
const errorResponse = (status: 401 | 404, { _tag, message }: Unauthorized | NotFound) =>
  HttpServerResponse.jsonUnsafe({ _tag, message }, { status })

const notFound = new NotFound({ message: "nothing is here, or not with this method; see openapi.json" })

/** Where there is no route, only who may ask for everything learns of it. */
const noRoute = Effect.map(
  Effect.flatMap(Access, ({ admitsRequest }) => admitsRequest(undefined)),
  (isAdmitted) => (isAdmitted ? errorResponse(404, notFound) : errorResponse(401, unauthorized)),
)

const isNoRoute = (error: unknown): boolean => error instanceof HttpServerError && error.reason._tag === "RouteNotFound"

/** The page and the OpenAPI document, which belong to reading. */
const extraRoutes = HttpRouter.use((router) =>
  Effect.gen(function* () {
    const { admitsRequest } = yield* Access
    yield* router.add(
      "GET",
      "/",
      Effect.map(admitsRequest("read"), (isAdmitted) => pageResponse(isAdmitted ? 200 : 401)),
    )
    const document = HttpServerResponse.jsonUnsafe(OpenApi.fromApi(JwksAdminApi))
    yield* router.add(
      "GET",
      "/openapi.json",
      Effect.map(admitsRequest("read"), (isAdmitted) => (isAdmitted ? document : errorResponse(401, unauthorized))),
    )
  }),
)

/**
 * A router that nobody else adds to: what is not found here can still be told from what the application has.
 * Names are up to 128 characters, each of which may be written as three.
 */
const privateRouter = HttpRouter.make.pipe(
  Effect.provideService(HttpRouter.RouterConfig, { maxParamLength: 128, ignoreTrailingSlash: false }),
)

const pathOf = (url: string): string => /^[^?#]*/.exec(url)?.[0] ?? ""

/** Asks for the page without the slash at its end, where its relative URLs would lead past the API. */
const lacksSlash = ({ method, originalUrl, url }: HttpServerRequest.HttpServerRequest): boolean =>
  (method === "GET" || method === "HEAD") && pathOf(url) === "/" && !pathOf(originalUrl).endsWith("/")

/** Everything behind the door: whatever comes, the answer has the headers, and nothing fails but by a defect. */
const makeAnswer = Effect.fnUntraced(function* ({ readiness, ...access }: AdminSettings) {
  const inner = yield* privateRouter
  const routes = Layer.merge(HttpApiBuilder.layer(JwksAdminApi), extraRoutes).pipe(
    Layer.provide(handlersLayer(readiness)),
    Layer.provide([authorizationLayer, parameterErrorsLayer]),
    Layer.provideMerge(Access.layer(access)),
    Layer.provide([Layer.succeed(HttpRouter.HttpRouter, inner), HttpServer.layerServices]),
  )
  const context = Context.pick(Access)(yield* Layer.build(routes))
  const behindDoor = <E, R>(effect: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
    HttpEffect.withPreResponseHandler(Effect.provideContext(effect, context), guardHeaders)
  return {
    answer: behindDoor(Effect.catch(inner.asHttpEffect(), (error) => (isNoRoute(error) ? noRoute : Effect.die(error)))),
    /** To what is not even a path of ours. */
    nothing: behindDoor(noRoute),
  }
})

/** Mounts the API at the settings' path in the application's router. */
export const mount = (
  settings: AdminSettings,
): Layer.Layer<never, never, HttpRouter.HttpRouter | JwksRegistry | Timeline> =>
  Layer.unwrap(Effect.map(makeAnswer(settings), ({ answer }) => mountAnswer(settings, answer)))

type Answer = Effect.Success<ReturnType<typeof makeAnswer>>["answer"]

const mountAnswer = (settings: AdminSettings, answer: Answer): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  HttpRouter.use((router) =>
    Effect.gen(function* () {
      const name = settings.path.slice(settings.path.lastIndexOf("/") + 1)
      const toThePage = HttpServerResponse.empty({ status: 308, headers: { location: `${name}/` } }).pipe(
        HttpServerResponse.setHeaders(securityHeaders),
      )
      yield* router
        .prefixed(settings.path)
        .add("*", "/*", (request) => (settings.path !== "" && lacksSlash(request) ? Effect.succeed(toThePage) : answer))
    }),
  )

/** Serves the API alone: also what no router can read, such as `/%`, is answered behind the door. */
export const serveAlone = (
  settings: AdminSettings,
): Layer.Layer<never, never, HttpServer.HttpServer | JwksRegistry | Timeline> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { answer, nothing } = yield* makeAnswer(settings)
      if (settings.path === "") return HttpServer.serve(answer)
      const outer = yield* privateRouter
      yield* Layer.build(Layer.provide(mountAnswer(settings, answer), Layer.succeed(HttpRouter.HttpRouter, outer)))
      return HttpServer.serve(
        Effect.catch(outer.asHttpEffect(), (error) => (isNoRoute(error) ? nothing : Effect.die(error))),
      )
    }),
  )
