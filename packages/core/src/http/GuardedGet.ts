/**
 * One GET that goes only where the URL policy allows: every hop is checked before it is sent, redirects
 * are followed by hand, the body is read under a limit, and nothing of the caller leaks (cookies,
 * credentials, trace headers, spans with full URLs). Pins go with every hop, and a response that does not
 * attest them is not read. No timeout in here: the caller times the whole.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Url from "effect/http/Url"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { displayUrl, type UnavailableReason } from "../JwksError.ts"
import { checkRedirect, checkUrl, type UrlPolicy } from "../security/UrlPolicy.ts"
import { type FetchFailure, retryAfterMillis } from "./RetryPolicy.ts"
import { TransportDemand } from "./Transport.ts"
import { transportFailed } from "./TransportFailure.ts"

/** What to get, and within which bounds. */
export interface GuardedRequest {
  readonly url: URL
  readonly accept: string
  /** Further headers for a hop: what belongs to one URL must not follow a redirect. */
  readonly headersFor: (hop: URL) => Readonly<Record<string, string>>
  readonly policy: UrlPolicy
  /** Of each hop, as in {@link TransportDemand}. */
  readonly pins: ReadonlyArray<string>
  readonly maxRedirects: number
  /** Decoded bytes. */
  readonly maxResponseBytes: number
}

/** A response that is worth reading. */
export interface GuardedResponse {
  readonly status: 200 | 304
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  /** The last hop, without fragment. */
  readonly url: URL
  /** Empty for 304. */
  readonly body: Uint8Array
}

const fail = (reason: UnavailableReason): Effect.Effect<never, FetchFailure> => Effect.fail({ reason })

/** GETs a URL and follows its redirects. */
export const guardedGet = Effect.fnUntraced(function* (
  client: HttpClient.HttpClient,
  request: GuardedRequest,
): Effect.fn.Return<GuardedResponse, FetchFailure> {
  const visited = new Set<string>()
  let url = new URL(request.url)
  url.hash = ""
  const refused = checkUrl(url, request.policy)
  if (refused !== undefined) return yield* fail(refused)
  while (true) {
    visited.add(url.href)
    // Closing the scope aborts a response that was not read to its end, so it holds no connection.
    const hop = yield* Effect.scoped(runHop(client, url, request))
    if (hop._tag === "Arrived") return hop.response
    const refuse = (rule: string) => fail({ _tag: "RedirectRefused", url: displayUrl(url), rule })
    if (visited.size > request.maxRedirects) return yield* refuse(`more than ${request.maxRedirects} redirects`)
    const next = checkRedirect(url, hop.location, request.policy)
    if (Result.isFailure(next)) return yield* fail(next.failure)
    if (visited.has(next.success.href)) return yield* refuse("the redirects go in circles")
    url = next.success
  }
})

// -----------------------------------------------------------------------------
// One hop
// -----------------------------------------------------------------------------

type Hop =
  | { readonly _tag: "Arrived"; readonly response: GuardedResponse }
  | { readonly _tag: "Redirected"; readonly location: string }

/** RFC 9110 section 15.4: 300, 304, 305 and 306 are no redirects that a client follows by itself. */
const redirectStatuses = new Set([301, 302, 303, 307, 308])

const runHop = Effect.fnUntraced(function* (
  client: HttpClient.HttpClient,
  url: URL,
  request: GuardedRequest,
): Effect.fn.Return<Hop, FetchFailure, Scope.Scope> {
  const response = yield* send(client, url, request)
  const refuse = (rule: string) => fail({ _tag: "RedirectRefused", url: displayUrl(url), rule })
  if (!isAnswerOf(response.url, url)) return yield* refuse("the HTTP client followed a redirect on its own")
  // Fetch, "opaque-redirect filtered response": browsers hide where a redirect leads.
  if (response.status === 0) return yield* refuse("the runtime hides redirects")

  const headers: Readonly<Record<string, string>> = { ...response.headers }
  const arrived = (status: 200 | 304, body: Uint8Array): Hop => ({
    _tag: "Arrived",
    response: { status, headers, url, body },
  })
  if (response.status === 200) {
    const rule = codingRule(headers["content-encoding"])
    if (rule !== undefined) return yield* fail({ _tag: "BodyInvalid", url: displayUrl(url), rule })
    return arrived(200, yield* readBody(response, headers, url, request.maxResponseBytes))
  }
  if (response.status === 304) return arrived(304, new Uint8Array())
  if (redirectStatuses.has(response.status)) {
    const location = headers["location"]
    return location === undefined ? yield* refuse("it names no Location") : { _tag: "Redirected", location }
  }
  const reason: UnavailableReason = { _tag: "HttpStatus", url: displayUrl(url), status: response.status }
  const wait = retryAfterMillis(headers["retry-after"], yield* Clock.currentTimeMillis)
  return yield* Effect.fail({ reason, ...(wait !== undefined && { retryAfterMillis: wait }) })
})

