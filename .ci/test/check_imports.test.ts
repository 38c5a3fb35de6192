import { describe, expect, it } from "vitest"
import { importsOf, problemsOf } from "../check_imports.ts"
import type { Rules } from "../check_imports.ts"

const rules: Rules = {
  packages: { core: [], testing: ["core"], jwt: ["core"], redis: ["core"], cli: ["jwt", "core"] },
  coreLibraries: ["effect"],
  coreFloors: { "Top.ts": 2, "a/": 1, "b/": 1, "Word.ts": 0, "a/Word.ts": 0 },
  planned: [],
  doors: [],
}

const house = {
  "packages/core/src/Top.ts": `import { one } from "./a/One.ts"`,
  "packages/core/src/a/One.ts": `import type { Word } from "../Word.ts"`,
  "packages/core/src/a/Two.ts": `import { one } from "./One.ts"`,
  "packages/core/src/b/Three.ts": `import * as Effect from "effect/Effect"`,
  "packages/core/src/Word.ts": `import type { Letter } from "./a/Word.ts"`,
  "packages/core/src/a/Word.ts": `export interface Letter {}`,
}

const problems = (
  changed: Readonly<Record<string, string>>,
  { manifests = {}, ...over }: Partial<Rules> & { readonly manifests?: Readonly<Record<string, object>> } = {},
) =>
  problemsOf(
    new Map(Object.entries({ ...house, ...changed })),
    new Map(Object.entries(manifests).map(([folder, manifest]) => [folder, { ...manifest }])),
    { ...rules, ...over },
  )

describe("importsOf", () => {
  it("finds every form with its line", () => {
    const source = [
      `import "./a.ts"`,
      `import type { B } from './b.ts'`,
      `import {`,
      `  c, // don't stop here`,
      `} from "./c.ts"`,
      `export * from "./d.ts"`,
      `export const url = "https://example.com" // a string is no comment`,
      `export type { E } from "./e.ts"`,
      `type F = import("./f.ts").F`,
      `const g = await import(name)`,
    ].join("\n")
    expect(importsOf(source)).toEqual([
      { specifier: "./a.ts", line: 1 },
      { specifier: "./b.ts", line: 2 },
      { specifier: "./c.ts", line: 5 },
      { specifier: "./d.ts", line: 6 },
      { specifier: "./e.ts", line: 8 },
      { specifier: "./f.ts", line: 9 },
      { specifier: undefined, line: 10 },
    ])
  })

  it("skips comments", () => {
    expect(importsOf(`/**\nimport { a } from "./a.ts"\n*/\n// import "./b.ts"\nconst from = "./c.ts"`)).toEqual([])
  })
})

