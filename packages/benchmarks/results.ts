/**
 * Results on disk, and one benchmark in three processes: what an engine happens to learn in one is not learned in all.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join, parse } from "node:path"
import { parseArgs } from "node:util"

/** What a benchmark is asked for: a small run, to keep to its limits, and where its result goes. */
export const readOptions = (name: string) =>
  parseArgs({
    options: {
      smoke: { type: "boolean", default: false },
      assert: { type: "boolean", default: false },
      out: { type: "string", default: join(import.meta.dirname, "results", `${name}.json`) },
    },
  }).values

/** Writes a result as JSON. */
export const write = (file: string, content: unknown): void => {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`)
}

/** Runs `program` in three processes one after another; the files of their results, beside `out`. */
export const runThrice = (program: string, out: string, options: ReadonlyArray<string>): ReadonlyArray<string> =>
  [1, 2, 3].map((nth) => {
    const { dir, name } = parse(out)
    const file = join(dir, `${name}.${nth}.json`)
    const { status } = spawnSync(process.execPath, [program, ...options, "--out", file], { stdio: "inherit" })
    if (status !== 0) throw new Error(`process ${nth} of 3 ended with ${status}`)
    return file
  })

/** A figure of each of the three processes, and what the best of them must not pass. */
export interface Limited {
  readonly what: string
  readonly all: ReadonlyArray<number>
  readonly atMost: number
}

/** Says whether the best figures keep to their limits. */
export const keepTo = (limited: ReadonlyArray<Limited>): boolean => {
  const kept = limited.map(({ all, atMost, what }) => {
    const best = Math.min(...all)
    const each = all.map((ratio) => ratio.toFixed(3)).join(", ")
    console.log(`${what}: ${each}; best ${best.toFixed(3)}, at most ${atMost}: ${best <= atMost ? "ok" : "FAILED"}`)
    return best <= atMost
  })
  return kept.every(Boolean)
}
