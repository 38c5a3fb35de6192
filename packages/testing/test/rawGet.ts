/**
 * A GET through `node:http` on a connection of its own, so that nothing of a client library or of a
 * connection pool stands between a test and the socket.
 */
import * as Effect from "effect/Effect"
import { request } from "node:http"

export interface RawResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** The whole response; a code such as `ECONNRESET` when the connection broke off. */
export const rawGet = (
  url: string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
): Effect.Effect<RawResponse, string> =>
  Effect.callback((resume, signal) => {
    const sent = request(url, { method, headers, agent: false, signal }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk) => chunks.push(chunk))
      response.once("error", (error) => resume(Effect.fail("code" in error ? String(error.code) : error.message)))
      response.once("end", () =>
        resume(
          Effect.succeed({
            status: response.statusCode ?? 0,
            headers: Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value)])),
            body: Buffer.concat(chunks).toString(),
          }),
        ),
      )
    })
    sent.once("error", (error) => resume(Effect.fail("code" in error ? String(error.code) : error.message)))
    sent.end()
  })