/** Whether a response names the URL that was asked, or none. */
const isAnswerOf = (answered: string, asked: URL): boolean => {
  if (answered === "") return true
  const parsed = Url.fromString(answered)
  if (Result.isFailure(parsed)) return false
  parsed.success.hash = ""
  return parsed.success.href === asked.href
}

const send = (
  client: HttpClient.HttpClient,
  url: URL,
  { accept, headersFor, pins, policy }: GuardedRequest,
): Effect.Effect<HttpClientResponse.HttpClientResponse, FetchFailure, Scope.Scope> =>
  Effect.suspend(() => {
    const attested = new Map<HttpClientResponse.HttpClientResponse, ReadonlyArray<string>>()
    const demand: TransportDemand = {
      pins,
      allowPrivateAddresses: policy.allowPrivateAddresses,
      attest: (response, checked) => void attested.set(response, checked),
    }
    // The URL as text: given as an object, its query would be encoded anew.
    const asked = HttpClientRequest.get(url.href, { headers: { ...headersFor(url), accept } })
    return Effect.suspend(() => HttpClient.withScope(client).execute(asked)).pipe(
      Effect.catchCause((cause) => {
        const error = Cause.squash(cause)
        // A client that was made to fail on other statuses (`filterStatusOk`).
        return HttpClientError.isHttpClientError(error) && error.reason._tag === "StatusCodeError"
          ? Effect.succeed(error.reason.response)
          : fail(transportFailed(url, error, "the request failed"))
      }),
      withRequestSettings,
      Effect.provideService(TransportDemand, demand),
      Effect.filterOrElse(
        (response) => pins.length === 0 || isSubset(attested.get(response), pins),
        () => fail({ _tag: "PinMismatch", url: displayUrl(url) }),
      ),
    )
  })

/** Whether there is something, and nothing beyond `allowed`. */
const isSubset = (checked: ReadonlyArray<string> | undefined, allowed: ReadonlyArray<string>): boolean =>
  checked !== undefined && checked.length > 0 && checked.every((pin) => allowed.includes(pin))

/** What clients read from the fiber: no redirects, cookies, referrer, trace headers or client spans. */
const withRequestSettings = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.serviceOption(FetchHttpClient.RequestInit), (given) => {
    // Other settings of the user (a proxy's dispatcher) stay, but for headers. Those that the fetch layer was
    // built with are not to be seen from here, and are replaced.
    const { headers: _, ...init } = Option.getOrElse(given, (): RequestInit => ({}))
    return effect.pipe(
      Effect.provideService(FetchHttpClient.RequestInit, {
        ...init,
        redirect: "manual",
        credentials: "omit",
        referrer: "",
        referrerPolicy: "no-referrer",
      }),
      Effect.provideService(HttpClient.TracerPropagationEnabled, false),
      Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
    )
  })

/** The content codings of RFC 9110 section 8.4.1, and zstd (RFC 8878), that a client may have undone. */
const knownCodings = new Set(["identity", "gzip", "x-gzip", "deflate", "br", "zstd"])

/** Why a body under this `Content-Encoding` is not read: each coding more is one more bomb in a bomb. */
const codingRule = (field: string | undefined): string | undefined => {
  if (field === undefined || field.trim() === "") return undefined
  if (field.includes(",")) return "it has more than one content coding"
  return knownCodings.has(field.trim().toLowerCase()) ? undefined : "its content coding is not known"
}

/** Reads a body up to a limit; past it nothing more is pulled. */
const readBody = (
  response: HttpClientResponse.HttpClientResponse,
  headers: Readonly<Record<string, string>>,
  url: URL,
  limitBytes: number,
): Effect.Effect<Uint8Array, FetchFailure> => {
  const tooLarge: FetchFailure = { reason: { _tag: "BodyTooLarge", url: displayUrl(url), limitBytes } }
  // Content-Length counts encoded bytes (RFC 9110 section 8.6), the limit decoded ones.
  const announced = headers["content-encoding"] === undefined ? Number(headers["content-length"]) : NaN
  if (announced > limitBytes) return Effect.fail(tooLarge)
  return Effect.suspend(() => {
    const stream: Stream.Stream<Uint8Array, HttpClientError.HttpClientError | FetchFailure> = response.stream
    return Stream.mkUint8Array(Stream.limitBytes(stream, limitBytes, () => Stream.fail(tooLarge)))
  }).pipe(
    Effect.catchCause((cause) => {
      const error = Cause.squash(cause)
      if (error === tooLarge) return Effect.fail(tooLarge)
      // What fetch makes of "Content-Length: 0".
      return HttpClientError.isHttpClientError(error) && error.reason._tag === "EmptyBodyError"
        ? Effect.succeed(new Uint8Array())
        : fail(transportFailed(url, error, "the body broke off"))
    }),
  )
}
