/**
 * Refreshes providers that rotate at each request, a thousand rotations in all, until it is killed. Started
 * by the test beside it; tells on its standard output what it writes.
 */
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import { writeSync } from "node:fs"
import { persistenceOn } from "./Backend.ts"
import { optionsOf, providers, registrationOf } from "./Fleet.ts"
import { watched } from "./WatchedPersistence.ts"

const rotations = 1_000

const [, , backend = "", namespace = "", origin = ""] = process.argv

const live = JwksRegistry.layer(optionsOf(namespace)).pipe(
  Layer.provide([
    FetchHttpClient.layer,
    watched(persistenceOn(JSON.parse(backend)), (mark) => void writeSync(1, `${mark}\n`)),
    JwksMetrics.layerNoop,
  ]),
)

const program = Effect.gen(function* () {
  for (const provider of providers) yield* JwksRegistry.register(registrationOf(provider, origin))
  for (let rotation = 0; rotation < rotations; rotation += providers.length) {
    yield* Effect.forEach(providers, (provider) => JwksRegistry.refresh("acme", provider), { concurrency: 4 })
  }
  writeSync(1, "done\n")
  return yield* Effect.never
})

await Effect.runPromise(Effect.provide(program, live))
