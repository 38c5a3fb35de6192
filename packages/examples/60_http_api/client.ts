/**
 * A typed client of the shop, and what it makes of each refusal.
 */
import * as Effect from "effect/Effect"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { ShopApi } from "./api.ts"

/** The client of somebody who bears this token. */
export const shopClient = (baseUrl: string, token: string) =>
  HttpApiClient.make(ShopApi, {
    baseUrl,
    transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(token)),
  })

/** Places an order, and says in a sentence how it went. */
export const placeOrder = Effect.fnUntraced(function* (baseUrl: string, tenant: string, token: string) {
  const { orders } = yield* shopClient(baseUrl, token)
  return yield* orders.place({ params: { tenant } }).pipe(
    Effect.catchTags({
      Unauthenticated: ({ message }) => Effect.succeed(`sign in again: ${message}`),
      InsufficientScope: ({ scope }) => Effect.succeed(`ask for ${scope.join(" and ")}`),
      KeysUnavailable: ({ retryAfter }) => Effect.succeed(`try again in ${retryAfter} s`),
    }),
  )
})
