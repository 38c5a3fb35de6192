/**
 * One flight, in order: lease, then attempts (a permit, the URL where it has to be discovered, a
 * conditional GET, the key policy) with retries between them, all inside one hard deadline. It judges and
 * returns a value; it changes no state.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as HttpClient from "effect/http/HttpClient"
import { RefreshLease } from "../fleet/RefreshLease.ts"
import { evaluate, type FreshnessVerdict, mergeNotModified, storedFields } from "../http/Freshness.ts"
import { type FetchFailure, retrySchedule } from "../http/RetryPolicy.ts"
import type { Validators } from "../http/Validators.ts"
import type { JwksResponse } from "../http/JwksFetch.ts"
import * as Instant from "../Instant.ts"
import { displayUrl } from "../JwksError.ts"
import { parseDocument } from "../jwk/KeyPolicy.ts"
import type { ParsedJwks } from "../jwk/Jwks.ts"
import type { Provider } from "../Provider.ts"
import type { UrlPolicy } from "../security/UrlPolicy.ts"
import { clockTolerance, type HeldSet } from "./CacheState.ts"
import { inFetchSpan } from "./FetchSpan.ts"
import { LocatedFetch, type LocatedResponse, type LocationPort } from "./LocatedFetch.ts"

/** What a flight is asked to do. */
export interface RevalidationRequest {
  readonly provider: Provider
  readonly policy: UrlPolicy
  /** The set that is held, and revalidated; a snapshot may bring another while the provider is asked. */
  readonly held: () => HeldSet | undefined
  /** Whether caches on the way must revalidate too (RFC 9111 section 5.2.1.4); asked when an attempt is sent. */
  readonly noCache: () => boolean
  /** No retry. */
  readonly oneAttempt: boolean
}

