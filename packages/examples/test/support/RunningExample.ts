/**
 * An example as its users start it: a process of its own, which lives until it is told to stop.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"

export interface RunningExample {
  /** Waits until what it wrote matches, and answers with the match. */
  readonly written: (pattern: RegExp) => Promise<RegExpMatchArray>
  /** What it has written so far. */
  readonly output: () => string
  /** Done when it has ended, by itself or not. */
  readonly ended: Promise<void>
  readonly stop: () => Promise<void>
  /** What it ended with: `null` if it did not end by itself. */
  readonly exitCode: () => number | null
}

/** Runs `main.ts` of an example. */
export const startExample = (
  folder: string,
  environment: Readonly<Record<string, string>>,
  args: ReadonlyArray<string> = [],
): RunningExample => {
  const main = path.join(import.meta.dirname, "../..", folder, "main.ts")
  return startProgram(process.execPath, [main, ...args], environment)
}

/** Runs a program; `signal` is what ends it. */
export const startProgram = (
  program: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {},
  signal: "SIGTERM" | "SIGKILL" = "SIGTERM",
): RunningExample => {
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, FORCE_COLOR: "0", ...environment },
  })
  let output = ""
  let isOver = false
  let changed = Promise.withResolvers<void>()
  const change = (): void => {
    const before = changed
    changed = Promise.withResolvers<void>()
    before.resolve()
  }
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString()
      change()
    })
  }
  // Also where a test ran out of time, and nobody stops it.
  const end = (): void => void child.kill("SIGKILL")
  process.once("exit", end)
  const closed = once(child, "close").then(() => {
    process.off("exit", end)
    isOver = true
    change()
  })
  return {
    written: async (pattern) => {
      for (;;) {
        const match = pattern.exec(output)
        if (match !== null) return match
        if (isOver) throw new Error(`${program} has ended, and never wrote ${pattern}:\n${output}`)
        await changed.promise
      }
    },
    output: () => output,
    ended: closed,
    stop: async () => {
      child.kill(signal)
      await closed
    },
    exitCode: () => child.exitCode,
  }
}

/** What the examples write when all log-ins are done. */
export interface LoginsDone {
  readonly logins: number
  /** What the provider counted. */
  readonly requests: number
  readonly byStatus: Readonly<Record<number, number>>
}

export const loginsDone = async (example: RunningExample): Promise<LoginsDone> => {
  const [line] = await example.written(/^\{"logins".*\}$/m)
  return JSON.parse(line) as LoginsDone
}
