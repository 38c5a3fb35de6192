/**
 * Snapshots in PostgreSQL: a real server that is down, stopped, frozen, and comes back.
 */
import {
  type JwksEvent,
  JwksMetrics,
  JwksRegistry,
  type JwksRegistryService,
  resilientPersistence,
} from "@effect-jwks/core"
import { type IdentityProvider, persistenceContract, ScriptedProvider } from "@effect-jwks/testing"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { makePostgres, postgresBinaries, type PostgresServer } from "./support/PostgresServer.ts"

let server: PostgresServer

/** A layer that fails where the server is down, over a client that gives up soon. */
const direct = (): Layer.Layer<Persistence.Persistence, SqlError> =>
  Layer.fresh(Persistence.layerSql).pipe(
    Layer.provide(
      PgClient.layer({
        host: "127.0.0.1",
        port: server.port,
        username: "postgres",
        database: "postgres",
        connectTimeout: "2 seconds",
        maxConnections: 4,
      }),
    ),
  )

/** As the guide says: one that is there at once. */
const resilient = (): Layer.Layer<Persistence.Persistence> => resilientPersistence(direct())

/** Runs a test; what registries log is said by their events. */
const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.scoped(effect).pipe(Effect.provideService(References.MinimumLogLevel, "None")))

/** One run of an application: its registry over the store, closed when the scope closes. */
const openRun = Effect.fnUntraced(function* (namespace: string, idps: ReadonlyArray<IdentityProvider>) {
  const context = yield* Layer.build(
    JwksRegistry.layer({
      snapshotKey: "a key of 32 bytes, more or less.",
      snapshotNamespace: namespace,
      defaults: { retryPolicy: { maxRetries: 0 } },
    }).pipe(Layer.provide([resilient(), ScriptedProvider.layerClient(...idps), JwksMetrics.layerNoop])),
  )
  const registry = Context.get(context, JwksRegistry)
  const expectEvent = (tag: JwksEvent["_tag"], operation: "read" | "write") =>
    Effect.forkScoped(
      registry.events.pipe(
        Stream.filter((event) => event._tag === tag && "operation" in event && event.operation === operation),
        Stream.runHead,
      ),
      { startImmediately: true },
    )
  const noRead = yield* expectEvent("SnapshotFailed", "read")
  const noWrite = yield* expectEvent("SnapshotFailed", "write")
  for (const [index, { jwksUrl }] of idps.entries()) {
    yield* registry.register({ tenant: `tenant-${index}`, provider: "idp", jwksUrl })
  }
  return { registry, expectEvent, noRead, noWrite }
})

const timed = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.suspend(() => {
    const before = performance.now()
    return Effect.map(effect, () => performance.now() - before)
  })

/** How long each provider's key took, asked for together. */
const resolveAll = (registry: JwksRegistryService, idps: ReadonlyArray<IdentityProvider>) =>
  Effect.forEach(
    idps,
    ({ keys }, index) =>
      timed(
        Effect.map(registry.resolveKey(`tenant-${index}`, keys.current.kid), ({ freshness, thumbprint }) =>
          assert.deepStrictEqual([freshness, thumbprint], ["fresh", keys.current.thumbprint]),
        ),
      ),
    { concurrency: "unbounded" },
  )

const refreshAll = (registry: JwksRegistryService, idps: ReadonlyArray<IdentityProvider>) =>
  Effect.forEach(idps, (_, index) => timed(registry.refresh(`tenant-${index}`, "idp")), { concurrency: "unbounded" })

const makeIdps = Effect.forEach(["a", "b", "c"], (name) =>
  ScriptedProvider.make({ issuer: `https://${name}.test`, response: { cacheControl: "max-age=3600" } }),
)

const downloads = (idps: ReadonlyArray<IdentityProvider>) => idps.map(({ ok }) => ok)

/** The longest that a question waits for a store, and the time of a slow machine, in milliseconds. */
const longestWait = 250 + 750
const allBelow = (waits: ReadonlyArray<number>, limit: number, what: string) => {
  for (const wait of waits) assert.isBelow(wait, limit, what)
}

