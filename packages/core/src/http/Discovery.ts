/**
 * From an issuer to the URL of its JWK Set: OpenID Connect Discovery 1.0 section 4, then RFC 8414
 * section 3 where the former answers 404. The metadata are cached by their own headers.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Url from "effect/http/Url"
import * as Result from "effect/Result"
import * as Instant from "../Instant.ts"
import { displayUrl, type UnavailableReason } from "../JwksError.ts"
import { parseJsonObject } from "../JsonObject.ts"
import type { ResolvedSettings } from "../Provider.ts"
import { checkUrl, isPlainUrlText, type UrlPolicy } from "../security/UrlPolicy.ts"
import { evaluate, mergeNotModified, storedFields } from "./Freshness.ts"
import { type Fetched, fetchJwks, type JwksResponse } from "./JwksFetch.ts"
import { type JwksLocation, oauthMetadataUrl, openIdMetadataUrl } from "./IssuerMetadata.ts"
import type { FetchFailure } from "./RetryPolicy.ts"

/** What to discover. */
export interface DiscoveryOptions {
  /** To the letter as it was registered. */
  readonly issuer: string
  readonly policy: UrlPolicy
  readonly settings: ResolvedSettings
  /** What the metadata said before; they are revalidated. */
  readonly known: JwksLocation | undefined
  /** Asks caches on the way to revalidate too (RFC 9111 section 5.2.1.4). */
  readonly noCache: boolean
}

/**
 * Asks an issuer where its JWK Set is.
 *
 * **Details**
 *
 * `issuer` in the metadata must equal the registered one to the letter (OpenID Connect Discovery 1.0
 * section 4.3, RFC 8414 section 3.3), else whoever serves the metadata could vouch for somebody else.
 * `jwks_uri` has to pass the provider's URL policy, and metadata that came over https never lead to http.
 */
export const discover = Effect.fnUntraced(function* (
  client: HttpClient.HttpClient,
  options: DiscoveryOptions,
): Effect.fn.Return<JwksLocation, FetchFailure> {
  const { issuer, known, settings } = options
  const now = Instant.now(yield* Clock.Clock)
  const isRecent = known !== undefined && !Instant.isOver(Instant.plus(known.fetchedInFullAt, settings.maxTtl), now)
  const get = (url: URL): Effect.Effect<JwksResponse, FetchFailure> =>
    fetchJwks(client, { ...options, url, validators: isRecent ? known.validators : undefined })
  const isMissing = ({ reason }: FetchFailure) => reason._tag === "HttpStatus" && reason.status === 404

  const openId = openIdMetadataUrl(issuer)
  const response = yield* get(openId).pipe(
    Effect.catchIf(isMissing, () =>
      Effect.catchIf(get(oauthMetadataUrl(issuer)), isMissing, () =>
        Effect.fail(failed(openId, "there are no metadata, neither of OpenID Connect Discovery nor of RFC 8414 (404)")),
      ),
    ),
  )
  const receivedAt = Instant.now(yield* Clock.Clock)
  const dueAt = (headers: Readonly<Record<string, string>>) =>
    Instant.plus(receivedAt, evaluate(headers, receivedAt.wall, settings).lifetimeMillis)
  // A 304 comes only to a request with the validators of what is known.
  if (response._tag === "NotModified" && known !== undefined) {
    const headers = mergeNotModified(known.headers, response.headers)
    return { ...known, headers, receivedAt, dueAt: dueAt(headers), failures: 0 }
  }
  if (response._tag === "NotModified")
    return yield* Effect.fail(failed(response.url, "304 to an unconditional request"))
  return {
    jwksUrl: yield* Effect.fromResult(jwksUrlIn(response, options)),
    receivedAt,
    dueAt: dueAt(response.headers),
    headers: storedFields(response.headers),
    validators: response.validators,
    fetchedInFullAt: receivedAt,
    failures: 0,
  }
})

const failed = (url: URL, rule: string): FetchFailure => ({
  reason: { _tag: "DiscoveryFailed", url: displayUrl(url), rule },
})

/** The `jwks_uri` of metadata that are about the issuer. */
const jwksUrlIn = ({ body, url }: Fetched, { issuer, policy }: DiscoveryOptions): Result.Result<URL, FetchFailure> => {
  const refuse = (rule: string) => Result.fail(failed(url, rule))
  const metadata = parseJsonObject(body)
  if (Result.isFailure(metadata)) return refuse(metadata.failure.rule)
  const { issuer: named, jwks_uri: jwksUri } = metadata.success
  if (typeof named !== "string") return refuse("the metadata name no issuer")
  if (named !== issuer) return refuse("the metadata are about another issuer")
  if (typeof jwksUri !== "string") return refuse("the metadata have no jwks_uri")
  const parsed = Url.fromString(jwksUri)
  if (Result.isFailure(parsed)) return refuse("jwks_uri is no absolute URL")
  const jwksUrl = parsed.success
  if (!isPlainUrlText(jwksUri))
    return refuse("jwks_uri holds a fragment, a backslash, white space or control characters")
  const refused: UnavailableReason | undefined = checkUrl(jwksUrl, {
    ...policy,
    requireHttps: policy.requireHttps || url.protocol === "https:",
  })
  return refused === undefined ? Result.succeed(jwksUrl) : Result.fail({ reason: refused })
}
