/**
 * The programs of `70_runtimes` on Bun, Deno and workerd, each started for real.
 */
import type { JwksRegistryOptions } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { type Served, startBun, startDeno, startWorkerd } from "./support/Runtimes.ts"
import { knock, makeScene, running, type SceneOptions } from "./support/Visitors.ts"

const runtimes: ReadonlyArray<readonly [name: string, start: (options: JwksRegistryOptions) => Promise<Served>]> = [
  ["Bun", startBun],
  ["Deno", startDeno],
  ["workerd", startWorkerd],
  ["workerd without Effect", (options) => startWorkerd(options, { entry: "bridge_worker.ts" })],
]

describe.each(runtimes)("on %s", (_, start) => {
  const scene = Effect.fnUntraced(function* (how?: SceneOptions) {
    const made = yield* makeScene(how)
    return { ...made, door: yield* running(() => start(made.given)) }
  })

  it("lets a good token in and no other, with one request to the provider for all", () =>
    Effect.gen(function* () {
      const { door, idp, token } = yield* scene()
      const good = yield* token()
      for (let i = 0; i < 5; i++) expect(yield* knock(door, good)).toMatchObject({ status: 200, text: "welcome, ada" })
      expect(idp.requests).toBe(1)

      const { token: foreign } = yield* makeScene()
      const forged = yield* foreign(idp.keys.current.kid)
      for (const bad of [undefined, "a.b.c", forged, `${good}x`]) {
        expect(yield* knock(door, bad)).toMatchObject({ status: 401 })
      }
      expect(yield* knock(door, "no token")).toMatchObject({ status: 400 })
      expect(idp.requests).toBe(1)
    }).pipe(Effect.scoped, Effect.runPromise))

  it("asks the provider about a kid that it does not know: 304, and 401", () =>
    Effect.gen(function* () {
      const { door, idp, token } = yield* scene()
      yield* knock(door, yield* token())
      const madeUp = yield* token("made-up")
      expect(yield* knock(door, madeUp)).toMatchObject({ status: 401 })
      expect([idp.requests, idp.notModified]).toEqual([2, 1])
      // Remembered.
      expect(yield* knock(door, madeUp)).toMatchObject({ status: 401 })
      expect(idp.requests).toBe(2)
    }).pipe(Effect.scoped, Effect.runPromise))

  it("follows a rotation at once", () =>
    Effect.gen(function* () {
      const { door, idp, token } = yield* scene()
      const old = yield* token()
      expect(yield* knock(door, old)).toMatchObject({ status: 200 })
      yield* idp.keys.rotate({ keepOld: false })
      expect(yield* knock(door, yield* token())).toMatchObject({ status: 200 })
      expect(idp.requests).toBe(2)
      expect(yield* knock(door, old)).toMatchObject({ status: 401 })
    }).pipe(Effect.scoped, Effect.runPromise))

  it("asks to come back later while the provider is down and nothing is held, and recovers", () =>
    Effect.gen(function* () {
      const { door, idp, token } = yield* scene({ registration: { negativeCacheTtl: 0 } })
      const good = yield* token()
      yield* idp.faults.status(503)
      const { retryAfter, status } = yield* knock(door, good)
      expect(status).toBe(503)
      expect(Number(retryAfter)).toBeGreaterThanOrEqual(0)
      yield* idp.faults.heal
      expect(yield* knock(door, good)).toMatchObject({ status: 200 })
      // What is held goes on while the provider is down.
      yield* idp.faults.refuse()
      expect(yield* knock(door, good)).toMatchObject({ status: 200 })
    }).pipe(Effect.scoped, Effect.runPromise))
})
