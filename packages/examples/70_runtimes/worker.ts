/**
 * A Cloudflare Worker: a registry for each request, over one memory for the isolate. What a request began goes on
 * under `waitUntil`, and no request waits for another's I/O.
 */
import { JwksMemory, JwksMetrics, JwksRegistry, type JwksRegistryOptions } from "@effect-jwks/core"
import { JwtVerifierLive } from "@effect-jwks/jwt"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { answer } from "./guard.ts"
import { type Environment, type ExecutionContext, optionsOf, tenantIn } from "./settings.ts"
import { snapshots } from "./snapshots.ts"
import { type KVNamespace, layerKv, layerMap } from "./stores.ts"

/** The Worker's bindings. */
export interface Bindings extends Environment {
  readonly SNAPSHOTS?: KVNamespace
}

const memory = JwksMemory.make()

const bundled = new Map(Object.entries(snapshots))

/** Made with the first request, since bindings come with it; by their object the memory knows them again. */
let options: JwksRegistryOptions | undefined

const worker = {
  fetch: async (request: Request, env: Bindings, ctx: ExecutionContext): Promise<Response> => {
    options ??= { ...optionsOf(env), memory }
    const persistence = env.SNAPSHOTS === undefined ? layerMap(bundled) : layerKv(env.SNAPSHOTS)
    const runtime = ManagedRuntime.make(
      JwtVerifierLive.pipe(
        Layer.provide(JwksRegistry.layer(options)),
        Layer.provide([FetchHttpClient.layer, persistence, JwksMetrics.layerNoop]),
      ),
    )
    try {
      return await runtime.runPromise(answer(request, tenantIn(options)))
    } finally {
      // Ends a refresh that this request has begun, and writes its snapshot, after the response.
      ctx.waitUntil(runtime.dispose())
    }
  },
}

export { worker as default }
