import { assert, describe, it } from "@effect/vitest"
import { FakeProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

/** Runs a script until it ends by itself: its output, its exit code, and how long it took from its last line. */
const runUntilItEnds = (script: string, args: ReadonlyArray<string>) =>
  Effect.callback<{ readonly code: number | null; readonly output: string; readonly millisAfterOutput: number }>(
    (resume) => {
      const child = spawn(process.execPath, [fileURLToPath(new URL(script, import.meta.url)), ...args], {
        stdio: ["ignore", "pipe", "pipe"],
      })
      let output = ""
      let last = 0
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (chunk: Buffer) => {
          output += chunk.toString()
          last = Date.now()
        })
      }
      child.once("close", (code) => resume(Effect.succeed({ code, output, millisAfterOutput: Date.now() - last })))
      return Effect.sync(() => child.kill("SIGKILL"))
    },
  )

describe("A process that closes the layer", () => {
  it.live("ends by itself within seconds: no timer, socket or fiber is left", () =>
    Effect.gen(function* () {
      const good = yield* FakeProvider.make()
      const hanging = yield* FakeProvider.make()
      yield* hanging.faults.hang()
      const refusing = yield* Effect.scoped(Effect.map(FakeProvider.make(), ({ jwksUrl }) => jwksUrl))
      const { code, millisAfterOutput, output } = yield* runUntilItEnds("closeAndExit.program.ts", [
        good.jwksUrl,
        hanging.jwksUrl,
        refusing,
      ]).pipe(
        Effect.timeoutOrElse({ duration: "15 seconds", orElse: () => Effect.die(new Error("the process lives on")) }),
      )
      assert.strictEqual(output, `resolved ${good.keys.current.kid}\nclosed\n`)
      assert.strictEqual(code, 0)
      // Idle connections of fetch may linger for some seconds; refresh timers would for minutes.
      assert.isBelow(millisAfterOutput, 5_000)
      assert.deepStrictEqual([good.requests, hanging.requests, hanging.abandoned], [1, 1, 1])
    }),
  )
})
