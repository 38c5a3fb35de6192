import { assert, describe, it } from "@effect/vitest"
import { JwksAdmin, type JwksAdminOptions } from "@effect-jwks/admin"
import { InvalidRegistration, JwksRegistry } from "@effect-jwks/core"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { openAdminOn, token, toldRegistry } from "./support/OpenAdmin.ts"

/** What the options are refused for. */
const issuesOf = Effect.fnUntraced(function* (options: unknown) {
  const { registry } = yield* toldRegistry()
  const error = yield* Effect.flip(openAdminOn(registry, options as JwksAdminOptions))
  assert.instanceOf(error, InvalidRegistration)
  return error
})

describe("The token", () => {
  it.effect.each([
    ["empty", ""],
    ["too short", "fifteen-chars-x"],
    ["too long", "x".repeat(1_025)],
    ["with a space", "sixteen characters"],
    ["that no header can carry", "sixteen-characters-\u00e9"],
    ["that is no text", 1234567890123456],
  ])("is refused when it is %s, and not repeated", ([, given]) =>
    Effect.gen(function* () {
      for (const written of [given, Redacted.make(given)]) {
        const { issues, message } = yield* issuesOf({ token: written })
        assert.deepStrictEqual(
          issues.map(({ field }) => field),
          ["token"],
        )
        if (given !== "") assert.notInclude(message, String(given))
      }
    }),
  )

  it.effect("is required where nothing is open", () =>
    Effect.gen(function* () {
      for (const options of [{}, { open: [] }, { token: undefined }]) {
        assert.match((yield* issuesOf(options)).message, /^token: is required where nothing is open/)
      }
    }),
  )

  it.effect("may be Redacted, and have padding", () =>
    Effect.gen(function* () {
      const { registry } = yield* toldRegistry()
      const { ask } = yield* openAdminOn(registry, { token: Redacted.make("YS10b2tlbi1vZi1pdHM=") })
      assert.strictEqual((yield* ask("/health/live", { token: "YS10b2tlbi1vZi1pdHM=" })).status, 200)
    }),
  )

  it.effect("comes from effect's Config", () =>
    Effect.gen(function* () {
      const { registry } = yield* toldRegistry()
      const router = yield* HttpRouter.make
      const built = (configuration: Readonly<Record<string, string>>) =>
        Layer.build(
          JwksAdmin.routesConfig({ token: Config.Redacted("JWKS_ADMIN_TOKEN") }).pipe(
            Layer.provide([
              Layer.succeed(HttpRouter.HttpRouter, router),
              ConfigProvider.layer(ConfigProvider.fromUnknown(configuration)),
            ]),
            Layer.provide(Layer.succeed(JwksRegistry, registry)),
          ),
        )
      yield* built({ JWKS_ADMIN_TOKEN: token })
      assert.strictEqual((yield* Effect.flip(built({ JWKS_ADMIN_TOKEN: "short" })))._tag, "InvalidRegistration")
      assert.strictEqual((yield* Effect.flip(built({})))._tag, "ConfigError")
    }),
  )
})

describe("Options", () => {
  it.effect.each<[unknown, string]>([
    [{ token, open: ["mutations"] }, "open[0]"],
    [{ token, open: "read" }, "open"],
    [{ token, readiness: "most" }, "readiness"],
    [{ token, readiness: { critical: [{ tenant: "acme" }] } }, "readiness"],
    [{ token, path: "admin" }, "path"],
    [{ token, path: "/admin/" }, "path"],
    [{ token, path: "/:tenant" }, "path"],
    [{ token, path: "/../admin" }, "path"],
    [{ token, tokens: [] }, "tokens"],
    ["options", ""],
  ])("%j is refused at %s", ([options, field]) =>
    Effect.gen(function* () {
      const { issues } = yield* issuesOf(options)
      assert.isTrue(
        issues.some((issue) => issue.field.startsWith(field)),
        JSON.stringify(issues),
      )
    }),
  )
})
