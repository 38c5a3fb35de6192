/**
 * The `HttpClient` over the pooled agents: one request, one response, nothing followed, nothing kept.
 */
import type { Dispatcher } from "@effect/platform-node/Undici"
import { addressRule, isOneOf, TransportDemand, TransportRefused } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import type { AgentPool } from "./AgentPool.ts"
import { askingUntil } from "./ConnectAttempt.ts"
import { acceptedCodings, decoded, type DecoderMeter } from "./ContentDecoding.ts"
import { coded } from "./ErrorCode.ts"
import { type Found, Refusal } from "./Refusal.ts"

/**
 * An `HttpClient` that meets the demand of each request's fiber; `exempt` are the hosts to which the address
 * rules do not apply whatever the demand says.
 */
export const makeClient = (
  pool: AgentPool,
  exempt: boolean | ReadonlyArray<string>,
  meter: DecoderMeter | undefined,
): HttpClient.HttpClient =>
  HttpClient.make((request, url, signal, fiber) => {
    const demand = fiber.getRef(TransportDemand)
    const isExempt = isOneOf(url.hostname, exempt) || isOneOf(url.hostname, demand.allowPrivateAddresses)
    return Effect.tryPromise({
      try: async () => {
        refuseOutright(request, url, isExempt, demand.pins)
        const { agent, dials, terms } = pool.get(demand.pins, isExempt)
        const answer = await dials.during(url.origin, () =>
          askingUntil(signal, () =>
            agent.request({
              origin: url.origin,
              path: `${url.pathname}${url.search}`,
              method: request.method,
              headers: { "accept-encoding": acceptedCodings, ...endToEnd(request) },
              signal,
            }),
          ),
        )
        const response = HttpClientResponse.fromWeb(request, toWeb(answer, meter))
        // What the connection was checked against, which its agent knows.
        if (terms.pins.length > 0) demand.attest(response, terms.pins)
        return response
      },
      catch: (error) =>
        new HttpClientError.HttpClientError({
          reason: new HttpClientError.TransportError({
            request,
            cause: error instanceof Refusal ? refused(error.found, url) : coded(error),
          }),
        }),
    })
  })

/** Throws where no connection is needed to know that the request is not sent. */
const refuseOutright = (
  { body }: HttpClientRequest.HttpClientRequest,
  { hostname, protocol }: URL,
  isExempt: boolean,
  pins: ReadonlyArray<string>,
): void => {
  const rule = addressRule(hostname, isExempt)
  if (rule !== undefined) throw new Refusal({ _tag: "Address", host: hostname, rule })
  // Without TLS there is no key to look at.
  if (pins.length > 0 && protocol !== "https:") throw new Refusal({ _tag: "Pins" })
  if (body._tag !== "Empty") throw new TypeError("this client sends no bodies")
}

const refused = (found: Found, url: URL): TransportRefused =>
  new TransportRefused({
    reason:
      found._tag === "Pins"
        ? { _tag: "PinMismatch", url: `${url.origin}${url.pathname}` }
        : { _tag: "AddressRefused", host: found.host, rule: found.rule },
  })

/** Fields of the connection (RFC 9110 section 7.6.1), and `Host`: the URL alone says who is asked. */
const hopByHop = new Set([
  "connection",
  "host",
  "keep-alive",
  "proxy-authorization",
  "te",
  "transfer-encoding",
  "upgrade",
])

const endToEnd = ({ headers }: HttpClientRequest.HttpClientRequest): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)))

const toWeb = (
  { body, headers: given, statusCode }: Dispatcher.ResponseData,
  meter: DecoderMeter | undefined,
): Response => {
  // A body that nobody reads any more may still fail.
  body.on("error", () => {})
  const headers = new Headers()
  for (const [name, value = []] of Object.entries(given)) {
    for (const one of typeof value === "string" ? [value] : value) headers.append(name, one)
  }
  const response = new Response(streamOf(body, headers.get("content-encoding"), meter), { headers })
  // Any three digits; the constructor takes 200 to 599 alone, and no body, be it empty, with 204 and the like.
  return Object.defineProperty(response, "status", { value: statusCode })
}

/** Nothing is read before it is asked for, so that a body is decoded only as far as somebody reads it. */
const streamOf = (
  body: Dispatcher.ResponseData["body"],
  contentEncoding: string | null,
  meter: DecoderMeter | undefined,
): ReadableStream<Uint8Array> => {
  const pieces = decoded(body, contentEncoding ?? "", meter)
  return new ReadableStream(
    {
      pull: async (controller) => {
        try {
          const next = await pieces.next()
          if (next.done === true) controller.close()
          else controller.enqueue(next.value)
        } catch (error) {
          controller.error(coded(error))
        }
      },
      // Closes the connection, too.
      cancel: () => void body.destroy(),
    },
    { highWaterMark: 0 },
  )
}
