import { describe, expect, it } from "vitest"
import { anchorsOf, linksOf, problemsOf } from "../check_docs.ts"

const house = {
  "README.md": "[docs](docs/index.md)",
  "docs/index.md": "[spec](spec/index.md) [guide](guide/index.md) [rules](governance.md#naming)",
  "docs/governance.md": "# Naming",
  "docs/spec/index.md": "[cache](cache_states.md)",
  "docs/spec/cache_states.md": "see [above](#top)\n\n## Top",
  "docs/guide/index.md": "[tests](development/running_tests.md)",
  "docs/guide/development/running_tests.md": "[site](https://example.com/nowhere)",
}

const problems = (changed: Readonly<Record<string, string>>, files: ReadonlyArray<string> = []) => {
  const pages = new Map(Object.entries({ ...house, ...changed }))
  const all = [...pages.keys(), ...files]
  return problemsOf(all, pages, (file) => all.some((one) => one === file || one.startsWith(`${file}/`)))
}

describe("links", () => {
  it("are found with their lines, but not in code", () => {
    const page = ["a [b](c.md) and `[d](e.md)`", "```ts", "[f](g.md)", "```", "[h]: i.md", '[j](<k.md> "l")'].join("\n")
    expect(linksOf(page)).toEqual([
      { target: "c.md", line: 1 },
      { target: "k.md", line: 6 },
      { target: "i.md", line: 5 },
    ])
  })

  it("meet the anchors that GitHub makes", () => {
    const page = "# One `two`, three!\n## One [two](x.md) three\n```sh\n# no heading\n```\n## stale-while-error"
    expect([...anchorsOf(page)]).toEqual(["one-two-three", "one-two-three-1", "stale-while-error"])
  })
})

describe("documentation governance", () => {
  it("is content with a good house", () => {
    expect(problems({})).toEqual([])
  })

  it("refuses a second README", () => {
    expect(problems({}, ["packages/core/README.md"])).toHaveLength(1)
  })

  it("refuses names that are not snake_case", () => {
    expect(
      problems({}, ["docs/guide/CacheStates.png", "docs/spec/01_first.svg", "docs/guide/cache-states.png"]),
    ).toHaveLength(3)
  })

  it("refuses a page that its index does not lead to", () => {
    expect(problems({ "docs/guide/index.md": "" })).toEqual([
      "docs/guide/development/running_tests.md: not linked from docs/guide/index.md",
    ])
    expect(problems({ "docs/index.md": "[guide](guide/index.md) [rules](governance.md)" })).toEqual([
      "docs/spec/index.md: not linked from docs/index.md",
    ])
  })

  it("refuses a missing canonical page", () => {
    expect(problemsOf([], new Map(), () => false)).toHaveLength(5)
  })

  it("refuses links that lead nowhere", () => {
    expect(
      problems({ "README.md": "[docs](docs/index.md) [a](docs/a.md)\n[b](docs/spec/cache_states.md#b)\n[c](/c)" }),
    ).toEqual([
      "README.md:1: docs/a.md leads nowhere",
      "README.md:2: docs/spec/cache_states.md has no heading #b",
      "README.md:3: /c leaves the repository",
    ])
  })
})
