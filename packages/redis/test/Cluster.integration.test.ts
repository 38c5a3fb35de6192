import { assert, describe, it } from "@effect/vitest"
import { FakeProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { openRegistry, persistedAll } from "./support/OpenRegistry.ts"
import { hasNoRedis, startRedis } from "./support/RedisServer.ts"

const soon = { times: 100, schedule: Schedule.spaced("100 millis") }

describe.skipIf(hasNoRedis)("A Redis Cluster", () => {
  it.live(
    "takes batches of writes and of reads: all keys are in one slot",
    () =>
      Effect.gen(function* () {
        const server = yield* startRedis(
          "--cluster-enabled",
          "yes",
          "--cluster-config-file",
          `nodes-${process.pid}.conf`,
        )
        yield* server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        yield* Effect.retry(
          Effect.flatMap(server.command("CLUSTER", "INFO"), (info) =>
            info.includes("cluster_state:ok") ? Effect.void : Effect.fail("not yet"),
          ),
          soon,
        )
        const idp = yield* FakeProvider.make()
        const tenants = Array.from({ length: 20 }, (_, n) => `tenant-${n}`)
        const withAll = Effect.fnUntraced(function* () {
          const open = yield* openRegistry(server.port)
          for (const tenant of tenants) {
            yield* open.registry.register({ tenant, provider: "idp", jwksUrl: idp.jwksUrl, warm: false })
          }
          return open
        })
        const writer = yield* withAll()
        yield* Effect.forEach(tenants, (tenant) => writer.registry.resolve(tenant, "idp"), { concurrency: 20 })
        const written = yield* persistedAll(writer.registry)
        assert.deepStrictEqual(written, { done: 20, skipped: 0, failed: [] })
        yield* writer.close
        const reader = yield* withAll()
        const before = idp.requests
        const restored = yield* Effect.retry(
          Effect.filterOrFail(reader.registry.restoreFromPersistence, ({ failed }) => failed.length === 0),
          soon,
        )
        assert.deepStrictEqual(restored, { done: 20, skipped: 0, failed: [] })
        assert.strictEqual(idp.requests, before)
        const stats = yield* server.command("INFO", "commandstats")
        assert.match(stats, /cmdstat_mget:calls=\d+,/)
        assert.match(stats, /cmdstat_evalsha:calls=\d+,/)
        // Refused in a cluster: keys of several slots at once.
        assert.notMatch(yield* server.command("INFO", "errorstats"), /CROSSSLOT/)
      }),
    60_000,
  )
})