describe.skipIf(postgresBinaries === undefined)("Snapshots in PostgreSQL", () => {
  beforeAll(async () => {
    server = await makePostgres(postgresBinaries ?? "")
    await server.start()
  })
  afterAll(() => server.discard())

  describe("keep the contract of stores:", () => {
    for (const rule of persistenceContract) {
      it(`a backend ${rule.name}`, () =>
        run(
          Effect.gen(function* () {
            const context = yield* Layer.build(direct())
            yield* Effect.provideContext(rule.run, context)
          }),
        ))
    }
  })

  it("bring keys back without a download", () =>
    run(
      Effect.gen(function* () {
        const idps = yield* makeIdps
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { registry } = yield* openRun("restart", idps)
            yield* resolveAll(registry, idps)
          }),
        )
        const { registry } = yield* openRun("restart", idps)
        yield* resolveAll(registry, idps)
        assert.deepStrictEqual(downloads(idps), [1, 1, 1])
      }),
    ))

  it("are done without where the server is down at the start, and written once it is up", () =>
    run(
      Effect.gen(function* () {
        const idps = yield* makeIdps
        yield* Effect.promise(() => server.stop())
        const { expectEvent, noRead, noWrite, registry } = yield* openRun("down-at-start", idps)
        allBelow(yield* resolveAll(registry, idps), longestWait, "a resolve")
        yield* Fiber.join(noRead)
        yield* Fiber.join(noWrite)
        assert.strictEqual((yield* Effect.flip(registry.persistAll))._tag, "PersistenceFailed")
        allBelow(yield* refreshAll(registry, idps), 500, "a refresh")

        const recovered = yield* expectEvent("SnapshotStoreRecovered", "write")
        yield* Effect.promise(() => server.start())
        yield* Fiber.join(recovered)
        assert.strictEqual((yield* registry.persistAll).done, 3)

        const later = yield* openRun("down-at-start", idps)
        const before = downloads(idps)
        yield* resolveAll(later.registry, idps)
        assert.deepStrictEqual(downloads(idps), before)
      }),
    ))

  it("are done without while the server is stopped, and written when it is back", () =>
    run(
      Effect.gen(function* () {
        const idps = yield* makeIdps
        const { expectEvent, registry } = yield* openRun("stopped", idps)
        yield* resolveAll(registry, idps)
        yield* untilWritten(registry, 3)
        const noWrite = yield* expectEvent("SnapshotFailed", "write")

        yield* Effect.promise(() => server.stop())
        for (const { keys } of idps) yield* keys.rotate({ keepOld: false })
        allBelow(yield* refreshAll(registry, idps), 500, "a refresh")
        yield* Fiber.join(noWrite)
        allBelow(yield* resolveAll(registry, idps), 500, "a hit")

        const recovered = yield* expectEvent("SnapshotStoreRecovered", "write")
        yield* Effect.promise(() => server.start())
        yield* Fiber.join(recovered)
        assert.strictEqual((yield* registry.persistAll).done, 3)
      }),
    ))

  it(
    "are done without while the server is frozen, and written when it goes on",
    () =>
      run(
        Effect.gen(function* () {
          const idps = yield* makeIdps
          const { expectEvent, registry } = yield* openRun("frozen", idps)
          yield* resolveAll(registry, idps)
          yield* untilWritten(registry, 3)
          const noWrite = yield* expectEvent("SnapshotFailed", "write")

          server.freeze()
          yield* Effect.addFinalizer(() => Effect.sync(() => server.thaw()))
          for (const { keys } of idps) yield* keys.rotate({ keepOld: false })
          allBelow(yield* refreshAll(registry, idps), 500, "a refresh")
          // Another process that starts meanwhile; its layer can not even be built.
          const started = yield* openRun("frozen", idps)
          allBelow(yield* resolveAll(started.registry, idps), longestWait, "a resolve")
          yield* Fiber.join(noWrite)
          allBelow(yield* resolveAll(registry, idps), 500, "a hit")
          // The write that is under way and its own, of 5 s each.
          const persisted = yield* timed(Effect.flip(registry.persistAll))
          assert.isBelow(persisted, 10_000 + 1_000)

          const recovered = yield* expectEvent("SnapshotStoreRecovered", "write")
          const othersRecovered = yield* started.expectEvent("SnapshotStoreRecovered", "write")
          server.thaw()
          yield* Fiber.join(recovered)
          yield* Fiber.join(othersRecovered)
          assert.strictEqual((yield* registry.persistAll).done, 3)
          assert.strictEqual((yield* started.registry.persistAll).done, 3)
        }),
      ),
    60_000,
  )

  it("do not keep an application from ending while the server is frozen", () =>
    run(
      Effect.gen(function* () {
        const idps = yield* makeIdps
        const took = yield* timed(
          Effect.scoped(
            Effect.gen(function* () {
              const { registry } = yield* openRun("closing", idps)
              yield* resolveAll(registry, idps)
              yield* untilWritten(registry, 3)
              server.freeze()
              yield* refreshAll(registry, idps)
            }),
          ),
        ).pipe(Effect.ensuring(Effect.sync(() => server.thaw())))
        // 2 s for what is unwritten, 2 s for the layer, and the refreshes.
        assert.isBelow(took, 4_000 + 2_000)
      }),
    ))
})

/** Waits until the layer is built and every set is in the store. */
const untilWritten = (registry: JwksRegistryService, count: number) =>
  registry.persistAll.pipe(
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.map(({ done }) => assert.strictEqual(done, count)),
  )
