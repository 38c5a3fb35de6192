/**
 * Import direction, between the packages and between the floors of core. The rules are data in `floors.ts`.
 *
 *     node .ci/check_imports.ts
 */
import * as path from "node:path"
import { conclude, filesUnder, read } from "./files.ts"
import { coreFloors, coreLibraries, doors, packages, planned } from "./floors.ts"

/** The rules that the sources are held to; {@link rules} are the repository's own. */
export interface Rules {
  readonly packages: typeof packages
  readonly coreLibraries: typeof coreLibraries
  readonly coreFloors: typeof coreFloors
  readonly planned: typeof planned
  readonly doors: typeof doors
}

/** The repository's own rules. */
export const rules: Rules = { packages, coreLibraries, coreFloors, planned, doors }

/** One import, `export from` or `import()`; no specifier where it is computed. */
export interface Import {
  readonly specifier: string | undefined
  readonly line: number
}

const scope = "@effect-jwks/"
const coreSources = "packages/core/src/"

// Strings come first, so that a `//` inside one is no comment.
const stringsAndComments = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g

const withoutComments = (source: string): string =>
  source.replace(stringsAndComments, (text) => (text.startsWith("/") ? text.replace(/[^\n]/g, " ") : text))

// Neither form runs over a quote, so that no import hides behind another statement.
const staticImport = /^[ \t]*(?:import|export)\b(?:[^"'`]*?\bfrom\b)?\s*(?:"([^"\n]+)"|'([^'\n]+)')/gm
const dynamicImport = /\bimport\s*\(\s*(?:"([^"\n]+)"|'([^'\n]+)'|`([^`$\n]+)`)?/g

/** Every import of a TypeScript source, types too. */
export const importsOf = (source: string): ReadonlyArray<Import> => {
  const text = withoutComments(source)
  return [...text.matchAll(staticImport), ...text.matchAll(dynamicImport)].map((match) => ({
    specifier: match[1] ?? match[2] ?? match[3],
    line: text.slice(0, match.index + match[0].length).split("\n").length,
  }))
}

const packageOf = (specifier: string): string => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")

/** Whether `file` is `place` or, where `place` ends with a slash, in it. */
const isIn = (file: string, place: string): boolean => file === place || (place.endsWith("/") && file.startsWith(place))

/** The line of the floor table that a file of core falls under. */
const entryOf = (file: string, floors: Rules["coreFloors"]): string | undefined => {
  if (floors[file] !== undefined) return file
  const folder = `${path.posix.dirname(file)}/`
  return floors[folder] === undefined ? undefined : folder
}

/** Everything that breaks the rules: `sources` by path from the root, `manifests` by package folder. */
export const problemsOf = (
  sources: ReadonlyMap<string, string>,
  manifests: ReadonlyMap<string, Readonly<Record<string, unknown>>>,
  { packages, coreLibraries, coreFloors, planned, doors }: Rules,
): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const openDoors = new Set<string>()

  /** An import between two files of core's sources. */
  const betweenFloors = (at: string, from: string, to: string): void => {
    const [fromEntry, toEntry] = [entryOf(from, coreFloors), entryOf(to, coreFloors)]
    if (fromEntry === undefined || toEntry === undefined) return // reported once, with the file
    const [fromFloor, toFloor] = [coreFloors[fromEntry] ?? 0, coreFloors[toEntry] ?? 0]
    if (toFloor < fromFloor) return
    const arrow = `${from} (F${fromFloor}) may not import ${to} (F${toFloor})`
    if (toFloor > fromFloor) {
      problems.push(`${at}: ${arrow}: arrows point down`)
      return
    }
    if (fromFloor === 0 || path.posix.dirname(from) === path.posix.dirname(to)) return
    const door = doors.find((door) => isIn(from, door.from) && isIn(to, door.to))
    if (door !== undefined) openDoors.add(`${door.from} ${door.to}`)
    else problems.push(`${at}: ${arrow}: another room of the same floor, and no door in .ci/floors.ts`)
  }

  for (const [file, source] of sources) {
    const [, folder = "", part] = file.split("/")
    const uses = packages[folder]
    if (uses === undefined) continue // reported once, with its manifest
    const inTests = part === "test"
    const home = `packages/${folder}/`

    for (const { specifier, line } of importsOf(source)) {
      const at = `${file}:${line}`
      if (specifier === undefined) {
        if (!inTests && folder === "core") problems.push(`${at}: a computed import can not be checked`)
      } else if (specifier.startsWith(".")) {
        const target = path.posix.join(path.posix.dirname(file), specifier)
        if (!target.startsWith(home)) {
          problems.push(`${at}: ${specifier} leaves the package: import it by its name`)
        } else if (part === "src" && !target.startsWith(`${home}src/`)) {
          problems.push(`${at}: ${specifier} leaves the sources`)
        } else if (file.startsWith(coreSources)) {
          betweenFloors(at, file.slice(coreSources.length), target.slice(coreSources.length))
        }
      } else if (specifier.startsWith(scope)) {
        const used = packageOf(specifier).slice(scope.length)
        const allowed = inTests ? [...uses, folder, "testing"] : uses
        if (!allowed.includes(used)) {
          problems.push(`${at}: ${inTests ? `${folder}'s tests` : folder} may not import ${used}`)
        }
      } else if (file.startsWith(coreSources) && !coreLibraries.includes(packageOf(specifier))) {
        problems.push(`${at}: core depends on ${coreLibraries.join(", ")} alone, not on ${specifier}`)
      }
    }
  }

  for (const [folder, manifest] of manifests) {
    const uses = packages[folder]
    if (uses === undefined) {
      problems.push(`packages/${folder}: no line in .ci/floors.ts`)
      continue
    }
    for (const kind of ["dependencies", "peerDependencies", "optionalDependencies", "devDependencies"]) {
      const dependencies = Object.keys(manifest[kind] ?? {})
      const allowed = kind === "devDependencies" ? [...uses, "testing"] : uses
      for (const name of dependencies) {
        if (name.startsWith(scope) && !allowed.includes(name.slice(scope.length))) {
          problems.push(`packages/${folder}/package.json: ${kind} may not hold ${name}`)
        }
        if (folder === "core" && kind !== "devDependencies" && !coreLibraries.includes(name)) {
          problems.push(`packages/core/package.json: ${kind} may not hold ${name}: core depends on little`)
        }
      }
    }
  }

  const inCore = [...sources.keys()]
    .filter((file) => file.startsWith(coreSources))
    .map((file) => file.slice(coreSources.length))
  const built = new Set(inCore.map((file) => entryOf(file, coreFloors)))
  for (const file of inCore) {
    if (entryOf(file, coreFloors) === undefined) {
      problems.push(`${coreSources}${file}: stands on no floor; give it a line in .ci/floors.ts`)
    }
  }
  for (const entry of Object.keys(coreFloors)) {
    if (!built.has(entry) && !planned.includes(entry)) {
      problems.push(`.ci/floors.ts: ${entry} does not exist and is not marked as planned`)
    }
  }
  for (const entry of planned) {
    if (built.has(entry)) problems.push(`.ci/floors.ts: ${entry} is built; take its planned mark away`)
    else if (coreFloors[entry] === undefined) problems.push(`.ci/floors.ts: ${entry} is planned but has no floor`)
  }
  for (const { from, to } of doors) {
    if (!openDoors.has(`${from} ${to}`)) problems.push(`.ci/floors.ts: nobody uses the door from ${from} to ${to}`)
  }
  return problems
}

if (import.meta.main) {
  const files = filesUnder("packages")
  const sources = new Map(files.filter((file) => /\.[cm]?tsx?$/.test(file)).map((file) => [file, read(file)]))
  const manifests = new Map(
    files
      .filter((file) => /^packages\/[^/]+\/package\.json$/.test(file))
      .map((file) => [file.split("/")[1] ?? "", JSON.parse(read(file)) as Readonly<Record<string, unknown>>]),
  )
  const imports = [...sources.values()].reduce((sum, source) => sum + importsOf(source).length, 0)
  conclude("imports", problemsOf(sources, manifests, rules), `${sources.size} files, ${imports} imports`)
}
