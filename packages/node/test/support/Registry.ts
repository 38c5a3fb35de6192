/**
 * The registry with this transport, and what came of fetching one URL, as its callers see it.
 */
import { JwksRegistry, type JwksRegistryService, type JwksUnavailable, type ProviderSettings } from "@effect-jwks/core"
import { staticKeys } from "@effect-jwks/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import { NodeJwks, type NodeJwksOptions } from "../../src/index.ts"
import type { Handler } from "./Listening.ts"

/** Attempts that fail are not repeated, and nothing is fetched before it is asked for. */
export const once: ProviderSettings = { retryPolicy: { maxRetries: 0 }, warm: false }

/** A registry that lives as long as the scope. */
export const openRegistry = (options: NodeJwksOptions) =>
  Effect.map(
    Layer.build(
      NodeJwks.layer({ maxProvidersPerTenant: 10_000, ...options, defaults: { ...once, ...options.defaults } }),
    ),
    (context) => Context.get(context, JwksRegistry),
  )

/** The keys were served, or the reason why not. */
export type Outcome = { readonly _tag: "Served"; readonly keys: number } | JwksUnavailable["reason"]

let providers = 0

/** Registers a new provider of tenant `acme`; resolves it as often as the effect runs. */
export const provider = Effect.fnUntraced(function* (
  registry: JwksRegistryService,
  jwksUrl: string,
  settings: ProviderSettings = {},
) {
  const name = `idp-${++providers}`
  yield* registry.register({ tenant: "acme", provider: name, jwksUrl, ...settings })
  const outcome = registry.resolve("acme", name).pipe(
    Effect.map(({ jwks }): Outcome => ({ _tag: "Served", keys: jwks.keys.length })),
    Effect.catchTag("JwksUnavailable", ({ reason }) => Effect.succeed<Outcome>(reason)),
    Effect.orDie,
  )
  return { name, outcome, refresh: registry.refresh("acme", name) }
})

/** What comes of a URL's first fetch. */
export const outcomeOf = (registry: JwksRegistryService, jwksUrl: string, settings?: ProviderSettings) =>
  Effect.flatMap(provider(registry, jwksUrl, settings), ({ outcome }) => outcome)

/** One key was served. */
export const served: Outcome = { _tag: "Served", keys: 1 }

/** A JWK Set of one key, as text. */
export const jwksBody = JSON.stringify({ keys: staticKeys(1) })

/** Answers every request with {@link jwksBody}. */
export const answerJwks: Handler = (_, response) => {
  response.setHeader("content-type", "application/jwk-set+json").end(jwksBody)
}

/** Failed refreshes are logged; tests that provoke them say so by their assertions. */
export const quietly = Effect.provideService(References.MinimumLogLevel, "None")

/** A turn of the event loop: the connection of the last response is back in its pool. */
export const idle: Effect.Effect<void> = Effect.callback((resume) => {
  setImmediate(() => resume(Effect.void))
})