describe("floors of core", () => {
  it("lets arrows point down, stay in a folder, and go anywhere on F0", () => {
    expect(problems({})).toEqual([])
  })

  it("refuses an arrow that points up", () => {
    expect(problems({ "packages/core/src/a/One.ts": `import { top } from "../Top.ts"` })).toEqual([
      "packages/core/src/a/One.ts:1: a/One.ts (F1) may not import Top.ts (F2): arrows point down",
    ])
  })

  it("refuses an arrow up that carries only a type, or stands in export or import()", () => {
    for (const source of [
      `import type { Top } from "../Top.ts"`,
      `export { top } from "../Top.ts"`,
      `export type Top = import("../Top.ts").Top`,
    ]) {
      expect(problems({ "packages/core/src/a/One.ts": source })).toHaveLength(1)
    }
  })

  it("refuses another room of the same floor, unless a door with a reason leads there", () => {
    const through = { "packages/core/src/b/Three.ts": `import { one } from "../a/One.ts"` }
    expect(problems(through)).toEqual([
      "packages/core/src/b/Three.ts:1: b/Three.ts (F1) may not import a/One.ts (F1): another room of the same floor, and no door in .ci/floors.ts",
    ])
    expect(problems(through, { doors: [{ from: "b/Three.ts", to: "a/", why: "it needs one" }] })).toEqual([])
  })

  it("refuses a door that nobody uses", () => {
    expect(problems({}, { doors: [{ from: "b/Three.ts", to: "a/", why: "" }] })).toEqual([
      ".ci/floors.ts: nobody uses the door from b/Three.ts to a/",
    ])
  })

  it("refuses a file that stands on no floor", () => {
    expect(problems({ "packages/core/src/c/Four.ts": "" })).toEqual([
      "packages/core/src/c/Four.ts: stands on no floor; give it a line in .ci/floors.ts",
    ])
  })

  it("refuses a line without a file, unless it is planned, and a plan that is built", () => {
    const coreFloors = { ...rules.coreFloors, "Soon.ts": 1 }
    expect(problems({}, { coreFloors })).toEqual([".ci/floors.ts: Soon.ts does not exist and is not marked as planned"])
    expect(problems({}, { coreFloors, planned: ["Soon.ts"] })).toEqual([])
    expect(problems({}, { planned: ["Top.ts"] })).toEqual([
      ".ci/floors.ts: Top.ts is built; take its planned mark away",
    ])
    expect(problems({}, { planned: ["Never.ts"] })).toEqual([".ci/floors.ts: Never.ts is planned but has no floor"])
  })

  it("refuses libraries that core does not depend on, node's own among them", () => {
    expect(problems({ "packages/core/src/a/One.ts": `import * as jose from "jose"\nimport "node:fs"` })).toEqual([
      "packages/core/src/a/One.ts:1: core depends on effect alone, not on jose",
      "packages/core/src/a/One.ts:2: core depends on effect alone, not on node:fs",
    ])
  })

  it("refuses a computed import", () => {
    expect(problems({ "packages/core/src/a/One.ts": "export const load = (name: string) => import(name)" })).toEqual([
      "packages/core/src/a/One.ts:1: a computed import can not be checked",
    ])
  })
})

describe("packages", () => {
  it("lets a package use the ones under it, by name", () => {
    expect(problems({ "packages/cli/src/main.ts": `import "@effect-jwks/jwt"\nimport "@effect-jwks/core"` })).toEqual(
      [],
    )
  })

  it("refuses neighbours and arrows up", () => {
    expect(
      problems({
        "packages/jwt/src/index.ts": `import "@effect-jwks/redis"`,
        "packages/core/src/Word.ts": `import type { Fake } from "@effect-jwks/testing"`,
      }),
    ).toEqual([
      "packages/core/src/Word.ts:1: core may not import testing",
      "packages/jwt/src/index.ts:1: jwt may not import redis",
    ])
  })

  it("lets tests use testing and their own package, and nothing else besides", () => {
    expect(
      problems({
        "packages/jwt/test/jwt.test.ts": [
          `import "@effect-jwks/testing"`,
          `import "@effect-jwks/jwt"`,
          `import "../src/index.ts"`,
          `import "@effect-jwks/redis"`,
        ].join("\n"),
      }),
    ).toEqual(["packages/jwt/test/jwt.test.ts:4: jwt's tests may not import redis"])
  })

  it("refuses relative paths out of a package, and out of its sources", () => {
    expect(
      problems({
        "packages/jwt/src/index.ts": `import "../../core/src/Word.ts"\nimport "../test/support.ts"`,
      }),
    ).toEqual([
      "packages/jwt/src/index.ts:1: ../../core/src/Word.ts leaves the package: import it by its name",
      "packages/jwt/src/index.ts:2: ../test/support.ts leaves the sources",
    ])
  })

  it("holds the manifests to the same arrows", () => {
    const manifests = {
      core: { dependencies: { lodash: "1" }, devDependencies: { "@effect-jwks/testing": "workspace:^", jose: "6" } },
      jwt: { peerDependencies: { "@effect-jwks/redis": "workspace:^" } },
      new: {},
    }
    expect(problems({}, { manifests })).toEqual([
      "packages/core/package.json: dependencies may not hold lodash: core depends on little",
      "packages/jwt/package.json: peerDependencies may not hold @effect-jwks/redis",
      "packages/new: no line in .ci/floors.ts",
    ])
  })
})
