/**
 * Options of the layer: `limits`, `defaults`, `providers`, and options from `Config`.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  JwksMetrics,
  JwksRegistry,
  JwksRegistryLive,
  type JwksRegistryOptions,
  type ProviderSettings,
} from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as TestClock from "effect/testing/TestClock"
import { minutes, openRegistry, openStrictRegistry, settle, start } from "./support.ts"

const valid = { tenant: "acme", provider: "idp", jwksUrl: "https://idp.test/jwks", warm: false }

const refusedOptions = (options: unknown) =>
  Effect.map(Effect.flip(openStrictRegistry([], options as JwksRegistryOptions)), (error) => {
    assert.strictEqual(error._tag, "InvalidRegistration")
    return error.issues
  })

describe("limits bound every field: registrations can only tighten", () => {
  const cases: ReadonlyArray<{
    readonly limit: ProviderSettings
    readonly within: ReadonlyArray<ProviderSettings>
    readonly beyond: ReadonlyArray<ProviderSettings>
  }> = [
    { limit: { maxTtl: "1 hour" }, within: [{ maxTtl: "1 hour" }], beyond: [{ maxTtl: "61 minutes" }] },
    {
      limit: { staleWhileError: "10 minutes" },
      within: [{ staleWhileError: 0 }],
      beyond: [{ staleWhileError: "11 minutes" }],
    },
    {
      limit: { removedKeyGrace: "1 minute" },
      within: [{ removedKeyGrace: 0 }],
      beyond: [{ removedKeyGrace: "2 minutes" }],
    },
    { limit: { maxResponseBytes: 1_000 }, within: [{ maxResponseBytes: 10 }], beyond: [{ maxResponseBytes: 1_001 }] },
    { limit: { maxKeys: 10 }, within: [{ maxKeys: 10 }], beyond: [{ maxKeys: 11 }] },
    { limit: { maxRedirects: 1 }, within: [{ maxRedirects: 0 }], beyond: [{ maxRedirects: 2 }] },
    { limit: { minRsaBits: 3_072 }, within: [{ minRsaBits: 4_096 }], beyond: [{ minRsaBits: 2_048 }] },
    {
      limit: { algorithms: ["RS256", "ES256"] },
      within: [{ algorithms: ["ES256"] }],
      beyond: [{ algorithms: ["PS256"] }, { algorithms: ["ES256", "EdDSA"] }],
    },
    { limit: { minTtl: "2 minutes" }, within: [{ minTtl: "3 minutes" }], beyond: [{ minTtl: "1 minute" }] },
    {
      limit: { kidRefresh: { burst: 2 } },
      within: [{ kidRefresh: { burst: 1 } }],
      beyond: [{ kidRefresh: { burst: 3 } }],
    },
    {
      limit: { kidRefresh: { every: "30 seconds" } },
      within: [{ kidRefresh: { every: "1 minute" } }],
      beyond: [{ kidRefresh: { every: "10 seconds" } }],
    },
    {
      limit: { retryPolicy: { maxRetries: 1 } },
      within: [{ retryPolicy: { maxRetries: 0 } }],
      beyond: [{ retryPolicy: { maxRetries: 2 } }],
    },
    {
      limit: { retryPolicy: { attemptTimeout: "2 seconds" } },
      within: [{ retryPolicy: { attemptTimeout: "1 second" } }],
      beyond: [{ retryPolicy: { attemptTimeout: "3 seconds" } }],
    },
    {
      limit: { retryPolicy: { deadline: "5 seconds" } },
      within: [{ retryPolicy: { deadline: "4 seconds" } }],
      beyond: [{ retryPolicy: { deadline: "6 seconds" } }],
    },
  ]
  for (const { beyond, limit, within } of cases) {
    it.effect(JSON.stringify(limit), () =>
      Effect.gen(function* () {
        const registry = yield* openStrictRegistry([], { limits: limit })
        // Whoever says nothing stays within the limits as well.
        for (const settings of [{}, ...within]) yield* registry.register({ ...valid, ...settings })
        const leaves = (settings: object): ReadonlyArray<string> =>
          Object.entries(settings).flatMap(([field, value]: [string, unknown]) =>
            typeof value === "object" && value !== null && !Array.isArray(value)
              ? leaves(value).map((inner) => `${field}.${inner}`)
              : [field],
          )
        for (const settings of beyond) {
          const { issues } = yield* Effect.flip(registry.register({ ...valid, ...settings }))
          const fields = issues.map(({ field }) => field)
          assert.isTrue(
            leaves(settings).every((leaf) => fields.some((field) => field === leaf || field.startsWith(`${leaf}[`))),
            fields.join(", "),
          )
        }
      }),
    )
  }

  it.effect("hold for whoever says nothing, and for the defaults", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const idp = yield* ScriptedProvider.make()
      for (const options of [
        { limits: { staleWhileError: "10 minutes", maxTtl: "5 minutes" } },
        { limits: { staleWhileError: "10 minutes", maxTtl: "5 minutes" }, defaults: { minTtl: "2 minutes" } },
      ] as const) {
        const registry = yield* openRegistry([idp], options)
        yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
        yield* settle
        const { expiresAt, staleUntil } = yield* registry.providerStatus("acme", "idp")
        assert.deepStrictEqual([expiresAt, staleUntil], [start + minutes(5), start + minutes(15)])
      }
    }),
  )

  it.effect("requireHttps true can not be loosened, whatever the registry's option says", () =>
    Effect.gen(function* () {
      const registry = yield* openStrictRegistry([], { requireHttps: false, limits: { requireHttps: true } })
      yield* registry.register(valid)
      yield* Effect.flip(registry.register({ ...valid, jwksUrl: "http://idp.test/jwks", requireHttps: false }))
    }),
  )
})

describe("wrong options fail the layer with InvalidRegistration, naming the option", () => {
  const cases: ReadonlyArray<readonly [string, unknown]> = [
    ["maxConcurrentFetches", { maxConcurrentFetches: 0 }],
    ["maxConcurrentFetches", { maxConcurrentFetches: 1.5 }],
    ["maxConcurrentFetches", { maxConcurrentFetches: "16" }],
    ["maxProvidersPerTenant", { maxProvidersPerTenant: 0 }],
    ["maxProvidersPerTenant", { maxProvidersPerTenant: -1 }],
    ["requireHttps", { requireHttps: "yes" }],
    ["allowedDomains", { allowedDomains: "idp.test" }],
    ["allowedDomains", { allowedDomains: ["https://idp.test"] }],
    ["allowPrivateAddresses", { allowPrivateAddresses: "yes" }],
    ["idleAfter", { idleAfter: -1 }],
    ["idleAfter", { idleAfter: "often" }],
    ["metricLabels", { metricLabels: "tenant" }],
    ["defaults.minTtl", { defaults: { minTtl: "1 second" } }],
    ["defaults.retryPolicy.maxRetries", { defaults: { retryPolicy: { maxRetries: -1 } } }],
    ["limits.maxKeys", { limits: { maxKeys: 10_001 } }],
    ["limits.colour", { limits: { colour: "red" } }],
    ["colour", { colour: "red" }],
  ]
  for (const [field, options] of cases) {
    it.effect(`${field}: ${JSON.stringify(options)}`, () =>
      Effect.gen(function* () {
        const issues = yield* refusedOptions(options)
        assert.isTrue(
          issues.some((issue) => issue.field === field || issue.field.startsWith(`${field}[`)),
          issues.map((issue) => issue.field).join(", "),
        )
        for (const { rule } of issues) assert.isAtLeast(rule.split(" ").length, 3, rule)
      }),
    )
  }
})

describe("providers in the options", () => {
  it.effect("are registered when the layer is built", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider.make()
      const { jwksUrl } = idp
      const registry = yield* openRegistry([idp], {
        providers: [
          { tenant: "a", provider: "one", jwksUrl },
          { tenant: "b", provider: "two", jwksUrl, warm: false },
        ],
      })
      yield* settle
      assert.strictEqual(idp.requests, 1)
      const { kid } = idp.keys.current
      assert.strictEqual((yield* registry.resolveKey("a", kid)).provider, "one")
      assert.strictEqual((yield* registry.resolveKey("b", kid)).provider, "two")
    }),
  )

  it.effect("do not hold up the layer when they do not answer", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider.make()
      yield* idp.faults.hang()
      const registry = yield* openRegistry([idp], {
        providers: [{ tenant: "a", provider: "one", jwksUrl: idp.jwksUrl }],
      })
      assert.lengthOf(yield* registry.allStatuses, 1)
    }),
  )

  it.effect("fail the layer with every breach of every one, by its place in the list", () =>
    Effect.gen(function* () {
      const issues = yield* refusedOptions({
        providers: [{ ...valid, minTtl: "1 second" }, valid, { tenant: "", provider: "second", jwksUrl: "/jwks" }],
      })
      const fields = issues.map(({ field }) => field)
      for (const [place, field] of [
        [0, "minTtl"],
        [2, "tenant"],
        [2, "jwksUrl"],
      ] as const) {
        assert.isTrue(
          fields.some((name) => name.includes(String(place)) && name.endsWith(field)),
          `${place} ${field} in ${fields.join(", ")}`,
        )
      }
      assert.isFalse(fields.some((name) => name.includes("1.") || name.includes("[1]")))
    }),
  )

  it.effect("are held to the rules for providers of one tenant", () =>
    Effect.gen(function* () {
      const issuer = "https://idp.test"
      const sharing = yield* refusedOptions({
        providers: [
          { ...valid, issuer },
          { ...valid, provider: "second", issuer },
        ],
      })
      assert.isNotEmpty(sharing)
      const many = yield* refusedOptions({
        maxProvidersPerTenant: 2,
        providers: ["a", "b", "c"].map((provider) => ({ ...valid, provider })),
      })
      assert.isNotEmpty(many)
    }),
  )
})

describe("JwksRegistryLive", () => {
  it.effect("is the registry with default options", () =>
    Effect.gen(function* () {
      const idp = yield* ScriptedProvider.make()
      yield* Effect.gen(function* () {
        yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
        assert.strictEqual((yield* JwksRegistry.resolveKey("acme", idp.keys.current.kid)).freshness, "fresh")
        yield* Effect.flip(JwksRegistry.register({ ...valid, jwksUrl: "http://idp.test/jwks", requireHttps: false }))
      }).pipe(
        Effect.provide(
          JwksRegistryLive.pipe(
            Layer.provide([ScriptedProvider.layerClient(idp), Persistence.layerMemory, JwksMetrics.layerNoop]),
          ),
        ),
      )
    }),
  )
})

describe("JwksRegistry.layerConfig", () => {
  const open = (config: Config.Wrap<JwksRegistryOptions>, env: Record<string, string>) =>
    JwksRegistry.layerConfig(config).pipe(
      Layer.provide([ScriptedProvider.layerClient(), Persistence.layerMemory, JwksMetrics.layerNoop]),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env))),
      Layer.build,
      Effect.map((context) => Context.get(context, JwksRegistry)),
    )

  const config = {
    maxProvidersPerTenant: Config.Int("MAX_PROVIDERS"),
    allowedDomains: Config.map(Config.String("DOMAINS"), (text) => text.split(",")),
    defaults: { staleWhileError: Config.Duration("STALE") },
  }

  it.effect("takes options from the configuration", () =>
    Effect.gen(function* () {
      const registry = yield* open(config, {
        MAX_PROVIDERS: "1",
        DOMAINS: "idp.test,example.com",
        STALE: "10 minutes",
      })
      yield* registry.register(valid)
      yield* Effect.flip(registry.register({ ...valid, provider: "second" }))
      yield* Effect.flip(registry.register({ ...valid, jwksUrl: "https://other.test/jwks" }))
    }),
  )

  it.effect("names the key that is missing or wrong", () =>
    Effect.gen(function* () {
      for (const env of [
        { DOMAINS: "idp.test", STALE: "1 hour" },
        { MAX_PROVIDERS: "many", DOMAINS: "idp.test", STALE: "1 hour" },
      ]) {
        const error = yield* Effect.flip(open(config, env))
        assert.strictEqual(error._tag, "ConfigError")
        assert.include(error.message, "MAX_PROVIDERS")
      }
    }),
  )

  it.effect("holds the options to the same rules", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(open(config, { MAX_PROVIDERS: "0", DOMAINS: "idp.test", STALE: "1 hour" }))
      assert.strictEqual(error._tag, "InvalidRegistration")
      assert.include(error.message, "maxProvidersPerTenant")
    }),
  )
})
