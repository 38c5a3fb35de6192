/**
 * The engine's collector, for tests of what is held.
 */
import * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collectGarbage: unknown = runInNewContext("gc")

/** Lets the engine collect what nobody holds. A WeakRef that was read holds its target for the rest of the turn. */
export const collect = Effect.promise(async () => {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (typeof collectGarbage === "function") Reflect.apply(collectGarbage, undefined, [])
  }
})
