/**
 * The examples of the documentation hold: every `ts` block of README.md, docs/ and the docstrings under
 * packages/ is type-checked and run, each as a module of its own.
 *
 * A word after `ts` says otherwise, and every reader sees it: `no-run` is only type-checked (it needs
 * something that is not there), `no-check` is neither (a fragment).
 *
 *     node .ci/check_examples.ts
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { conclude, filesUnder, read, root } from "./files.ts"

/** A block of an example, with the line of the file that its first line stands on. */
export interface Block {
  readonly file: string
  readonly line: number
  readonly code: string
  readonly mark: "run" | "no-run" | "no-check"
}

const marks: Readonly<Record<string, Block["mark"]>> = { "": "run", "no-run": "no-run", "no-check": "no-check" }

// In a docstring each line starts with ` * `, which `prefix` takes in.
const fence =
  /^(?<prefix>[ \t]*(?:\*[ \t]?)?[ \t]*)```(?:ts|typescript)\b[ \t]*(?<mark>[^\n]*)\n(?<code>[\s\S]*?)^[ \t]*(?:\*[ \t]?)?[ \t]*```[ \t]*$/gm

/** The `ts` blocks of a Markdown page or of a TypeScript source's docstrings. */
export const blocksOf = (file: string, text: string): ReadonlyArray<Block> =>
  [...text.matchAll(fence)].flatMap(({ index, groups = {} }) => {
    const { prefix = "", mark = "", code = "" } = groups
    if (file.endsWith(".ts") && !prefix.includes("*")) return [] // a template string that holds Markdown
    const known = marks[mark.trim()]
    if (known === undefined) throw new Error(`${file}: unknown mark "${mark.trim()}" after ts: no-run or no-check`)
    return [
      {
        file,
        line: text.slice(0, index).split("\n").length + 1,
        code: code
          .split("\n")
          .map((line) => (line.startsWith(prefix) ? line.slice(prefix.length) : line.replace(/^[ \t]*\*?[ \t]?/, "")))
          .join("\n"),
        mark: known,
      },
    ]
  })

/** Where the blocks become files: inside a package that depends on all others. */
const folder = path.join(root, "packages/examples/.docs")
const seconds = 30

const moduleName = (block: Block): string => `${block.file.replace(/[^A-Za-z0-9]+/g, "_")}_${block.line}.ts`

/** Runs a program in the folder of the blocks; `undefined` is a program that took too long. */
const run = (command: string, args: ReadonlyArray<string>, limit: number) =>
  new Promise<{ readonly code: number | undefined; readonly output: string }>((resolve) => {
    const child = spawn(command, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"], detached: true })
    let output = ""
    let late = false
    const timer = setTimeout(() => {
      late = true
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL") // and whatever it started
    }, limit)
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (output += chunk.toString()))
    child.on("error", (error) => (output += error.message))
    child.on("close", (code) => {
      clearTimeout(timer)
      resolve({ code: late ? undefined : (code ?? 1), output })
    })
  })

const indent = (text: string): string => text.trimEnd().replace(/^/gm, "    ")

/** What is wrong with the blocks: their types, or else how they ran. */
const check = async (blocks: ReadonlyArray<Block>): Promise<ReadonlyArray<string>> => {
  const compilerOptions = {
    composite: false,
    incremental: false,
    declaration: false,
    declarationMap: false,
    sourceMap: false,
    noEmit: true,
    noUnusedLocals: false,
    types: ["node"],
  }
  const project = { extends: "../../../tsconfig.base.json", compilerOptions, include: ["*.ts"] }
  fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(project))
  for (const block of blocks) {
    // As many empty lines as stand above the block, so that positions in messages are those of the page.
    fs.writeFileSync(path.join(folder, moduleName(block)), "\n".repeat(block.line - 1) + block.code)
  }

  const tsc = path.join(root, "node_modules/typescript/bin/tsc")
  const types = await run(process.execPath, [tsc, "-p", "tsconfig.json", "--pretty", "false"], 120_000)
  if (types.code !== 0) {
    const readable = blocks.reduce((text, block) => text.replaceAll(moduleName(block), block.file), types.output)
    return [readable.trimEnd()]
  }

  const problems: Array<string> = []
  const waiting = blocks.filter((block) => block.mark === "run")
  const worker = async (): Promise<void> => {
    for (let block = waiting.shift(); block !== undefined; block = waiting.shift()) {
      const at = `${block.file}:${block.line}`
      const { code, output } = await run(process.execPath, [moduleName(block)], seconds * 1_000)
      if (code === undefined) problems.push(`${at}: still running after ${seconds} s\n${indent(output)}`)
      else if (code !== 0) problems.push(`${at}: ended with exit code ${code}\n${indent(output)}`)
    }
  }
  await Promise.all([worker(), worker()])
  return problems
}

if (import.meta.main) {
  const sources = [
    ...filesUnder(".").filter((file) => file === "README.md" || /^docs\/.*\.md$/.test(file)),
    ...filesUnder("packages").filter((file) => /^packages\/[^/]+\/src\/.*\.ts$/.test(file)),
  ]
  const all = sources.flatMap((file) => blocksOf(file, read(file)))
  const blocks = all.filter((block) => block.mark !== "no-check")
  const count = (mark: Block["mark"]) => all.filter((block) => block.mark === mark).length
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder)
  const problems = await check(blocks).finally(() => fs.rmSync(folder, { recursive: true }))
  conclude("examples", problems, `${count("run")} run, ${count("no-run")} no-run, ${count("no-check")} no-check`)
}
