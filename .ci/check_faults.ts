/**
 * Shows that the tests see what they are there for: each fault in a `seeded_faults.txt` under `packages` is put
 * into a copy of the sources, and the tests that it names must turn red.
 *
 *     node .ci/check_faults.ts [--seconds N] [name...]
 *
 * First of all, every fault's lines and tests have to be there still. With `--seconds` none is begun after so long, and the order
 * is drawn anew each time, so that runs together see all of them. The tests themselves have to be green then: nobody looks
 * whether they are.
 *
 * A fault reads
 *
 *     # its_name
 *     What is wrong then, in a sentence.
 *     red: <test file> [<part of a test's name>]
 *     in: <source file>
 *     -lines that the file holds exactly once
 *     +lines in their place
 *
 * with as many replacements and files as it takes.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"

interface Replacement {
  readonly file: string
  readonly from: string
  readonly to: string
}

interface SeededFault {
  readonly name: string
  readonly words: string
  readonly testFile: string
  readonly testName: string | undefined
  readonly replacements: ReadonlyArray<Replacement>
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

/** The replacements of a fault: runs of `-` lines, each with the `+` lines that follow. */
const readReplacements = (lines: ReadonlyArray<string>): ReadonlyArray<Replacement> => {
  const replacements: Array<Replacement> = []
  let file = ""
  let from: Array<string> = []
  let to: Array<string> = []
  const close = () => {
    if (from.length > 0) replacements.push({ file, from: from.join("\n"), to: to.join("\n") })
    from = []
    to = []
  }
  for (const line of lines) {
    if (line.startsWith("in: ")) {
      close()
      file = line.slice(4)
    } else if (line.startsWith("-")) {
      if (to.length > 0) close()
      from.push(line.slice(1))
    } else if (line.startsWith("+")) {
      to.push(line.slice(1))
    } else {
      close()
    }
  }
  close()
  return replacements
}

const readFaults = (file: string): ReadonlyArray<SeededFault> =>
  readFileSync(file, "utf8")
    .split(/^# /m)
    .slice(1)
    .map((text) => {
      const [name = "", words = "", ...lines] = text.split("\n")
      const [, testFile, testName] = /^red: (\S+)(?: (.+))?$/.exec(lines[0] ?? "") ?? []
      const replacements = readReplacements(lines.slice(1))
      if (testFile === undefined || replacements.length === 0) throw new Error(`${file}: ${name} is incomplete`)
      return { name, words, testFile, testName, replacements }
    })

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

/** Fails for a fault whose lines have become others, whether or not it is drawn. */
const checkPlaces = ({ name, replacements }: SeededFault): void => {
  for (const { file, from } of replacements) {
    if (readFileSync(file, "utf8").split(from).length !== 2) {
      throw new Error(`${name}: ${file} does not hold exactly once:\n${from}`)
    }
  }
}

/** Fails for a fault whose tests have got another name, whether or not it is drawn: none would run, and none turn red. */
const checkNames = async (copy: string, faults: ReadonlyArray<SeededFault>): Promise<void> => {
  const names = await namesOfTests(copy, testFilesOf(faults))
  for (const { name, testFile, testName = "" } of faults) {
    if (!names.some((test) => test.file.endsWith(`/${testFile}`) && test.fullName.includes(testName))) {
      throw new Error(`${name}: ${testFile} has no test of the name: ${testName}`)
    }
  }
}

const testFilesOf = (faults: ReadonlyArray<SeededFault>): ReadonlyArray<string> =>
  Array.from(new Set(faults.map(({ testFile }) => testFile)))

/** What the files' tests are called once they are collected: many of them are made in loops. */
const namesOfTests = async (
  copy: string,
  files: ReadonlyArray<string>,
): Promise<ReadonlyArray<{ readonly file: string; readonly fullName: string }>> => {
  const list = join(copy, "list.json")
  await runVitest(copy, ["list", "--staticParse=false", `--json=${list}`, ...files], { timeout: 120_000 })
  if (!existsSync(list)) throw new Error("the tests could not be listed")
  const listed = JSON.parse(readFileSync(list, "utf8")) as ReadonlyArray<Readonly<Record<"name" | "file", string>>>
  // As a pattern for names is held against them.
  return listed.map(({ file, name }) => ({ file, fullName: name.replaceAll(" > ", " ") }))
}

/** Puts a fault into the copy; the result takes it out again. */
const seed = (copy: string, fault: SeededFault): (() => void) => {
  const before = new Map<string, string>()
  for (const { file, from, to } of fault.replacements) {
    const path = join(copy, file)
    const source = readFileSync(path, "utf8")
    if (!before.has(path)) before.set(path, source)
    writeFileSync(
      path,
      source.replace(from, () => to),
    )
  }
  return () => {
    for (const [path, source] of before) writeFileSync(path, source)
  }
}

/** Ends when vitest has, or was stopped. */
const runVitest = async (
  copy: string,
  [command, ...words]: readonly [command: "list" | "run", ...ReadonlyArray<string>],
  { report, timeout }: { readonly report?: string; readonly timeout: number },
): Promise<void> => {
  const vitest = spawn(
    process.execPath,
    ["node_modules/vitest/vitest.mjs", command, "--config=vitest.workspace.ts", ...words],
    { cwd: copy, env: { ...process.env, TEST_REPORT: report }, timeout, stdio: "ignore" },
  )
  await once(vitest, "close")
}

const runTests = async (
  copy: string,
  files: ReadonlyArray<string>,
  testName: string | undefined,
  timeout = 120_000,
): Promise<Outcome> => {
  const report = join(copy, "report.json")
  rmSync(report, { force: true })
  await runVitest(
    copy,
    [
      "run",
      ...Array.from(new Set(files.map((file) => `--project=${file.split("/")[1]}`))),
      ...(testName === undefined ? [] : [`--testNamePattern=${testName.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`]),
      ...files,
    ],
    { report, timeout },
  )
  // Stopped: the fault keeps them from ending, or the machine is too slow.
  if (!existsSync(report)) return { failed: 0, passed: 0, broken: 1, firstFailed: undefined }
  const { numFailedTests, numPassedTests, testResults } = JSON.parse(readFileSync(report, "utf8")) as Report
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
  return {
    failed: numFailedTests,
    passed: numPassedTests,
    broken: testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length,
    firstFailed: tests.find(({ status }) => status === "failed")?.fullName,
  }
}

const { positionals: wanted, values } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: "string", default: "Infinity" } },
})
const seconds = Number(values.seconds)
const isTimed = Number.isFinite(seconds)
const faults = globSync("packages/*/test/**/seeded_faults.txt")
  .toSorted()
  .flatMap(readFaults)
  .filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .map((fault) => ({ fault, place: isTimed ? Math.random() : 0 }))
  .toSorted((a, b) => a.place - b.place)
  .map(({ fault }) => fault)

