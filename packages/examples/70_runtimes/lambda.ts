/**
 * A handler for AWS Lambda behind a function URL: a registry for each invocation, over one memory. Nothing is left when it returns, so the
 * sandbox may be frozen at once.
 */
import { JwksMemory, JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import { JwtVerifierLive } from "@effect-jwks/jwt"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import { answer } from "./guard.ts"
import { optionsOf, tenantIn } from "./settings.ts"

/** What is used of the event of a function URL. */
interface Invocation {
  readonly headers: Readonly<Record<string, string>>
}

const options = { ...optionsOf(process.env), memory: JwksMemory.make() }

const JwtLive = JwtVerifierLive.pipe(
  Layer.provide(JwksRegistry.layer(options)),
  Layer.provide([FetchHttpClient.layer, Persistence.layerMemory, JwksMetrics.layerNoop]),
)

/** Answers one invocation. */
export const handler = async ({ headers }: Invocation) => {
  const request = new Request("https://lambda.invalid/", { headers })
  const response = await Effect.runPromise(Effect.provide(answer(request, tenantIn(options)), JwtLive))
  return {
    statusCode: response.status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
  }
}
