/**
 * An HTTP client that answers from a script, synchronously, and remembers what it was asked.
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"

export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

export type Answer = Response | Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>

export const scriptedClient = (answer: (asked: Asked, request: HttpClientRequest.HttpClientRequest) => Answer) => {
  const asked: Array<Asked> = []
  const client = HttpClient.make((request, url, signal) => {
    const question = { method: request.method, url: url.href, headers: { ...request.headers }, signal }
    asked.push(question)
    const answered = answer(question, request)
    return answered instanceof Response ? Effect.succeed(HttpClientResponse.fromWeb(request, answered)) : answered
  })
  return { client, asked }
}

/** A response that redirects. */
export const redirect = (status: number, location: string): Response =>
  new Response("moved", { status, headers: { location } })

/** A response that is what it is not allowed to be made as: `Response` refuses statuses such as 0 and an own `url`. */
export const oddResponse = (fields: { readonly status?: number; readonly url?: string }, source = new Response()) =>
  new Proxy(source, {
    get: (target, name) => (name in fields ? Reflect.get(fields, name) : Reflect.get(target, name, target)),
  })
