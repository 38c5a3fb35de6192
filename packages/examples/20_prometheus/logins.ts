/**
 * Something to measure: a provider on a socket of this machine, and users of one tenant who log in. One in
 * ten brings a token that somebody else has signed; once the provider is down for a moment.
 */
import { JwksRegistry } from "@effect-jwks/core"
import { FakeProvider } from "@effect-jwks/testing"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

/** Asks for the key of a token, as an application does before it verifies one. */
const logIn = (kid: string) =>
  JwksRegistry.resolveKey("acme", kid, { provider: "idp" }).pipe(
    Effect.catchTag("KeyNotFound", () => Effect.void), // 401
    Effect.withSpan("login", { attributes: { tenant: "acme" } }),
  )

/**
 * As many as `LOGINS` says, or without an end. Then it writes what the provider itself has counted, and
 * the process lives on, so that somebody can look at the numbers.
 */
export const logins = Effect.gen(function* () {
  const count = yield* Config.Int("LOGINS").pipe(Config.withDefault(Infinity))
  const idp = yield* FakeProvider.make()
  yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl, requireHttps: false })
  for (let n = 1; n <= count; n += 1) {
    if (n === 5) {
      yield* idp.faults.status(404, { next: 1 })
      yield* Effect.ignore(JwksRegistry.refresh("acme", "idp"))
      yield* JwksRegistry.refresh("acme", "idp")
    }
    yield* logIn(n % 10 === 0 ? `unknown-${n}` : idp.keys.current.kid)
    yield* Effect.sleep("10 millis")
  }
  const { byStatus, requests } = idp
  yield* Console.log(JSON.stringify({ logins: count, requests, byStatus }))
  return yield* Effect.never
}).pipe(Effect.scoped)
