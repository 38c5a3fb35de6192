/**
 * What every gate needs: where the repository is, and which files are its own.
 */
import * as fs from "node:fs"
import * as path from "node:path"

/** The repository's root. */
export const root = path.resolve(import.meta.dirname, "..")

const foreign = new Set(["node_modules", "dist", "coverage", ".git", ".docs", ".cache"])

/** Files under `folder` that belong to the repository, as sorted paths from the root with forward slashes. */
export const filesUnder = (folder: string): ReadonlyArray<string> => {
  const start = path.join(root, folder)
  if (!fs.existsSync(start)) return []
  const walk = (directory: string): ReadonlyArray<string> =>
    fs.readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
      const full = path.join(directory, entry.name)
      if (entry.isDirectory()) return foreign.has(entry.name) ? [] : walk(full)
      return entry.isFile() ? [path.relative(root, full).split(path.sep).join("/")] : []
    })
  return walk(start).toSorted()
}

/** The text of a file, by its path from the root. */
export const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

/** Whether a file or folder is there, by its path from the root. */
export const exists = (file: string): boolean => fs.existsSync(path.join(root, file))

/** Prints what is wrong and the verdict, and sets the exit code. */
export const conclude = (gate: string, problems: ReadonlyArray<string>, looked: string): void => {
  for (const problem of problems) console.error(problem)
  console.log(problems.length === 0 ? `${gate}: fine (${looked})` : `${gate}: ${problems.length} wrong (${looked})`)
  if (problems.length > 0) process.exitCode = 1
}
