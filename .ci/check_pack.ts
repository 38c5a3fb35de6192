/**
 * What npm users get: builds every public package, packs it as it would be published, and looks at the
 * tarball with publint and attw.
 *
 *     node .ci/check_pack.ts
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { conclude, filesUnder, read, root } from "./files.ts"

/** Runs a program in `cwd`; what it printed, and whether it failed. */
const run = (command: string, args: ReadonlyArray<string>, cwd: string = root) => {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" })
  return { failed: status !== 0, output: `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}`.trim() }
}

/** The pnpm that runs this script, or the one that the README names. */
const pnpm = (args: ReadonlyArray<string>, cwd: string) => {
  const self = process.env["npm_execpath"]
  return self !== undefined && path.basename(self).startsWith("pnpm")
    ? run(self, args, cwd)
    : run("npx", ["-y", "pnpm@12", ...args], cwd)
}

interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const manifestOf = (text: string): Manifest => JSON.parse(text) as Manifest

const publicPackages = fs
  .readdirSync(path.join(root, "packages"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && fs.existsSync(path.join(root, "packages", entry.name, "package.json")))
  .map((entry) => `packages/${entry.name}`)
  .filter((folder) => manifestOf(read(`${folder}/package.json`)).private !== true)

/** Build output whose source is gone would be packed for ever; the build does not take it away. */
const removeOrphans = (folder: string): void => {
  const sources = new Set(filesUnder(`${folder}/src`).map((file) => file.slice(`${folder}/src/`.length)))
  const dist = path.join(root, folder, "dist")
  if (!fs.existsSync(dist)) return
  for (const file of fs.readdirSync(dist, { recursive: true, encoding: "utf8" })) {
    const source = file
      .split(path.sep)
      .join("/")
      .replace(/(?:\.d\.ts|\.js)(?:\.map)?$/, ".ts")
    if (source.endsWith(".ts") && !sources.has(source)) fs.rmSync(path.join(dist, file))
  }
}

const problemsOf = (folder: string, into: string): ReadonlyArray<string> => {
  const at = (what: string) => `${folder}: ${what}`
  const packed = pnpm(["pack", "--pack-destination", into], path.join(root, folder))
  const tarball = fs.readdirSync(into).find((file) => file.endsWith(".tgz"))
  if (packed.failed || tarball === undefined) return [at(`pnpm pack failed\n${packed.output}`)]
  const file = path.join(into, tarball)
  const listing = run("tar", ["-tzf", file])
  if (listing.failed) return [at(`the tarball can not be read\n${listing.output}`)]
  const contents = listing.output.split("\n").map((line) => line.replace(/^package\//, ""))
  const problems: Array<string> = []

  for (const needed of ["package.json", "LICENSE", "dist/index.js", "dist/index.d.ts", "src/index.ts"]) {
    if (!contents.includes(needed)) problems.push(at(`the tarball lacks ${needed}`))
  }
  for (const name of contents) {
    if (!/^(?:package\.json|LICENSE|(?:dist|src)\/.+\.(?:js|ts|map|lua|html|css|svg))$/.test(name)) {
      problems.push(at(`the tarball holds ${name}`))
    }
  }
  const manifest = manifestOf(run("tar", ["-xzOf", file, "package/package.json"]).output)
  for (const [name, range] of Object.entries({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    if (/^(?:workspace|link|file|catalog):/.test(range)) problems.push(at(`${name} is packed as ${range}`))
  }

  const bin = (name: string) => path.join(root, "node_modules/.bin", name)
  const publint = run(bin("publint"), ["run", file, "--strict"])
  if (publint.failed) problems.push(at(`publint\n${publint.output}`))
  const attw = run(bin("attw"), [file, "--profile", "esm-only", "--no-emoji", "--no-color"])
  if (attw.failed) problems.push(at(`attw\n${attw.output}`))
  return problems
}

const build = run(path.join(root, "node_modules/.bin/tsc"), ["-b", "packages", "--pretty", "false"])
if (build.failed) {
  conclude("pack", [`the build failed\n${build.output}`], "nothing was packed")
} else {
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "pack-"))
  try {
    const problems = publicPackages.flatMap((folder) => {
      removeOrphans(folder)
      const into = path.join(temporary, path.basename(folder))
      fs.mkdirSync(into)
      return problemsOf(folder, into)
    })
    conclude("pack", problems, publicPackages.map((folder) => path.basename(folder)).join(", "))
  } finally {
    fs.rmSync(temporary, { recursive: true })
  }
}