faults.forEach(checkPlaces)

/** Each works on a copy of its own; on loopback and in memory they do not meet. */
const copies = Array.from({ length: Math.min(2, availableParallelism()) }, copyWorkspace)
const missed: Array<string> = []
let tried = 0
try {
  const [copy = ""] = copies
  await checkNames(copy, faults)
  // A draw is for after the tests, which have shown that nothing is red without a fault.
  if (!isTimed) {
    const clean = await runTests(copy, testFilesOf(faults), undefined, 600_000)
    if (clean.failed + clean.broken > 0 || clean.passed === 0) {
      throw new Error(`without a fault ${clean.failed + clean.broken} tests or files fail: ${clean.firstFailed}`)
    }
  }
  const waiting = [...faults]
  const endsAt = performance.now() + seconds * 1_000
  const work = async (copy: string): Promise<void> => {
    for (let fault = waiting.shift(); fault !== undefined; fault = waiting.shift()) {
      if (performance.now() > endsAt) return
      tried += 1
      const takeOut = seed(copy, fault)
      const outcome = await runTests(copy, [fault.testFile], fault.testName)
      takeOut()
      const seen = outcome.failed > 0 && outcome.broken === 0
      if (!seen) missed.push(fault.name)
      console.log(`${seen ? "red " : "MISSED"} ${fault.name}: ${fault.words}`)
      console.log(seen ? `       ${outcome.firstFailed}` : `       ${fault.testFile}: ${JSON.stringify(outcome)}`)
    }
  }
  // Both, since the copies are removed next.
  const ended = await Promise.allSettled(copies.map(work))
  for (const worker of ended) if (worker.status === "rejected") throw worker.reason
} finally {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true })
}
const untried = faults.length - tried
console.log(
  `faults: ${tried - missed.length} of ${tried} seen${untried === 0 ? "" : `, ${untried} not tried for want of time`}`,
)
// Once more at the end, which is what a log is cut to.
if (missed.length > 0) console.log(`missed: ${missed.join(", ")}`)
process.exitCode = missed.length === 0 && tried > 0 ? 0 : 1
