import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { makeTable, regenerate, tablePath } from "./table.ts"

it("The table in docs/spec/hostile_cases.md is that of the cases", () => {
  assert.isTrue(readFileSync(tablePath, "utf8") === makeTable(), `write it anew: ${regenerate}`)
})
