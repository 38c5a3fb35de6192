/**
 * A handler for AWS Lambda behind a function URL: a registry for each invocation, over one memory. Nothing is left when it returns, so the
 * sandbox may be frozen at once.
 */
import { JwksMemory, JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import { answer } from "./guard.ts"
import { optionsOf, trustedIn } from "./settings.ts"

/** What is used of the event of a function URL. */
interface Invocation {
  readonly headers: Readonly<Record<string, string>>
}

const options = { ...optionsOf(process.env), memory: JwksMemory.make() }

const JwksLive = JwksRegistry.layer(options).pipe(
  Layer.provide([FetchHttpClient.layer, Persistence.layerMemory, JwksMetrics.layerNoop]),
)

/** Answers one invocation. */
export const handler = async ({ headers }: Invocation) => {
  const request = new Request("https://lambda.invalid/", { headers })
  const response = await Effect.runPromise(Effect.provide(answer(request, trustedIn(options)), JwksLive))
  return { statusCode: response.status, body: await response.text() }
}
