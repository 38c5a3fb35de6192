/**
 * One conditional GET of a JWK Set: a new document, or the word that the stored one is current.
 */
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import { displayUrl } from "../JwksError.ts"
import type { ResolvedSettings } from "../Provider.ts"
import type { UrlPolicy } from "../security/UrlPolicy.ts"
import { guardedGet, type GuardedResponse } from "./GuardedGet.ts"
import type { FetchFailure } from "./RetryPolicy.ts"
import type { Validators } from "./Validators.ts"

/** What to fetch. */
export interface JwksFetchOptions {
  readonly url: URL
  readonly policy: UrlPolicy
  readonly settings: Pick<ResolvedSettings, "maxRedirects" | "maxResponseBytes" | "pinnedSpki">
  /** Those of the stored document; `undefined` asks for the whole document. */
  readonly validators: Validators | undefined
  /** Asks caches on the way to revalidate too (RFC 9111 section 5.2.1.4). */
  readonly noCache: boolean
}

/** A document (200). */
export interface Fetched {
  readonly _tag: "Fetched"
  readonly body: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  /** The final URL. */
  readonly url: URL
  readonly validators: Validators | undefined
}

/** The stored document is current (304). */
export interface NotModified {
  readonly _tag: "NotModified"
  readonly headers: Readonly<Record<string, string>>
  readonly url: URL
}

/** What a provider answered. */
export type JwksResponse = Fetched | NotModified

/** RFC 7517 section 8.5.2, then what providers really send. */
const accept = "application/jwk-set+json, application/json;q=0.9, */*;q=0.1"

/**
 * Fetches a JWK Set.
 *
 * **Details**
 *
 * Validators go only to the URL that they came from. A 304 that confirms nothing (to an unconditional
 * request, or for another entity tag) is answered by one unconditional request, past the caches on the
 * way, one of which must be at fault; a second 304 is `BodyInvalid`.
 */
export const fetchJwks = (
  client: HttpClient.HttpClient,
  options: JwksFetchOptions,
): Effect.Effect<JwksResponse, FetchFailure> => {
  const get = (validators: Validators | undefined, noCache: boolean) =>
    guardedGet(client, {
      url: options.url,
      accept,
      headersFor: (hop) => ({
        ...(noCache && { "cache-control": "no-cache" }),
        ...(hop.href === validators?.url && conditions(validators)),
      }),
      policy: options.policy,
      pins: options.settings.pinnedSpki,
      maxRedirects: options.settings.maxRedirects,
      maxResponseBytes: options.settings.maxResponseBytes,
    })

  return Effect.flatMap(get(options.validators, options.noCache), (response) => {
    if (response.status === 200) return Effect.succeed(fetched(response))
    if (confirms(response, options.validators)) {
      return Effect.succeed<JwksResponse>({ _tag: "NotModified", headers: response.headers, url: response.url })
    }
    return Effect.flatMap(get(undefined, true), (again) =>
      again.status === 200
        ? Effect.succeed(fetched(again))
        : Effect.fail<FetchFailure>({
            reason: { _tag: "BodyInvalid", url: displayUrl(again.url), rule: "304 to an unconditional request" },
          }),
    )
  })
}

const fetched = ({ body, headers, url }: GuardedResponse): JwksResponse => ({
  _tag: "Fetched",
  body,
  headers,
  url,
  validators: validatorsOf(url, headers),
})

// -----------------------------------------------------------------------------
// Validators
// -----------------------------------------------------------------------------

/** What can be sent back: no control characters, nothing beyond Latin-1, at most 8 KiB. */
const sendable = (value: string | undefined): value is string =>
  value !== undefined && value.length <= 8_192 && /^[\u0020-\u007e\u00a0-\u00ff]+$/.test(value)

/**
 * Entity tags (RFC 9110 section 8.8.3), and those that servers forgot to quote. What else there may be
 * must not be sent back: to `If-None-Match: *` a server that has anything says 304 for ever.
 */
const isEntityTag = (value: string): boolean => /^(?:(?:W\/)?"[^"]*"|[\w.:+/=-]+)$/.test(value)

const sendableTag = (etag: string | undefined): etag is string => sendable(etag) && isEntityTag(etag)

/** The validators of a response (RFC 9110 section 8.8), as far as they can be sent back. */
export const validatorsOf = (url: URL, headers: Readonly<Record<string, string>>): Validators | undefined => {
  const etag = headers["etag"]
  const lastModified = headers["last-modified"]
  if (!sendableTag(etag) && !sendable(lastModified)) return undefined
  return {
    url: url.href,
    ...(sendableTag(etag) && { etag }),
    ...(sendable(lastModified) && { lastModified }),
  }
}

/** RFC 9110 section 13.1.2 and 13.1.3; a server that understands entity tags ignores the date. */
const conditions = ({ etag, lastModified }: Validators): Readonly<Record<string, string>> => ({
  ...(sendableTag(etag) && { "if-none-match": etag }),
  ...(sendable(lastModified) && { "if-modified-since": lastModified }),
})

/**
 * Whether a 304 is about the stored document (RFC 9111 section 4.3.3).
 *
 * Entity tags are compared weakly (RFC 9110 section 8.8.3.2): a server that compresses marks the tag of
 * its 200 as weak, and that of its 304 not.
 */
const confirms = ({ headers, url }: GuardedResponse, validators: Validators | undefined): boolean => {
  if (validators === undefined || validators.url !== url.href) return false
  if (Object.keys(conditions(validators)).length === 0) return false
  const etag = headers["etag"]
  return etag === undefined || opaqueTag(etag) === opaqueTag(validators.etag ?? "")
}

const opaqueTag = (etag: string): string => etag.trim().replace(/^W\//, "")
