/**
 * An identity provider without a transport: which URLs it has, and what it answers to a request. Both
 * twins are this with a way to be reached.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { JWTPayload } from "jose"
import type { Endpoint } from "../Faults.ts"
import type { IdentityProvider, IdentityProviderOptions } from "../IdentityProvider.ts"
import * as ProviderKeys from "../ProviderKeys.ts"
import * as Representation from "../Representation.ts"
import * as RequestLog from "../RequestLog.ts"
import type { ResponseSettings } from "../ResponseSettings.ts"
import * as FaultControl from "./FaultControl.ts"
import * as Reply from "./Reply.ts"

/** A request as it arrived. */
export interface ReceivedRequest {
  readonly method: string
  readonly url: URL
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
}

/** What a transport does with a request. */
export interface ReceivedExchange {
  /** What to answer, once it is time to. */
  readonly reply: Effect.Effect<Reply.Reply>
  /** To be called when the exchange is over. */
  readonly ended: (clientLeft: boolean) => void
}

/** {@link IdentityProvider} with the side that a transport sees. */
export interface ReachableProvider extends IdentityProvider {
  /** What this provider has at a URL, by origin and path; `undefined` for nothing. */
  readonly endpointOf: (url: URL) => Exclude<Endpoint, "other"> | undefined
  /** Records a request and settles what it gets, at once. */
  readonly receive: (request: ReceivedRequest) => ReceivedExchange
}

const discoveryUrlOf = (issuer: string, form: IdentityProviderOptions["discovery"]): string => {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, "")
  return form === "oauth"
    ? `${origin}/.well-known/oauth-authorization-server${path}`
    : `${origin}${path}/.well-known/openid-configuration`
}

const place = (url: URL): string => `${url.origin}${url.pathname}`

/** A provider under these URLs; its times are those of the clock that it is made with. */
export const make = Effect.fnUntraced(function* (
  issuer: string,
  jwksUrl: string,
  options: IdentityProviderOptions = {},
): Effect.fn.Return<ReachableProvider, never, Scope.Scope> {
  const { discovery = "openid", keptRequests = 100 } = options
  const clock = yield* Clock.Clock
  const keys = yield* ProviderKeys.make(options.keys)
  const faults = FaultControl.make()
  const log = RequestLog.make(keptRequests)
  const discoveryUrl = discoveryUrlOf(issuer, discovery)

  let settings = options.response ?? {}
  let members: Readonly<Record<string, unknown>> = {
    issuer,
    jwks_uri: jwksUrl,
    authorization_endpoint: new URL("/authorize", issuer).href,
    token_endpoint: new URL("/token", issuer).href,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: [keys.current.alg],
    ...options.metadata,
  }
  let metadata = Representation.make(members, clock.currentTimeMillisUnsafe())

  const places = new Map<string, Exclude<Endpoint, "other">>([
    ...(discovery === "none" ? [] : [[place(new URL(discoveryUrl)), "discovery"] as const]),
    [place(new URL(jwksUrl)), "jwks"],
  ])
  const endpointOf = (url: URL) => places.get(place(url))

  const answers = (request: ReceivedRequest, endpoint: Endpoint, now: number) => {
    const date = Representation.httpDate(now)
    if (endpoint === "other" || request.method !== "GET") {
      const right = endpoint === "other" ? Reply.bare(404, { date }) : Reply.bare(405, { date, allow: "GET" })
      return { right, full: right }
    }
    const held: Reply.Held =
      endpoint === "jwks"
        ? {
            representation: keys.document,
            contentType: settings.contentType ?? "application/jwk-set+json",
            settings,
            now,
          }
        : { representation: metadata, contentType: "application/json", settings, now }
    return { right: Reply.represent(held, request.headers), full: Reply.represent(held, {}) }
  }

  const own = {
    issuer,
    jwksUrl,
    discoveryUrl,
    keys,
    faults,
    token: (claims: JWTPayload = {}, how?: ProviderKeys.SignOptions) =>
      Effect.suspend(() => {
        const iat = Math.floor(clock.currentTimeMillisUnsafe() / 1000)
        return keys.sign({ iss: issuer, iat, exp: iat + 3600, ...claims }, how)
      }),
    respondWith: (changes: ResponseSettings) =>
      Effect.sync(() => {
        settings = { ...settings, ...changes }
      }),
    publishMetadata: (changes: Readonly<Record<string, unknown>>) =>
      Effect.sync(() => {
        members = { ...members, ...changes }
        metadata = Representation.next(metadata, members, clock.currentTimeMillisUnsafe())
      }),
    endpointOf,
    receive: (request: ReceivedRequest): ReceivedExchange => {
      const now = clock.currentTimeMillisUnsafe()
      const endpoint = endpointOf(request.url) ?? "other"
      const met = faults.meet(endpoint)
      const reply = Reply.spoil(met.fault, answers(request, endpoint, now), settings, now)
      const exchange = log.arrived({
        method: request.method,
        url: request.url.href,
        endpoint,
        headers: request.headers,
        at: now,
        fault: met.fault?._tag,
      })
      return {
        reply: Effect.map(met.wait, () => {
          if (reply._tag === "Answer") exchange.answered(reply.status)
          return reply
        }),
        ended: exchange.ended,
      }
    },
  }
  // Assigned to the log and not spread, so that its counters stay live.
  return Object.assign(log, own)
})
