/**
 * A door that lets tokens of one provider in: what every runtime of this folder serves.
 */
import { JwksRegistry, type ResolveError } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import { decodeProtectedHeader, jwtVerify } from "jose"

/** Whose tokens are let in. */
export interface Trusted {
  readonly tenant: string
  readonly provider: string
  readonly issuer: string
}

const bearer = /^bearer +([\w.~+/-]+=*)$/i

const unauthorized = "unauthorized" as const

/** Verifies a token: the only place that knows how. */
const verify = Effect.fnUntraced(function* (token: string, { issuer, provider, tenant }: Trusted) {
  const { alg = "", kid } = yield* Effect.try({ try: () => decodeProtectedHeader(token), catch: () => unauthorized })
  const { jwk } = yield* JwksRegistry.resolveKey(tenant, kid, { provider, alg })
  return yield* Effect.tryPromise({
    // The same object for as long as the key is the same, so that its import is not done again.
    try: async () => (await jwtVerify(token, jwk, { issuer, algorithms: [alg] })).payload,
    catch: () => unauthorized,
  })
})

/** What a request gets whose token was not let in. */
const refuse = (error: ResolveError | typeof unauthorized): Response => {
  if (error === unauthorized) return new Response("unauthorized", { status: 401 })
  switch (error._tag) {
    case "KeyAmbiguous":
      return new Response("unauthorized", { status: 401 })
    case "KeyNotFound":
      if (error.confirmed) return new Response("unauthorized", { status: 401 })
      return later(error.retryAfterMillis)
    case "JwksUnavailable":
      return later(error.retryAfterMillis)
    case "NotRegistered":
      return new Response("no such provider", { status: 500 })
  }
}

const later = (millis = 1_000): Response =>
  new Response("try again later", { status: 503, headers: { "retry-after": `${Math.ceil(millis / 1_000)}` } })

/** The answer to a request: its subject's name, or why not. */
export const answer = (request: Request, trusted: Trusted): Effect.Effect<Response, never, JwksRegistry> => {
  const [, token] = bearer.exec(request.headers.get("authorization") ?? "") ?? []
  if (token === undefined) return Effect.succeed(refuse(unauthorized))
  return Effect.match(verify(token, trusted), {
    onSuccess: ({ sub = "" }) => new Response(`welcome, ${sub}`),
    onFailure: refuse,
  })
}
