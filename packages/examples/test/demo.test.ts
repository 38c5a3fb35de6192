/**
 * The demo as its users start it: a process of its own, judged by its status and its table.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"
import { text } from "node:stream/consumers"
import { describe, expect, it, onTestFinished } from "vitest"
import { stepNames } from "../10_demo/world.ts"

const main = path.join(import.meta.dirname, "../10_demo/main.ts")

const start = (args: ReadonlyArray<string>) =>
  spawn(process.execPath, [main, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, FORCE_COLOR: "0" },
  })

const statusOf = async (child: ChildProcess): Promise<unknown> => {
  const [status, signal] = await once(child, "close")
  return status ?? signal
}

/** Runs it to its end. */
const runDemo = async (...args: ReadonlyArray<string>) => {
  const child = start(args)
  const [status, stdout, stderr] = await Promise.all([statusOf(child), text(child.stdout), text(child.stderr)])
  return { status, stdout, stderr }
}

/** The lines of the table, by step: `ok`, `FAILED` or `run` for one that was not. */
const outcomes = (stdout: string): ReadonlyArray<string> =>
  stdout
    .split("\n")
    .filter((line) => stepNames.some((step) => line.startsWith(`${step} `)))
    .map((line) => line.split(/\s+/).at(-1) ?? "")

/** The machine has two cores. */
const twoAtATime = Semaphore.makeUnsafe(2).withPermits(1)

describe("the demo", () => {
  it("ends by itself within 30 s, with every step held", async () => {
    const { status, stderr, stdout } = await runDemo()
    expect(outcomes(stdout), stdout).toEqual(stepNames.map(() => "ok"))
    expect(stdout).toContain("Every step held")
    expect(stderr).toBe("")
    expect(status).toBe(0)
  }, 30_000)

  describe("fails at the step that is sabotaged, and says so", () => {
    it.concurrent.each(stepNames)("%s", (step) =>
      Effect.runPromise(
        twoAtATime(
          Effect.promise(async () => {
            const { status, stdout } = await runDemo("--break", step)
            expect(outcomes(stdout), stdout).toEqual(
              stepNames.map((_, index) => ["run", "FAILED", "ok"][Math.sign(stepNames.indexOf(step) - index) + 1]),
            )
            expect(stdout).toContain(`Step ${step} FAILED`)
            expect(status).toBe(1)
          }),
        ),
      ),
    )
  })

  it("names the steps when it is told to break another one", async () => {
    const { status, stderr, stdout } = await runDemo("--break", "nothing")
    expect(status).toBe(2)
    for (const step of stepNames) expect(stderr).toContain(step)
    expect(outcomes(stdout)).toEqual([])
  })

  it.each(["SIGTERM", "SIGINT"] as const)("serves until %s, and leaves nothing behind", async (signal) => {
    const child = start(["--serve"])
    onTestFinished(() => void child.kill("SIGKILL"))
    const ended = statusOf(child)
    let stdout = ""
    for await (const chunk of child.stdout) {
      stdout += String(chunk)
      if (/idp-b .*jwks\n/.test(stdout)) break
    }
    const urls = Array.from(stdout.matchAll(/curl -i (\S+)/g), ([, url]) => url ?? "")
    expect(urls).toHaveLength(2)
    for (const url of urls) expect(await fetch(url)).toMatchObject({ status: 200 })
    child.kill(signal)
    expect(await ended).toBe(0)
    for (const url of urls) await expect(fetch(url)).rejects.toThrow()
  })
})
