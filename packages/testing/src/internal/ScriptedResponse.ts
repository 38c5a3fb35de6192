/**
 * A reply as the HTTP client hands it over: everything is there at once, so reading it needs no
 * promise, no socket and no time. A `Response` of the platform would take promise ticks, which
 * `TestClock` does not wait for.
 */
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import * as Headers from "effect/http/Headers"
import { DecodeError, EmptyBodyError, HttpClientError, StatusCodeError } from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as UrlParams from "effect/http/UrlParams"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import { pipeArguments } from "effect/Pipeable"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Answer, Body } from "./Reply.ts"
import { terminated } from "./transportErrors.ts"

const chunkBytes = 16_384

/** The body in pieces, as a socket would bring it. */
function* chunksOf(body: Body): Generator<Uint8Array> {
  if (body._tag === "Padded") {
    const padding = new Uint8Array(chunkBytes).fill(0x20)
    for (let left = body.total - body.bytes.length; left > 0; left -= chunkBytes) {
      yield left < chunkBytes ? padding.subarray(0, left) : padding
    }
  }
  for (let at = 0; at < body.bytes.length; at += chunkBytes) yield body.bytes.subarray(at, at + chunkBytes)
}

/** A response without a transport. */
export class ScriptedResponse extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpIncomingMessage.TypeId]: typeof HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: typeof HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly request: HttpClientRequest.HttpClientRequest
  readonly url: string
  readonly status: number
  readonly headers: Headers.Headers
  readonly cookies: Cookies.Cookies
  readonly remoteAddress = Option.none<string>()
  readonly #body: Body

  constructor(request: HttpClientRequest.HttpClientRequest, url: URL, { status, headers, body }: Answer) {
    super()
    this.request = request
    this.url = url.href.replace(/#.*$/, "")
    this.status = status
    this.headers = Headers.fromInput(headers)
    this.cookies = Cookies.fromSetCookie(headers["set-cookie"] ?? [])
    this.#body = body
  }

  get stream(): Stream.Stream<Uint8Array, HttpClientError> {
    // As with fetch, these two have no body at all (Fetch standard, null body status).
    if (this.status === 204 || this.status === 304) {
      const reason = new EmptyBodyError({ request: this.request, response: this, description: "no body" })
      return Stream.fail(new HttpClientError({ reason }))
    }
    const body = this.#body
    const chunks = Stream.fromIterable({ [Symbol.iterator]: () => chunksOf(body) }, { chunkSize: 1 })
    return body._tag === "Broken" ? Stream.concat(chunks, Stream.fail(this.#unreadable(terminated(body.by)))) : chunks
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, HttpClientError> {
    return Effect.suspend(() => {
      if (this.status === 204 || this.status === 304) return Effect.succeed(new ArrayBuffer(0))
      return Effect.map(Stream.mkUint8Array(this.stream), (bytes) => bytes.buffer)
    })
  }

  get text(): Effect.Effect<string, HttpClientError> {
    return Effect.map(this.arrayBuffer, (bytes) => new TextDecoder().decode(bytes))
  }

  get json(): Effect.Effect<Schema.Json, HttpClientError> {
    return this.#parsed((text) => (text === "" ? null : (JSON.parse(text) as Schema.Json)))
  }

  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, HttpClientError> {
    return this.#parsed((text) => UrlParams.fromInput(new URLSearchParams(text)))
  }

  get formData(): Effect.Effect<FormData, HttpClientError> {
    return Effect.fail(this.#unreadable(new Error("a provider sends no forms")))
  }

  get upgrade(): Effect.Effect<never, HttpClientError> {
    const reason = new StatusCodeError({
      request: this.request,
      response: this,
      description: "a provider upgrades no connection",
    })
    return Effect.fail(new HttpClientError({ reason }))
  }

  #unreadable(cause: unknown): HttpClientError {
    return new HttpClientError({ reason: new DecodeError({ request: this.request, response: this, cause }) })
  }

  #parsed<A>(parse: (text: string) => A): Effect.Effect<A, HttpClientError> {
    return Effect.flatMap(this.text, (text) =>
      Effect.try({ try: () => parse(text), catch: (cause) => this.#unreadable(cause) }),
    )
  }

  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status,
    })
  }

  pipe() {
    return pipeArguments(this, arguments)
  }
}
