/**
 * A server that lives on, for Bun and for Deno alike: one registry, with timers and a fetch that all callers share.
 *
 *     JWKS_OPTIONS='{"providers":[{"tenant":"acme","provider":"idp","issuer":"https://id.example.com"}]}' bun server.ts
 *     JWKS_OPTIONS=... deno serve --allow-env --allow-net server.ts
 *
 * With `PORT` Bun listens elsewhere, Deno with `--port`.
 */
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import { JwtVerifierLive } from "@effect-jwks/jwt"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Persistence from "effect/persistence/Persistence"
import { answer } from "./guard.ts"
import { optionsOf, tenantIn } from "./settings.ts"

const options = optionsOf(process.env)

const runtime = ManagedRuntime.make(
  JwtVerifierLive.pipe(
    Layer.provide(JwksRegistry.layer(options)),
    Layer.provide([FetchHttpClient.layer, Persistence.layerMemory, JwksMetrics.layerNoop]),
  ),
)

const server = {
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"] ?? 8787),
  fetch: (request: Request): Promise<Response> => runtime.runPromise(answer(request, tenantIn(options))),
}

// Both runtimes serve what a module exports as its default.
export { server as default }
