/**
 * The span of one attempt, with the attributes that OpenTelemetry gives an HTTP client's. URLs are without query.
 */
import * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { JwksResponse } from "../http/JwksFetch.ts"
import type { FetchFailure } from "../http/RetryPolicy.ts"
import { describeReason, displayUrl } from "../JwksError.ts"
import { inSpan, spanFailure, type ToldSpan } from "../Tracing.ts"
import { errorTypeOf } from "./FlightTrace.ts"

/** Which attempt of its flight it is. */
export interface Attempt {
  /** Attempts before it. */
  readonly resends: number
  /** How long it was put off after the one before, in milliseconds. */
  readonly delayMillis: number
  /** The URL that is asked, or was asked last. */
  readonly asked: () => URL
}

/** Runs one attempt, which tells what the provider has answered. */
export const inFetchSpan = <A>(
  { asked, delayMillis, resends }: Attempt,
  attempt: (answered: (response: JwksResponse) => void) => Effect.Effect<A, FetchFailure>,
): Effect.Effect<A, FetchFailure> =>
  inSpan(
    "jwks.fetch",
    {
      kind: "client",
      attributes: {
        "http.request.method": "GET",
        ...(resends > 0 && { "http.request.resend_count": resends, "jwks.retry_delay_ms": Math.round(delayMillis) }),
      },
    },
    (span) =>
      attempt((response) => {
        span?.attribute("http.response.status_code", response._tag === "Fetched" ? 200 : 304)
        if (response._tag === "Fetched") span?.attribute("http.response.body.size", response.body.length)
      }),
    (span, exit) => {
      const url = asked()
      span.attribute("url.full", displayUrl(url))
      span.attribute("server.address", url.hostname)
      span.attribute("server.port", Number(url.port) || (url.protocol === "https:" ? 443 : 80))
      return endOf(span, exit)
    },
  )

const endOf = (span: ToldSpan, exit: Exit.Exit<unknown, FetchFailure>): Exit.Exit<unknown, unknown> => {
  const failure = Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isFailReason)?.error : undefined
  if (failure === undefined) return exit
  const { reason } = failure
  span.attribute("error.type", errorTypeOf(reason))
  if (reason._tag === "HttpStatus") span.attribute("http.response.status_code", reason.status)
  return spanFailure(reason._tag, describeReason(reason))
}
