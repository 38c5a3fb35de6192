/**
 * One request through the transport alone, with a demand of the test's own.
 */
import { TransportDemand } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"

/** What came back. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The pins that the response was attested with; `undefined` without a word. */
  readonly attested: ReadonlyArray<string> | undefined
}

/** Asks as the cache does; fails with what the transport gave as the cause. */
export const ask = (
  request: HttpClientRequest.HttpClientRequest | string,
  demand: Partial<Omit<TransportDemand, "attest">> = {},
): Effect.Effect<Answer, unknown, HttpClient.HttpClient> =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = HttpClient.withScope(yield* HttpClient.HttpClient)
      const attested = new Map<unknown, ReadonlyArray<string>>()
      const response = yield* client
        .execute(typeof request === "string" ? HttpClientRequest.get(request) : request)
        .pipe(
          Effect.provideService(TransportDemand, {
            pins: [],
            allowPrivateAddresses: false,
            ...demand,
            attest: (response, pins) => void attested.set(response, pins),
          }),
        )
      return {
        status: response.status,
        headers: { ...response.headers },
        body: yield* response.text,
        attested: attested.get(response),
      }
    }),
  ).pipe(Effect.mapError((error) => (error instanceof HttpClientError ? error.cause : error)))
