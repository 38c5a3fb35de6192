/**
 * An HTTP client that tells of every request, and of what came of it at the moment it is handed over.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { outcomeOf } from "./Observed.ts"
import type { Happening } from "./Trace.ts"

/** Records what goes through a client; `flightsOver`: how many flights are over at the provider of a URL. */
export const recording = (
  client: HttpClient.HttpClient,
  record: (happening: Happening) => void,
  flightsOver: (url: string) => Effect.Effect<number>,
): HttpClient.HttpClient => {
  let requests = 0
  return HttpClient.transform(client, (send, { headers, url }) =>
    Effect.gen(function* () {
      const request = (requests += 1)
      const flight = yield* flightsOver(url)
      const noCache = headers["cache-control"] === "no-cache"
      record({ _tag: "Requested", request, url, flight, noCache, conditional: "if-none-match" in headers })
      const response = yield* Effect.onError(send, (cause) =>
        Effect.sync(() => {
          const _tag = Cause.hasInterrupts(cause) ? "Abandoned" : "Refused"
          record({ _tag: "Responded", request, outcome: { _tag } })
        }),
      )
      const body = response.status === 304 ? "" : yield* Effect.orDie(response.text)
      record({ _tag: "Responded", request, outcome: outcomeOf(response, body) })
      return response
    }),
  )
}