/** What a flight needs from whoever runs it. */
export interface RevalidationPort extends LocationPort {
  /** Runs one attempt with a permit. */
  readonly withPermit: <A, E>(attempt: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** An attempt got its permit: its request is about to be sent. */
  readonly onAttempt: () => void
  readonly onAttemptFailed: (failure: FetchFailure) => void
}

/** How a flight ended. */
export type Revalidated =
  /** A whole new set (200). */
  | {
      readonly _tag: "Updated"
      readonly jwks: ParsedJwks
      /** The URL that was asked, before redirects. */
      readonly jwksUrl: string
      /** The URL that answered, after redirects. */
      readonly finalUrl: string
      readonly validators: Validators | undefined
      readonly headers: Readonly<Record<string, string>>
      readonly verdict: FreshnessVerdict
      readonly receivedAt: Instant.Instant
    }
  /** The held set is current (304). */
  | {
      readonly _tag: "Confirmed"
      readonly held: HeldSet
      readonly headers: Readonly<Record<string, string>>
      readonly verdict: FreshnessVerdict
      readonly receivedAt: Instant.Instant
    }
  | { readonly _tag: "Failed"; readonly failure: FetchFailure }

/** Runs a flight; never fails. */
export const revalidate = (
  client: HttpClient.HttpClient,
  request: RevalidationRequest,
  port: RevalidationPort,
): Effect.Effect<Revalidated> =>
  Effect.clockWith((clock) => {
    const { provider } = request
    const { attemptTimeout, deadline } = provider.settings.retryPolicy
    const startedAt = Instant.now(clock)
    let attemptStartedAt: Instant.Instant | undefined
    let queuedAt = startedAt
    let queuedMillis = 0
    let attempts = 0
    let failedAt = startedAt
    let lastFailure: FetchFailure | undefined

    /** The set that the request under way is about. */
    let asked: HeldSet | undefined
    const located = new LocatedFetch(
      {
        client,
        clock,
        provider,
        policy: request.policy,
        noCache: request.noCache,
        // A new URL is asked for the whole document, even if it leads to where the old one led.
        validatorsFor: ({ href }) =>
          asked?.jwksUrl === href && mayConfirm(asked, Instant.now(clock), provider.settings.maxTtl)
            ? asked.validators
            : undefined,
      },
      port,
    )
    const ask = (
      answered: (response: JwksResponse) => void,
      isAgain = false,
    ): Effect.Effect<Revalidated, FetchFailure> =>
      Effect.suspend(() => {
        const held = request.held()
        const sentAt = Instant.now(clock)
        asked = held
        return Effect.flatMap(located.fetch, (answer) => {
          answered(answer.response)
          if (!isOutdated(answer, held, request.held(), sentAt)) {
            return Effect.fromResult(judge(answer, held, provider, Instant.now(clock)))
          }
          return isAgain ? Effect.fail(outdated(answer)) : ask(answered, true)
        })
      })
    const permitted = port.withPermit(
      Effect.suspend(() => {
        attemptStartedAt = Instant.now(clock)
        queuedMillis += attemptStartedAt.mono - queuedAt.mono
        port.onAttempt()
        const about = {
          resends: attempts++,
          delayMillis: attemptStartedAt.mono - failedAt.mono,
          asked: () => located.asked,
        }
        return Effect.tapError(
          inFetchSpan(about, (answered) =>
            Effect.timeoutOrElse(ask(answered), {
              duration: attemptTimeout,
              orElse: () => Effect.fail(timedOut(located.asked, "attemptTimeout", attemptTimeout)),
            }),
          ),
          (failure) =>
            Effect.sync(() => {
              attemptStartedAt = undefined
              failedAt = Instant.now(clock)
              lastFailure = failure
              port.onAttemptFailed(failure)
            }),
        )
      }),
    )

    const attempt = Effect.suspend(() => {
      queuedAt = Instant.now(clock)
      return permitted
    })

    const timeLeft = () => deadline - (Instant.now(clock).mono - startedAt.mono)
    const flight = request.oneAttempt
      ? attempt
      : Effect.retry(attempt, { schedule: retrySchedule(provider.settings.retryPolicy, timeLeft) })

    return Effect.flatMap(RefreshLease, (lease) => lease.around(provider, flight)).pipe(
      Effect.timeoutOrElse({
        duration: deadline,
        orElse: () => {
          const attemptedMillis = attemptStartedAt === undefined ? 0 : Instant.now(clock).mono - attemptStartedAt.mono
          return Effect.fail<FetchFailure>(
            attemptStartedAt !== undefined && attemptedMillis >= queuedMillis
              ? timedOut(located.asked, "deadline", deadline)
              : // Not the provider but the queue or a back-off took the time: the last attempt says why, if any.
                (lastFailure ?? { reason: { _tag: "NoPermit", waitedMillis: deadline } }),
          )
        },
      }),
      Effect.catch((failure) => Effect.succeed<Revalidated>({ _tag: "Failed", failure })),
    )
  })

/**
 * Whether a 304 may confirm the set once more: only if the document will still have been received whole
 * within `maxTtl` when the set is due again.
 */
const mayConfirm = (held: HeldSet, now: Instant.Instant, maxTtl: number): boolean => {
  const lifetime = held.expiresAt.mono - held.receivedAt.mono
  return !Instant.isOver(Instant.plus(held.fetchedInFullAt, maxTtl - lifetime), now)
}

const timedOut = (url: URL, limit: "attemptTimeout" | "deadline", afterMillis: number): FetchFailure => ({
  reason: { _tag: "TimedOut", url: displayUrl(url), limit, afterMillis },
})

/**
 * Whether a snapshot has replaced the set meanwhile that the request was about, and may be newer than the answer: a
 * 304 confirms another set, and a 200 may have been on its way for long.
 */
const isOutdated = (
  { response }: LocatedResponse,
  asked: HeldSet | undefined,
  held: HeldSet | undefined,
  sentAt: Instant.Instant,
): boolean =>
  held !== undefined &&
  held !== asked &&
  (response._tag === "NotModified" || held.receivedAt.wall + clockTolerance >= sentAt.wall)

const outdated = ({ response }: LocatedResponse): FetchFailure => ({
  reason: { _tag: "BodyInvalid", url: displayUrl(response.url), rule: "the set was replaced meanwhile, twice" },
})

const judge = (
  { jwksUrl, response }: LocatedResponse,
  held: HeldSet | undefined,
  provider: Provider,
  receivedAt: Instant.Instant,
): Result.Result<Revalidated, FetchFailure> => {
  const url = displayUrl(response.url)
  if (response._tag === "NotModified") {
    if (held === undefined) {
      return Result.fail({ reason: { _tag: "BodyInvalid", url, rule: "304 although no set is held" } })
    }
    const headers = mergeNotModified(held.headers, response.headers)
    const verdict = evaluate(headers, receivedAt.wall, provider.settings)
    return Result.succeed({ _tag: "Confirmed", held, headers, verdict, receivedAt })
  }
  const parsed = parseDocument(response.body, provider.settings)
  if (Result.isFailure(parsed)) {
    return Result.fail({ reason: { _tag: "BodyInvalid", url, rule: parsed.failure.rule } })
  }
  const jwks = parsed.success
  if (jwks.keys.length === 0) {
    return Result.fail({ reason: { _tag: "NoUsableKeys", url, dropped: jwks.dropped.length } })
  }
  return Result.succeed({
    _tag: "Updated",
    jwks,
    jwksUrl: jwksUrl.href,
    finalUrl: response.url.href,
    validators: response.validators,
    headers: storedFields(response.headers),
    verdict: evaluate(response.headers, receivedAt.wall, provider.settings),
    receivedAt,
  })
}
