/**
 * The operators' API, mounted beside an application's routes or served alone, and a client for it.
 */
import type { InvalidRegistration, JwksRegistry } from "@effect-jwks/core"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type { JwksAdminOptions } from "./AdminOptions.ts"
import { type AdminSettings, resolveSettings } from "./internal/AdminSettings.ts"
import { mount, serveAlone } from "./internal/Mount.ts"
import { Timeline } from "./internal/Timeline.ts"
import { JwksAdminApi } from "./JwksAdminApi.ts"

const checked = <A, E, R>(
  options: JwksAdminOptions,
  build: (settings: AdminSettings) => Layer.Layer<A, E, R>,
): Layer.Layer<A, E | InvalidRegistration, R> =>
  Layer.unwrap(Effect.map(Effect.fromResult(resolveSettings(options)), build))

/**
 * Adds the API and the page to the application's router.
 *
 * **Details**
 *
 * Give a `path`, or every path that no other route has is answered here. Wrong options fail the layer with
 * `InvalidRegistration`. The metrics are those of the metric registry in the layer's context.
 *
 * **Gotchas**
 *
 * A server that closes waits for the answers under way, and an event stream is one without an end: give it a short
 * `gracefulShutdownTimeout`. {@link layer} ends them by itself.
 *
 * **Example** (Nothing without the token)
 *
 * ```ts
 * import { JwksAdmin } from "@effect-jwks/admin"
 * import { TestRegistry } from "@effect-jwks/testing"
 * import * as HttpRouter from "effect/http/HttpRouter"
 * import * as Layer from "effect/Layer"
 * import * as Redacted from "effect/Redacted"
 *
 * const token = "a-token-that-nobody-guesses"
 * const Admin = JwksAdmin.routes({ token: Redacted.make(token), path: "/admin/jwks" })
 * const { dispose, handler } = HttpRouter.toWebHandler(Layer.provide(Admin, TestRegistry.layer()))
 *
 * const url = "http://shop.test/admin/jwks/api/providers"
 * const stranger = await handler(new Request(url))
 * const operator = await handler(new Request(url, { headers: { authorization: `Bearer ${token}` } }))
 * const statuses = [stranger.status, operator.status] // => [401, 200]
 * await dispose()
 * ```
 */
export const routes = (
  options: JwksAdminOptions,
): Layer.Layer<never, InvalidRegistration, HttpRouter.HttpRouter | JwksRegistry> =>
  checked(options, (settings) => Layer.provide(mount(settings), Timeline.layer))

/** The same with options from effect's `Config`; a `ConfigError` names the key. */
export const routesConfig = (
  config: Config.Wrap<JwksAdminOptions>,
): Layer.Layer<never, InvalidRegistration | Config.ConfigError, HttpRouter.HttpRouter | JwksRegistry> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), routes))

/** Built after the server, so that it ends first: a server that closes waits for the answers under way. */
const endStreams = Layer.effectDiscard(
  Effect.flatMap(Timeline, (timeline) => Effect.addFinalizer(() => Effect.sync(() => timeline.close()))),
)

/**
 * Serves the API and the page, and nothing else, on a server of their own.
 *
 * **Details**
 *
 * Requests are not logged: they tell of operators, not of logins. Wrong options fail the layer with
 * `InvalidRegistration`.
 */
export const layer = (
  options: JwksAdminOptions,
): Layer.Layer<never, InvalidRegistration, HttpServer.HttpServer | JwksRegistry> =>
  checked(options, (settings) =>
    endStreams.pipe(Layer.provideMerge(serveAlone(settings)), Layer.provide(Timeline.layer)),
  )

/** The same with options from effect's `Config`; a `ConfigError` names the key. */
export const layerConfig = (
  config: Config.Wrap<JwksAdminOptions>,
): Layer.Layer<never, InvalidRegistration | Config.ConfigError, HttpServer.HttpServer | JwksRegistry> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))

/** Where the API is, and what to bear there. */
export interface JwksAdminClientOptions {
  /** Where it is mounted, such as `https://shop.internal/admin/jwks`. */
  readonly baseUrl: string | URL
  readonly token?: string | Redacted.Redacted<string>
}

/** A typed client: `client.read.providers`, `client.mutations.refresh`, `client.health.ready` and so on. */
export const client = ({
  baseUrl,
  token,
}: JwksAdminClientOptions): Effect.Effect<HttpApiClient.ForApi<typeof JwksAdminApi>, never, HttpClient.HttpClient> =>
  HttpApiClient.make(JwksAdminApi, {
    baseUrl: baseUrl.toString().replace(/\/$/, ""),
    transformClient: (client) =>
      token === undefined ? client : HttpClient.mapRequest(client, HttpClientRequest.bearerToken(token)),
  })
