/**
 * An identity provider without a socket, behind an `HttpClient`: for tests that run on `TestClock`
 * from beginning to end.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { HttpClientError, TransportError } from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { IdentityProvider, IdentityProviderOptions } from "./IdentityProvider.ts"
import * as ReachableProvider from "./internal/ReachableProvider.ts"
import { ScriptedResponse } from "./internal/ScriptedResponse.ts"
import { fetchFailed } from "./internal/transportErrors.ts"

/** How a provider without a socket begins. */
export interface ScriptedProviderOptions extends IdentityProviderOptions {
  /** Any absolute URL; nothing is ever sent there. Default: `https://idp.test`. */
  readonly issuer?: string
  /** Default: `/jwks` under the issuer. */
  readonly jwksUrl?: string
}

// What `make` has made: the side of a provider that a client talks to.
const made = new WeakMap<IdentityProvider, ReachableProvider.ReachableProvider>()

const reach = (provider: IdentityProvider): ReachableProvider.ReachableProvider => {
  const reachable = made.get(provider)
  if (reachable === undefined) throw new TypeError(`${provider.issuer}: write a provider of ScriptedProvider.make`)
  return reachable
}

const unreachable = (request: HttpClientRequest.HttpClientRequest, code: "ECONNREFUSED" | "ENOTFOUND", url: URL) =>
  Effect.fail(new HttpClientError({ reason: new TransportError({ request, cause: fetchFailed(code, url.host) }) }))

const isAt = (url: URL) => (provider: IdentityProvider) =>
  new URL(provider.issuer).origin === url.origin || new URL(provider.jwksUrl).origin === url.origin

/**
 * An identity provider without a socket.
 *
 * **Details**
 *
 * Answers at once and without promises: what happens, happens on the test's clock. A request without a
 * fault takes no time. Responses do not follow redirects, and statuses 204 and 304 have no body, as
 * with fetch and `redirect: "manual"`.
 *
 * Several providers can stand behind one client. A request goes to the provider that has something at
 * its URL, else to the first at its origin (which answers 404); another origin fails as an unknown
 * host does.
 *
 * **Gotchas**
 *
 * The provider tells the time by the clock that it is made with: make it inside the test.
 *
 * Generating keys takes real time, but only when the provider is made and when its spare keys are
 * used up; signing takes real time too. Do both on the test's own fiber.
 *
 * **Example** (An outage, a minute later)
 *
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as HttpClient from "effect/http/HttpClient"
 * import * as Layer from "effect/Layer"
 * import * as TestClock from "effect/testing/TestClock"
 * import { ScriptedProvider } from "@effect-jwks/testing"
 *
 * const program = Effect.gen(function* () {
 *   const provider = yield* ScriptedProvider
 *   yield* TestClock.adjust("1 minute")
 *   yield* provider.faults.status(503, { next: 1 })
 *   const response = yield* HttpClient.get(provider.jwksUrl)
 *   return [response.status, provider.log[0]?.at] // => [503, 60000]
 * })
 *
 * const layer = ScriptedProvider.layer().pipe(Layer.provideMerge(TestClock.layer()))
 * await Effect.runPromise(Effect.provide(program, layer))
 * ```
 */
export class ScriptedProvider extends Context.Service<ScriptedProvider, IdentityProvider>()(
  "@effect-jwks/testing/ScriptedProvider",
) {
  /** A provider; reach it through {@link ScriptedProvider.client}. */
  static readonly make = Effect.fnUntraced(function* (
    options: ScriptedProviderOptions = {},
  ): Effect.fn.Return<IdentityProvider, never, Scope.Scope> {
    const { issuer = "https://idp.test", jwksUrl = `${issuer.replace(/\/$/, "")}/jwks` } = options
    const provider = yield* ReachableProvider.make(issuer, jwksUrl, options)
    made.set(provider, provider)
    return provider
  })

  /** A client that reaches these providers and nothing else. */
  static readonly client = (...providers: ReadonlyArray<IdentityProvider>): HttpClient.HttpClient => {
    const known = providers.map(reach)
    return HttpClient.make((request, url) =>
      Effect.suspend(() => {
        const provider = known.find(({ endpointOf }) => endpointOf(url) !== undefined) ?? known.find(isAt(url))
        if (provider === undefined) return unreachable(request, "ENOTFOUND", url)
        const exchange = provider.receive({ method: request.method, url, headers: { ...request.headers } })
        return exchange.reply.pipe(
          Effect.flatMap((reply) => {
            if (reply._tag === "Silence") return Effect.never
            exchange.ended(false)
            return reply._tag === "Refusal"
              ? unreachable(request, "ECONNREFUSED", url)
              : Effect.succeed(new ScriptedResponse(request, url, reply))
          }),
          Effect.onInterrupt(() => Effect.sync(() => exchange.ended(true))),
        )
      }),
    )
  }

  /** The client for these providers as a layer. */
  static readonly layerClient = (...providers: ReadonlyArray<IdentityProvider>): Layer.Layer<HttpClient.HttpClient> =>
    Layer.succeed(HttpClient.HttpClient, ScriptedProvider.client(...providers))

  /** One provider, and the client that reaches it. */
  static readonly layer = (options?: ScriptedProviderOptions): Layer.Layer<ScriptedProvider | HttpClient.HttpClient> =>
    Layer.effectContext(
      Effect.map(ScriptedProvider.make(options), (provider) =>
        Context.make(ScriptedProvider, provider).pipe(
          Context.add(HttpClient.HttpClient, ScriptedProvider.client(provider)),
        ),
      ),
    )
}
