/**
 * The transport as a layer: the client, and beside it the word that it enforces pins.
 */
import { type InvalidRegistration, TransportGuards } from "@effect-jwks/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type { NodeJwksHttpOptions } from "../TransportOptions.ts"
import { AgentPool } from "./AgentPool.ts"
import type { DecoderMeter } from "./ContentDecoding.ts"
import { resolveSettings } from "./TransportSettings.ts"
import { makeClient } from "./UndiciClient.ts"

/** What tests look at. */
export interface Probes {
  readonly meter?: DecoderMeter
  readonly onPool?: (pool: AgentPool) => void
}

/** The transport with options that are found under `prefix`. */
export const transportLayer = (
  options: NodeJwksHttpOptions,
  prefix: string,
  { meter, onPool = () => {} }: Probes = {},
): Layer.Layer<HttpClient.HttpClient, InvalidRegistration> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const settings = yield* Effect.fromResult(resolveSettings(options, prefix))
      const pool = yield* Effect.acquireRelease(
        Effect.sync(() => new AgentPool(settings)),
        (pool) => Effect.promise(() => pool.close()),
      )
      onPool(pool)
      const client = makeClient(pool, settings.allowPrivateAddresses, meter)
      return Context.make(HttpClient.HttpClient, withoutTraces(client)).pipe(
        Context.add(TransportGuards, { pins: true }),
      )
    }),
  )

/** No client span, whose URL would tell queries, and no trace headers for identity providers. */
const withoutTraces: (client: HttpClient.HttpClient) => HttpClient.HttpClient = HttpClient.transformResponse(
  Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
)
