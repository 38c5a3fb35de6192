/**
 * The fetches of one flight: at the URL that was registered, or at the one that the issuer's metadata
 * name, which are asked first where nothing is known, again where what is known is due, and once more
 * where the JWK Set is gone from its URL.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import { discover } from "../http/Discovery.ts"
import type { JwksLocation } from "../http/IssuerMetadata.ts"
import { fetchJwks, type JwksResponse } from "../http/JwksFetch.ts"
import type { FetchFailure } from "../http/RetryPolicy.ts"
import type { Validators } from "../http/Validators.ts"
import * as Instant from "../Instant.ts"
import { displayUrl, type UnavailableReason } from "../JwksError.ts"
import { type Provider, sourceUrl } from "../Provider.ts"
import type { UrlPolicy } from "../security/UrlPolicy.ts"

/** Where what the metadata said is kept from flight to flight. */
export interface LocationPort {
  /** What the issuer's metadata said last. */
  readonly location: () => JwksLocation | undefined
  /** The metadata were asked; with a failure, `location` is what was known before. */
  readonly onLocated: (location: JwksLocation, failure: UnavailableReason | undefined) => void
}

/** What the fetches of a flight have in common. */
export interface LocatedFetchOptions {
  readonly client: HttpClient.HttpClient
  readonly clock: Clock.Clock
  readonly provider: Provider
  readonly policy: UrlPolicy
  readonly noCache: () => boolean
  /** The validators that go with a request for the JWK Set at `jwksUrl`. */
  readonly validatorsFor: (jwksUrl: URL) => Validators | undefined
}

/** A response, and the URL that was asked for it, before redirects. */
export interface LocatedResponse {
  readonly response: JwksResponse
  readonly jwksUrl: URL
}

export class LocatedFetch {
  readonly #options: LocatedFetchOptions
  readonly #port: LocationPort
  #asked: URL
  /** The metadata were asked in this flight. */
  #isLocated = false

  constructor(options: LocatedFetchOptions, port: LocationPort) {
    this.#options = options
    this.#port = port
    this.#asked = sourceUrl(options.provider.source)
  }

  /** The URL that is or was asked last. */
  get asked(): URL {
    return this.#asked
  }

  /** One attempt's fetch. */
  readonly fetch: Effect.Effect<LocatedResponse, FetchFailure> = Effect.suspend(() => {
    const { source } = this.#options.provider
    if (source._tag === "Registered") return this.#get(source.jwksUrl)
    const known = this.#port.location()
    const locate = Effect.suspend(() => this.#locate(source.issuer, known))
    if (known === undefined) return Effect.flatMap(locate, (jwksUrl) => this.#get(jwksUrl))
    if (this.#isLocated) return this.#get(known.jwksUrl)
    if (Instant.isOver(known.dueAt, this.#now())) return Effect.flatMap(locate, (jwksUrl) => this.#get(jwksUrl))
    return Effect.catchIf(this.#get(known.jwksUrl), isGone, (failure) =>
      Effect.flatMap(locate, (jwksUrl) =>
        jwksUrl.href === known.jwksUrl.href ? Effect.fail(failure) : this.#get(jwksUrl),
      ),
    )
  })

  #now(): Instant.Instant {
    return Instant.now(this.#options.clock)
  }

  #get(jwksUrl: URL): Effect.Effect<LocatedResponse, FetchFailure> {
    const { client, noCache, policy, provider, validatorsFor } = this.#options
    this.#asked = jwksUrl
    return Effect.map(
      fetchJwks(client, {
        url: jwksUrl,
        policy,
        settings: provider.settings,
        validators: validatorsFor(jwksUrl),
        noCache: noCache(),
      }),
      (response) => ({ response, jwksUrl }),
    )
  }

  /** The URL that the metadata name; the known one where they can not be read. */
  #locate(issuer: string, known: JwksLocation | undefined): Effect.Effect<URL, FetchFailure> {
    const { client, noCache, policy, provider } = this.#options
    const { negativeCacheTtl, retryPolicy } = provider.settings
    this.#asked = sourceUrl(provider.source)
    this.#isLocated = true
    const asked = discover(client, { issuer, policy, settings: provider.settings, known, noCache: noCache() }).pipe(
      Effect.map((found) => {
        this.#port.onLocated(found, undefined)
        return found.jwksUrl
      }),
    )
    if (known === undefined) return asked
    const keep = ({ reason, retryAfterMillis = 0 }: FetchFailure) => {
      const dueAt = Instant.plus(this.#now(), Math.max(negativeCacheTtl, retryAfterMillis))
      this.#port.onLocated({ ...known, dueAt, failures: known.failures + 1 }, reason)
      return known.jwksUrl
    }
    const timedOut: FetchFailure = {
      reason: {
        _tag: "TimedOut",
        url: displayUrl(this.#asked),
        limit: "attemptTimeout",
        afterMillis: retryPolicy.attemptTimeout / 2,
      },
    }
    return asked.pipe(
      // The other half of the attempt is for the URL that is known.
      Effect.timeoutOrElse({ duration: retryPolicy.attemptTimeout / 2, orElse: () => Effect.fail(timedOut) }),
      Effect.catch((failure) => Effect.sync(() => keep(failure))),
      // The flight is over: also a failure, which the next one should not have to wait for.
      Effect.onInterrupt(() => Effect.sync(() => keep(timedOut))),
    )
  }
}

/** RFC 9110 sections 15.5.5 and 15.5.11. */
const isGone = ({ reason }: FetchFailure): boolean =>
  reason._tag === "HttpStatus" && (reason.status === 404 || reason.status === 410)
