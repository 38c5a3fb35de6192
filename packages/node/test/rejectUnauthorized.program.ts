/**
 * Asks a server whose authority nobody trusts, first as Node does by itself: a process that was told to
 * trust everybody gets through with that.
 *
 *     node rejectUnauthorized.program.ts <JWKS URL>
 */
import * as Effect from "effect/Effect"
import { openRegistry, outcomeOf, quietly } from "./support/Registry.ts"

const [url = ""] = process.argv.slice(2)

const { status } = await fetch(url, { headers: { connection: "close" } })
process.stdout.write(`fetch: ${status}\n`)

const outcome = await openRegistry({ allowPrivateAddresses: ["localhost"] }).pipe(
  Effect.flatMap((registry) => outcomeOf(registry, url)),
  Effect.scoped,
  quietly,
  Effect.runPromise,
)
process.stdout.write(`registry: ${outcome._tag === "TransportFailed" ? outcome.detail : outcome._tag}\n`)
