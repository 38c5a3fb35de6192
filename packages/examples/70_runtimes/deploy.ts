/**
 * Takes the snapshots that a bundle begins with, on the machine that builds it.
 */
import { JwksMetrics, JwksRegistry, type JwksRegistryOptions } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import { layerMap } from "./stores.ts"

/** Fetches every provider of the options; what `snapshots.ts` is to export. */
export const takeSnapshots = async (options: JwksRegistryOptions): Promise<Record<string, string>> => {
  const taken = new Map<string, string>()
  const layer = JwksRegistry.layer(options).pipe(
    Layer.provide([FetchHttpClient.layer, layerMap(taken), JwksMetrics.layerNoop]),
  )
  // Closing the layer writes what is unwritten.
  await Effect.runPromise(Effect.provide(JwksRegistry.warmUp({ timeout: "30 seconds" }), layer))
  return Object.fromEntries(taken)
}
