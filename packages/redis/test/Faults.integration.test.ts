import { assert, describe, it } from "@effect/vitest"
import { FakeProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { openRegistry, persistedAll, timed } from "./support/OpenRegistry.ts"
import { hasNoRedis, makeRedis, startRedis } from "./support/RedisServer.ts"
import { delayProxy, nonsense } from "./support/TcpProxy.ts"

type Open = Effect.Success<ReturnType<typeof openRegistry>>
type Idp = Effect.Success<ReturnType<typeof FakeProvider.make>>

/** What a refresh, and a resolve that needs a fetch, may take beside a broken store: 250 ms of look, and the fetch. */
const bound = 1_000

const register = ({ registry }: Open, { jwksUrl }: Idp, provider: string) =>
  registry.register({ tenant: "acme", provider, jwksUrl, warm: false })

/** Resolves and refreshes, known and new providers alike, as if there were no store. */
const assertUnharmed = Effect.fnUntraced(function* (open: Open, idp: Idp, known: string, fresh: string) {
  const { registry } = open
  const resolve = (provider: string) => registry.resolveKey("acme", idp.keys.current.kid, { provider })
  yield* register(open, idp, fresh)
  const first = yield* timed(resolve(fresh))
  assert.strictEqual(first.value.freshness, "fresh")
  assert.isBelow(first.millis, bound, "the first resolve of a new provider")
  const hit = yield* timed(resolve(known))
  assert.isBelow(hit.millis, 50, "a hit")
  const refresh = yield* timed(registry.refresh("acme", known))
  assert.isBelow(refresh.millis, bound, "a refresh")
})

const retrySoon = Schedule.spaced("100 millis")

/** A provider whose set is held and stored. */
const working = Effect.fnUntraced(function* (open: Open, idp: Idp, provider: string) {
  yield* register(open, idp, provider)
  yield* open.registry.resolveKey("acme", idp.keys.current.kid, { provider })
  yield* persistedAll(open.registry)
})

/** Another process finds the set in the store and downloads nothing. */
const assertStored = Effect.fnUntraced(function* (port: number, idp: Idp, provider: string) {
  const open = yield* openRegistry(port)
  const before = idp.requests
  yield* register(open, idp, provider)
  // The connection of a process that has just started may not be there yet.
  yield* open.registry.restoreFromPersistence.pipe(
    Effect.flatMap(({ done }) => (done === 1 ? Effect.void : Effect.fail("not yet"))),
    Effect.retry({ times: 50, schedule: retrySoon }),
  )
  assert.strictEqual((yield* open.registry.resolveKey("acme", idp.keys.current.kid, { provider })).freshness, "fresh")
  assert.strictEqual(idp.requests, before)
  yield* open.close
})

describe.skipIf(hasNoRedis)("A registry whose Redis", () => {
  it.live(
    "is down at the start works without it, and writes when it is there",
    () =>
      Effect.gen(function* () {
        const server = yield* makeRedis()
        const idp = yield* FakeProvider.make()
        const opening = yield* timed(openRegistry(server.port))
        const open = opening.value
        assert.isBelow(opening.millis, bound)
        yield* register(open, idp, "one")
        yield* open.registry.resolveKey("acme", idp.keys.current.kid)
        yield* open.event("SnapshotFailed", "ECONNREFUSED")
        yield* assertUnharmed(open, idp, "one", "two")
        assert.isAbove(yield* open.metric("jwks_cache_snapshot_write_errors_total"), 0)
        yield* server.start
        yield* open.event("SnapshotStoreRecovered", "write")
        yield* assertStored(server.port, idp, "one")
        yield* assertStored(server.port, idp, "two")
        assert.strictEqual(open.logged.filter((line) => line.includes("can not be built")).length, 1)
      }),
    60_000,
  )

  it.live(
    "is killed and started again is used again",
    () =>
      Effect.gen(function* () {
        const server = yield* startRedis()
        const idp = yield* FakeProvider.make()
        const open = yield* openRegistry(server.port)
        yield* working(open, idp, "one")
        yield* server.kill
        const from = open.events.length
        yield* assertUnharmed(open, idp, "one", "two")
        yield* open.event("SnapshotFailed", "", from)
        yield* server.start
        yield* open.event("SnapshotStoreRecovered", "write", from)
        yield* assertStored(server.port, idp, "two")
      }),
    60_000,
  )

  it.live(
    "is frozen and thawed is used again, and closing while it is frozen is bounded",
    () =>
      Effect.gen(function* () {
        const server = yield* startRedis()
        const idp = yield* FakeProvider.make()
        const open = yield* openRegistry(server.port)
        yield* working(open, idp, "one")
        yield* server.freeze
        const from = open.events.length
        yield* assertUnharmed(open, idp, "one", "two")
        yield* open.event("SnapshotFailed", "", from)
        yield* server.thaw
        yield* open.event("SnapshotStoreRecovered", "write", from)
        yield* assertStored(server.port, idp, "two")
        yield* server.freeze
        yield* open.registry.refresh("acme", "one")
        // 2 s for what is unwritten, and what the client needs.
        assert.isBelow((yield* timed(open.close)).millis, 4_500)
        yield* server.thaw
      }),
    60_000,
  )

  it.live(
    "is slow delays nobody",
    () =>
      Effect.gen(function* () {
        const server = yield* startRedis()
        const { delay, port } = yield* delayProxy(server.port)
        const idp = yield* FakeProvider.make()
        const open = yield* openRegistry(port)
        yield* working(open, idp, "one")
        delay.millis = 700
        yield* assertUnharmed(open, idp, "one", "two")
        // Late, and all the same.
        yield* persistedAll(open.registry)
        yield* assertStored(server.port, idp, "two")
        delay.millis = 5_000
        const from = open.events.length
        yield* assertUnharmed(open, idp, "one", "three")
        yield* open.event("SnapshotFailed", "", from)
        delay.millis = 0
        yield* open.event("SnapshotStoreRecovered", "write", from)
        yield* assertStored(server.port, idp, "three")
      }),
    60_000,
  )

  for (const [what, word, breaking, mending] of [
    ["is full", "OOM", ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]],
    ["is read-only", "READONLY", ["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]],
  ] as const) {
    it.live(
      `${what} reads what is there, and writes when it can`,
      () =>
        Effect.gen(function* () {
          const server = yield* startRedis("--maxmemory-policy", "noeviction")
          const idp = yield* FakeProvider.make()
          const open = yield* openRegistry(server.port)
          yield* working(open, idp, "one")
          assert.include(yield* server.command(...breaking), "OK")
          const from = open.events.length
          yield* assertUnharmed(open, idp, "one", "two")
          yield* open.event("SnapshotFailed", word, from)
          yield* assertStored(server.port, idp, "one")
          assert.isAbove(yield* open.metric("jwks_cache_snapshot_write_errors_total"), 0)
          assert.strictEqual(yield* open.metric("jwks_cache_snapshot_read_errors_total"), 0)
          yield* server.command(...mending)
          yield* open.event("SnapshotStoreRecovered", "write", from)
          yield* assertStored(server.port, idp, "two")
        }),
      60_000,
    )
  }

  for (const [what, answer] of [
    ["speaks another protocol", () => "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ["answers with broken replies", () => "\u0000\u0001$99999999999\r\n*-7\r\n"],
    ["answers with replies of another form", () => ":7\r\n:7\r\n:7\r\n"],
    ["repeats what it is sent in its errors", (asked: string) => `-ERR unknown command ${JSON.stringify(asked)}\r\n`],
  ] as const) {
    it.live(
      `is none and ${what} is as if it had none`,
      () =>
        Effect.gen(function* () {
          const port = yield* nonsense(answer)
          const idp = yield* FakeProvider.make()
          const open = yield* openRegistry(port)
          yield* register(open, idp, "one")
          yield* open.registry.resolveKey("acme", idp.keys.current.kid)
          yield* assertUnharmed(open, idp, "one", "two")
          assert.isBelow((yield* timed(open.close)).millis, 4_500)
        }),
      60_000,
    )
  }
})
