/**
 * A process that uses the transport and closes it. Nothing here ends the process: when a timer, a socket or
 * a fiber is left over, it lives on.
 *
 *     node closeAndExit.program.ts <JWKS URL that answers> <URL that never finishes TLS> <URL that never answers>
 */
import { JwksRegistry } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import { NodeJwks } from "../src/index.ts"
import { quietly } from "./support/Registry.ts"

const [good = "", silent = "", hanging = ""] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const settings = { tenant: "acme", requireHttps: false }
  yield* JwksRegistry.register({ ...settings, provider: "good", jwksUrl: good })
  yield* JwksRegistry.register({ ...settings, provider: "silent", jwksUrl: silent })
  yield* JwksRegistry.register({ ...settings, provider: "hanging", jwksUrl: hanging })
  const { jwks } = yield* JwksRegistry.resolve("acme", "good")
  process.stdout.write(`resolved ${jwks.keys.length}\n`)
  // Until whoever started this process has seen the connections of the others.
  yield* Effect.callback<void>((resume) => {
    process.stdin.once("end", () => resume(Effect.void)).resume()
  })
})

await program.pipe(
  Effect.provide(
    NodeJwks.layer({
      requireHttps: false,
      allowPrivateAddresses: ["127.0.0.1"],
      http: { connectTimeout: "5 minutes", keepAlive: "10 minutes" },
    }),
  ),
  quietly,
  Effect.runPromise,
)
process.stdout.write("closed\n")
