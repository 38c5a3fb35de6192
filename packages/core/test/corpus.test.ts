import { describe, expect, it } from "@effect/vitest"
import { readCorpus } from "./corpus.ts"

const folder = process.env["JWKS_CORPUS"] ?? ""

describe("the corpus of real JWK Sets", () => {
  it.runIf(folder !== "")(
    `is judged without a problem${folder === "" ? " (JWKS_CORPUS names no folder)" : ""}`,
    async () => {
      const { problems } = await readCorpus(folder)
      expect(problems).toEqual([])
    },
  )
})
