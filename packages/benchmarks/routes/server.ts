/**
 * One contestant in a process of its own: takes the providers from its parent, tells its port, and then, whenever it is asked,
 * how much of the processor it has used.
 *
 *     fork("routes/server.ts", ["effect-jwks" | "jose"])
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import { once } from "node:events"
import { type Idp, serverWith } from "./api.ts"
import { guard as effectJwks } from "./effect_jwks.ts"
import { guard as jose } from "./jose.ts"

const told = once(process, "message")
process.send?.("ready")
const [idps]: ReadonlyArray<ReadonlyArray<Idp>> = await told
const guard = process.argv[2] === "jose" ? jose(idps ?? []) : effectJwks(idps ?? [])

const serving = Effect.gen(function* () {
  const { address } = Context.get(yield* Layer.build(serverWith(guard)), HttpServer.HttpServer)
  process.send?.(address._tag === "UnixPathAddress" ? 0 : address.port)
  process.on("message", () => process.send?.(process.cpuUsage()))
  // Until the parent leaves.
  yield* Effect.callback<void>((resume) => void process.once("disconnect", () => resume(Effect.void)))
})

await Effect.runPromise(Effect.scoped(serving))
