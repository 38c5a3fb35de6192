import { assert, describe, it } from "@effect/vitest"
import { InvalidRegistration, JwksRegistry } from "@effect-jwks/core"
import { FakeProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { FilePersistence, NodeJwks } from "../src/index.ts"

describe("NodeJwks.layer", () => {
  it.live("is all that a start takes: transport, persistence and metrics", () =>
    Effect.gen(function* () {
      const idp = yield* FakeProvider.make()
      const { kid } = idp.keys.current
      const key = yield* Effect.gen(function* () {
        yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl, requireHttps: false })
        const resolved = yield* JwksRegistry.resolveKey("acme", kid)
        const counted = (yield* Metric.snapshot).filter(({ id }) => id === "jwks_cache_misses_total")
        assert.lengthOf(counted, 1)
        return resolved
      }).pipe(
        Effect.provide(NodeJwks.layer({ requireHttps: false, allowPrivateAddresses: ["127.0.0.1"] })),
        Effect.provideService(Metric.MetricRegistry, new Map()),
      )
      assert.strictEqual(key.kid, kid)
    }),
  )

  it.live("fails with the registry's own breaches, too", () =>
    Effect.gen(function* () {
      const providers = [{ tenant: "acme", provider: "idp", jwksUrl: "ftp://idp.example" }]
      const error = yield* Effect.scoped(Layer.build(NodeJwks.layer({ providers }))).pipe(Effect.flip)
      assert.instanceOf(error, InvalidRegistration)
      assert.deepStrictEqual(
        error.issues.map(({ field }) => field),
        ["providers[0].jwksUrl"],
      )
    }),
  )

  it.live("stores snapshots where it is told to", () =>
    Effect.gen(function* () {
      const idp = yield* FakeProvider.make()
      const directory = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "jwks-"))),
        (made) => Effect.promise(() => rm(made, { recursive: true })),
      )
      const run = Effect.gen(function* () {
        yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl, requireHttps: false })
        return yield* JwksRegistry.resolveKey("acme", idp.keys.current.kid)
      }).pipe(
        Effect.provide(
          NodeJwks.layer({
            requireHttps: false,
            allowPrivateAddresses: ["127.0.0.1"],
            snapshotKey: "a key for both processes, as it were",
            persistence: FilePersistence.layer({ directory }),
          }),
        ),
      )
      const first = yield* run
      assert.deepStrictEqual(yield* run, first)
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.live("needs no options at all", () => Effect.scoped(Layer.build(NodeJwks.layer())))
})
