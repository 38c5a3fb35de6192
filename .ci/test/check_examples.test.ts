import { describe, expect, it } from "vitest"
import { blocksOf } from "../check_examples.ts"

describe("examples", () => {
  it("are the ts blocks of a page, each with its line and its mark", () => {
    const page = ["# A", "```ts", "const a = 1", "```", "```sh", "ls", "```", "```ts no-run", "b()", "```"].join("\n")
    expect(blocksOf("docs/a.md", page)).toEqual([
      { file: "docs/a.md", line: 3, code: "const a = 1\n", mark: "run" },
      { file: "docs/a.md", line: 9, code: "b()\n", mark: "no-run" },
    ])
  })

  it("are the ts blocks of docstrings, without their stars", () => {
    const source = [
      "/**",
      " * One.",
      " *",
      " * ```ts",
      " * const a = {",
      " *   b: 1,",
      " * }",
      " *",
      " * ```",
      " */",
    ].join("\n")
    expect(blocksOf("packages/core/src/A.ts", source)).toEqual([
      { file: "packages/core/src/A.ts", line: 5, code: "const a = {\n  b: 1,\n}\n\n", mark: "run" },
    ])
  })

  it("refuse a mark that nobody knows", () => {
    expect(() => blocksOf("docs/a.md", "```ts norun\na()\n```")).toThrow("unknown mark")
  })
})
