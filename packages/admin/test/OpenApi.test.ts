import { assert, describe, it } from "@effect/vitest"
import { validate } from "@readme/openapi-parser"
import * as Effect from "effect/Effect"
import { openAdminOn, toldRegistry } from "./support/OpenAdmin.ts"

interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly security?: unknown }>>>>
}

/** Validates against the schema that comes with the validator; nothing is fetched. */
const problemsOf = (document: unknown) =>
  Effect.promise(() => validate(document as Parameters<typeof validate>[0], { resolve: { external: false } }))

describe("The OpenAPI document", () => {
  it.effect("is valid OpenAPI 3.1", () =>
    Effect.gen(function* () {
      const { registry } = yield* toldRegistry()
      const { json } = yield* openAdminOn(registry)
      const document = yield* json<Document>("/openapi.json")
      assert.strictEqual(document.openapi, "3.1.0")
      assert.deepStrictEqual(yield* problemsOf(document), { valid: true, warnings: [], specification: "OpenAPI" })
    }),
  )

  it.effect("would be told to be invalid by the validator", () =>
    Effect.gen(function* () {
      const { registry } = yield* toldRegistry()
      const { json } = yield* openAdminOn(registry)
      const document = yield* json<Document>("/openapi.json")
      const { valid } = yield* problemsOf({ ...document, paths: { "api/providers": 1 } })
      assert.isFalse(valid)
    }),
  )

  it.effect("has every route, and the token at each", () =>
    Effect.gen(function* () {
      const { registry } = yield* toldRegistry()
      const { json } = yield* openAdminOn(registry)
      const { paths } = yield* json<Document>("/openapi.json")
      assert.sameMembers(
        Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`)),
        [
          "get /api/providers",
          "get /api/providers/{tenant}/{provider}",
          "post /api/providers/{tenant}/{provider}/refresh",
          "get /api/events",
          "get /api/events/stream",
          "get /health/live",
          "get /health/ready",
          "get /metrics",
        ],
      )
      for (const methods of Object.values(paths)) {
        for (const { security } of Object.values(methods)) assert.deepStrictEqual(security, [{ bearer: [] }])
      }
    }),
  )
})
