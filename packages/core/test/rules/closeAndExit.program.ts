/**
 * A process that uses a registry and closes it. Nothing here ends the process: when a timer, a socket or
 * a fiber is left over, it lives on.
 *
 *     node closeAndExit.program.ts <JWKS URL that answers> <JWKS URL that hangs> <JWKS URL where nobody listens>
 */
import { JwksRegistry } from "@effect-jwks/core"
import { TestRegistry } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Stream from "effect/Stream"

const [good = "", hanging = "", refusing = ""] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const failed = yield* JwksRegistry.events.pipe(
    Stream.filter(({ _tag }) => _tag === "RefreshFailed"),
    Stream.runHead,
    Effect.forkChild({ startImmediately: true }),
  )
  const retryPolicy = { maxRetries: 0 }
  yield* JwksRegistry.register({ tenant: "acme", provider: "good", jwksUrl: good })
  // A flight that is under way at the close, and the timer of a failed one.
  yield* JwksRegistry.register({ tenant: "acme", provider: "hanging", jwksUrl: hanging })
  yield* JwksRegistry.register({ tenant: "acme", provider: "refusing", jwksUrl: refusing, retryPolicy })
  const { jwks } = yield* JwksRegistry.resolve("acme", "good")
  const kid = jwks.keys[0]?.kid
  yield* JwksRegistry.resolveKey("acme", kid, { provider: "good" })
  yield* Fiber.join(failed)
  process.stdout.write(`resolved ${kid}\n`)
})

await program.pipe(
  Effect.provide(TestRegistry.layer()),
  Effect.provideService(References.MinimumLogLevel, "None"),
  Effect.runPromise,
)
process.stdout.write("closed\n")
