/**
 * A memory that outlives the registries over it.
 */

/**
 * What registries that live for one request each have in common: sets, failures, budgets and counts, as plain
 * data. Nothing of a request is in it, so no request waits for another's I/O.
 *
 * **Details**
 *
 * Made at module load; making one does no I/O, starts no timer and draws no random number. Given as the option
 * `memory`, it makes a registry adopt what is known when it is built, and put what it learns where the next one
 * finds it.
 *
 * **Gotchas**
 *
 * Options and registrations are remembered by the object they were given as: write them once, outside the
 * handler, and do not change them afterwards.
 *
 * **Example** (Two requests, one fetch)
 *
 * ```ts
 * import { JwksMemory, JwksRegistry } from "@effect-jwks/core"
 * import { ScriptedProvider, TestRegistry } from "@effect-jwks/testing"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function* () {
 *   const idp = yield* ScriptedProvider
 *   const options = {
 *     memory: JwksMemory.make(),
 *     providers: [{ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl }],
 *   }
 *   const request = JwksRegistry.resolveKey("acme", idp.keys.current.kid).pipe(
 *     Effect.provide(TestRegistry.layerNoClient(options)),
 *   )
 *   const [one, other] = [yield* request, yield* request]
 *   return [one === other, idp.requests] // => [true, 1]
 * })
 *
 * await Effect.runPromise(Effect.provide(program, ScriptedProvider.layer()))
 * ```
 */
export class JwksMemory {
  /** Without it any object would be one to the compiler. */
  readonly _tag = "JwksMemory"

  /** A memory that holds nothing yet. */
  static make(): JwksMemory {
    return new JwksMemory()
  }

  private constructor() {}
}
