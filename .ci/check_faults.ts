/**
 * Shows that the tests see what they are there for: each patch in `packages/core/test/seeded_faults` puts one
 * fault into a copy of the sources, and the tests that its header names must turn red.
 *
 *     node .ci/check_faults.ts [name...]
 *
 * A patch begins with the fault in words, then `Red: <test file> [<part of a test's name>]`.
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

interface SeededFault {
  readonly name: string
  readonly patch: string
  readonly words: string
  readonly testFile: string
  readonly testName: string | undefined
}

interface Outcome {
  readonly failed: number
  readonly passed: number
  /** Files that could not even be loaded: the patch broke the program instead of seeding a fault. */
  readonly broken: number
  readonly firstFailed: string | undefined
}

/** What vitest's JSON reporter writes, as far as it is read here. */
interface Report {
  readonly numFailedTests: number
  readonly numPassedTests: number
  readonly testResults: ReadonlyArray<{
    readonly status: string
    readonly assertionResults: ReadonlyArray<{ readonly status: string; readonly fullName: string }>
  }>
}

const folder = "packages/core/test/seeded_faults"

const readFault = (file: string): SeededFault => {
  const patch = readFileSync(join(folder, file), "utf8")
  const head = patch.slice(0, patch.indexOf("diff --git"))
  const red = /^Red: (\S+)(?: (.+))?$/m.exec(head)
  if (red?.[1] === undefined) throw new Error(`${file}: its header names no test ("Red: packages/...")`)
  return {
    name: file.replace(/\.patch$/, ""),
    patch,
    words: head.split("\n")[0] ?? "",
    testFile: red[1],
    testName: red[2],
  }
}

/** A copy of the workspace that shares the installed packages. */
const copyWorkspace = (): string => {
  const copy = mkdtempSync(join(tmpdir(), "seeded-faults-"))
  for (const entry of ["packages", ".ci", "package.json", "tsconfig.base.json", "vitest.workspace.ts"]) {
    cpSync(entry, join(copy, entry), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !/\/(dist|\.docs|results)$/.test(source),
    })
  }
  symlinkSync(join(process.cwd(), "node_modules"), join(copy, "node_modules"))
  return copy
}

const apply = (copy: string, fault: SeededFault, ...options: ReadonlyArray<string>): void => {
  const applied = spawnSync("git", ["apply", "--whitespace=nowarn", ...options, "-"], { cwd: copy, input: fault.patch })
  if (applied.status !== 0) throw new Error(`${fault.name} does not apply any more:\n${applied.stderr.toString()}`)
}

const runTests = (copy: string, files: ReadonlyArray<string>, testName: string | undefined): Outcome => {
  const report = join(copy, "report.json")
  rmSync(report, { force: true })
  spawnSync(
    process.execPath,
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      "--config=vitest.workspace.ts",
      "--project=core",
      ...(testName === undefined ? [] : [`--testNamePattern=${testName.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`]),
      ...files,
    ],
    { cwd: copy, env: { ...process.env, TEST_REPORT: report }, timeout: 120_000 },
  )
  const { numFailedTests, numPassedTests, testResults } = JSON.parse(readFileSync(report, "utf8")) as Report
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
  return {
    failed: numFailedTests,
    passed: numPassedTests,
    broken: testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length,
    firstFailed: tests.find(({ status }) => status === "failed")?.fullName,
  }
}

const wanted = process.argv.slice(2)
const faults = readdirSync(folder)
  .filter((file) => file.endsWith(".patch"))
  .map(readFault)
  .filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)))

const copy = copyWorkspace()
let missed = 0
try {
  const files = Array.from(new Set(faults.map(({ testFile }) => testFile)))
  const clean = runTests(copy, files, undefined)
  if (clean.failed + clean.broken > 0 || clean.passed === 0) {
    throw new Error(`without a fault ${clean.failed + clean.broken} tests or files fail: ${clean.firstFailed}`)
  }
  for (const fault of faults) {
    apply(copy, fault)
    const outcome = runTests(copy, [fault.testFile], fault.testName)
    apply(copy, fault, "--reverse")
    const seen = outcome.failed > 0 && outcome.broken === 0
    if (!seen) missed += 1
    console.log(`${seen ? "red " : "MISSED"} ${fault.name}: ${fault.words}`)
    console.log(seen ? `       ${outcome.firstFailed}` : `       ${fault.testFile}: ${JSON.stringify(outcome)}`)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(`faults: ${faults.length - missed} of ${faults.length} seen`)
process.exitCode = missed === 0 && faults.length > 0 ? 0 : 1
