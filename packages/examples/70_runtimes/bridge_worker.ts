/**
 * A Cloudflare Worker without Effect: a bridge for each request, over one memory for the isolate. One bridge for all of them would have
 * a request wait for what another fetches, which the platform ends with an error.
 */
import { JwksMemory, JwksMetrics, JwksRegistry, type JwksRegistryOptions } from "@effect-jwks/core"
import { bearerOf, BearerMissing, challengeFor, JwksBridge } from "@effect-jwks/jwt"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import { type Environment, type ExecutionContext, optionsOf, tenantIn } from "./settings.ts"

const memory = JwksMemory.make()

/** Made with the first request, since bindings come with it; by their object the memory knows them again. */
let options: JwksRegistryOptions | undefined

const worker = {
  fetch: async ({ headers }: Request, env: Environment, ctx: ExecutionContext): Promise<Response> => {
    options ??= { ...optionsOf(env), memory }
    const jwks = JwksBridge.open(
      JwksRegistry.layer(options).pipe(
        Layer.provide([FetchHttpClient.layer, Persistence.layerMemory, JwksMetrics.layerNoop]),
      ),
    )
    const authorization = headers.get("authorization")
    try {
      const token = bearerOf(authorization)
      if (token === undefined) throw new BearerMissing()
      const { claims } = await jwks.verify(tenantIn(options), token)
      return new Response(`welcome, ${claims.sub}`)
    } catch (error) {
      const challenge = challengeFor(error, { authorization })
      if (challenge === undefined) throw error // no matter of tokens
      return new Response("not let in", challenge)
    } finally {
      // Ends a refresh that this request has begun, after the response.
      ctx.waitUntil(jwks.close())
    }
  },
}

export { worker as default }
