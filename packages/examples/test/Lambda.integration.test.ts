/**
 * The handler for AWS Lambda: what it leaves behind between two invocations, and at the end.
 */
import * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { startProgram } from "./support/RunningExample.ts"
import { makeScene } from "./support/Visitors.ts"

const program = fileURLToPath(new URL("support/invoke.program.ts", import.meta.url))

describe("a handler that is frozen between invocations", () => {
  it("fetches once, leaves no timer after any of them, and lets the process end", () =>
    Effect.gen(function* () {
      const { given, idp, token } = yield* makeScene()
      const tokens = [yield* token(), yield* token(), yield* token("made-up"), yield* token()]
      const child = startProgram(process.execPath, [program, ...tokens], { JWKS_OPTIONS: JSON.stringify(given) })
      yield* Effect.promise(() => child.ended)
      const told = child
        .output()
        .split("\n")
        .filter((line) => line.startsWith("{"))
      expect(told.map((line): unknown => JSON.parse(line))).toEqual(
        [200, 200, 401, 200].map((statusCode) => ({ statusCode, timers: [] })),
      )
      expect(child.output()).toMatch(/^returned$/m)
      expect([idp.requests, idp.notModified]).toEqual([2, 1])
    }).pipe(Effect.scoped, Effect.runPromise))
})
