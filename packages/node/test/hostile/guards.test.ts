/**
 * The suite is complete: every guard has its cases and its fault, and no case or fault is about anything else.
 */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { cases } from "./cases.ts"
import { type Guard, guards } from "./guards.ts"

const entries: ReadonlyArray<[string, Guard]> = Object.entries(guards)

const packages = resolve(import.meta.dirname, "../../..")

/** The faults by name: which cases they turn red, and the runs of lines that they take out of which files. */
const faults = readFileSync(resolve(import.meta.dirname, "seeded_faults.txt"), "utf8")
  .split(/^# /m)
  .slice(1)
  .map((text) => {
    const [name = "", , red = ""] = text.split("\n")
    const takenOut = text
      .split(/^in: packages\//m)
      .slice(1)
      .flatMap((part) => {
        const [file = ""] = part.split("\n")
        const runs = part.match(/(?:^-.*\n)+/gm) ?? []
        return runs.map((run) => ({ file, removed: run.replace(/^-/gm, "").slice(0, -1) }))
      })
    return { name, red, takenOut }
  })

describe("The hostile suite", () => {
  it("has at least 250 cases, each with a title of its own", () => {
    assert.isAtLeast(cases.length, 250)
    const titles = cases.map(({ guard, title }) => `[${guard}] ${title}`)
    const twice = titles.filter((title, i) => titles.indexOf(title) !== i)
    assert.deepStrictEqual(twice, [])
  })

  it("has at least 40 guards, each with a case", () => {
    assert.isAtLeast(entries.length, 40)
    const withCases = new Set<string>(cases.map(({ guard }) => guard))
    assert.deepStrictEqual(
      entries.map(([name]) => name).filter((name) => !withCases.has(name)),
      [],
    )
  })

  it("has no case about a guard that does not exist", () => {
    assert.deepStrictEqual(
      cases.filter(({ guard }) => !Object.hasOwn(guards, guard)),
      [],
    )
  })

  it("has one fault for each guard, which changes the sources of the guard and turns its cases red", () => {
    assert.deepStrictEqual(
      faults.map(({ name, red, takenOut }) => ({
        name,
        red,
        files: [...new Set(takenOut.map(({ file }) => file))].toSorted(),
      })),
      entries.map(([name, { where }]) => ({
        name: `guard_${name}`,
        red: `red: packages/node/test/hostile/hostile.test.ts [${name}]`,
        files: where.toSorted(),
      })),
    )
  })

  it("takes out lines that the sources hold exactly once", () => {
    const stray = faults.flatMap(({ name, takenOut }) =>
      takenOut
        .filter(({ file, removed }) => readFileSync(resolve(packages, file), "utf8").split(removed).length !== 2)
        .map(({ file }) => `${name}: ${file}`),
    )
    assert.deepStrictEqual(stray, [])
  })
})
