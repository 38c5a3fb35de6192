import { existsSync, readdirSync } from "node:fs"
import { defineConfig } from "vitest/config"

const project = (name: string, root: string) => ({
  test: {
    name,
    root,
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
  },
})

/** Every package that has tests, by its folder's name. */
const packages = readdirSync("packages").filter((name) => existsSync(`packages/${name}/test`))

/** Where `.ci/run` wants a report that a program can read. */
const report = process.env["TEST_REPORT"]

export default defineConfig({
  test: {
    projects: [project("ci", ".ci"), ...packages.map((name) => project(name, `packages/${name}`))],
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
  },
})
