/**
 * HTTP conformance: `node packages/core/test/conformance/main.ts <cache-tests.json>`.
 *
 * Plays the tests that bear on a private cache of one URL against the registry, and fails unless they are
 * all there and differ exactly where `differences.ts` says so.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { contract, differences } from "./differences.ts"
import { run } from "./run.ts"

const [, , file] = process.argv
if (file === undefined) throw new Error("usage: node packages/core/test/conformance/main.ts <cache-tests.json>")
const document: unknown = JSON.parse(fs.readFileSync(file, "utf8"))
const { lines, problems } = await Effect.runPromise(
  run(document, { count: 168, contract: Object.values(contract), differences }),
)
for (const line of lines) console.log(line)
for (const problem of problems) console.error(`problem: ${problem}`)
process.exitCode = problems.length === 0 ? 0 : 1
