/**
 * What it costs to bring 10,000 sets back from a Redis in batches, and the same with one read for each.
 */
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import { staticKeys } from "@effect-jwks/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as PrimaryKey from "effect/PrimaryKey"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { persistenceOn, timed } from "./OpenRegistry.ts"
import type { RedisServer } from "./RedisServer.ts"

/** How many sets there are. */
export const count = 10_000

/** Requests that reached the providers. */
const upstream = { requests: 0 }

const body = JSON.stringify({ keys: staticKeys(1) })

const client = HttpClient.make((request) =>
  Effect.sync(() => {
    upstream.requests += 1
    return HttpClientResponse.fromWeb(
      request,
      new Response(body, {
        headers: { "content-type": "application/json", "cache-control": "max-age=3600", etag: '"one"' },
      }),
    )
  }),
)

const soon = { times: 100, schedule: Schedule.spaced("50 millis") }

/** Whether a client is connected, besides the one that asks. */
const isThere = (server: RedisServer) =>
  Effect.map(server.command("CLIENT", "LIST"), (list) => list.split("id=").length > 2)

/** A store that asks for one entry after the other where it is asked for many, as anybody would: by a key of its own. */
const oneByOne = Layer.effect(
  Persistence.Persistence,
  Effect.map(Persistence.Persistence, ({ make }) =>
    Persistence.Persistence.of({
      make: (options) =>
        Effect.map(make(options), (store) => ({
          ...store,
          getMany: (keys) =>
            Effect.forEach(keys, (key) => store.get({ ...key, [PrimaryKey.symbol]: () => PrimaryKey.value(key) })),
        })),
    }),
  ),
)

/** A registry with every provider registered and nothing held. */
const openRegistry = Effect.fnUntraced(function* (server: RedisServer, isBatched: boolean) {
  const persistence = persistenceOn(server.port, { silenceTimeout: "1 minute" })
  const context = yield* JwksRegistry.layer({
    snapshotKey: Redacted.make("0123456789abcdef0123456789abcdef"),
    maxConcurrentFetches: 64,
  }).pipe(
    Layer.provide([
      isBatched ? persistence : Layer.provide(oneByOne, persistence),
      Layer.succeed(HttpClient.HttpClient, client),
      JwksMetrics.layer,
    ]),
    Layer.build,
  )
  const registry = Context.get(context, JwksRegistry)
  for (let n = 0; n < count; n++) {
    yield* registry.register({
      tenant: `tenant-${n}`,
      provider: "idp",
      jwksUrl: `https://id.example/${n}/jwks`,
      warm: false,
    })
  }
  // The connection is no part of what is measured.
  yield* Effect.retry(
    Effect.flatMap(isThere(server), (is) => (is ? Effect.void : Effect.fail("not yet"))),
    soon,
  )
  return registry
})

/** Calls of a command, by the server's own count. */
const calls = (server: RedisServer, ...commands: ReadonlyArray<string>) =>
  Effect.map(server.command("INFO", "commandstats"), (info) =>
    commands.reduce((sum, name) => sum + Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(info)?.[1] ?? 0), 0),
  )

/** How many pairs are measured. */
const pairs = 5

/** One restore of everything by a new process, as it were. */
const restore = (server: RedisServer, isBatched: boolean) =>
  Effect.scoped(
    Effect.gen(function* () {
      const registry = yield* openRegistry(server, isBatched)
      const reads = yield* calls(server, "mget", "get")
      const { millis, value } = yield* timed(registry.restoreFromPersistence)
      return { millis, done: value.done, roundTrips: (yield* calls(server, "mget", "get")) - reads }
    }),
  )

/** The figures of one run: pairs of both ways, one after the other. */
export const measureRestore = Effect.fnUntraced(function* (server: RedisServer) {
  yield* Effect.scoped(
    Effect.gen(function* () {
      const registry = yield* openRegistry(server, true)
      yield* Effect.forEach(
        Array.from({ length: count }, (_, n) => n),
        (n) => registry.resolve(`tenant-${n}`, "idp"),
        {
          concurrency: 64,
          discard: true,
        },
      )
      const { failed } = yield* registry.persistAll
      if (failed.length > 0) return yield* Effect.die(new Error("not everything was written"))
    }),
  )
  const before = upstream.requests
  const measured = yield* Effect.forEach(Array.from({ length: pairs }), () =>
    Effect.all({ batched: restore(server, true), oneByOne: restore(server, false) }),
  )
  const ratios = measured.map(({ batched, oneByOne }) => batched.millis / oneByOne.millis).toSorted((a, b) => a - b)
  return {
    measured,
    best: ratios[0] ?? Number.NaN,
    median: ratios[(pairs - 1) / 2] ?? Number.NaN,
    requests: upstream.requests - before,
  }
})

/** One line for people. */
export const describePair = ({
  batched,
  oneByOne,
}: Effect.Success<ReturnType<typeof measureRestore>>["measured"][number]): string =>
  `${count} sets: ${batched.millis.toFixed(0)} ms in ${batched.roundTrips} round trips; ` +
  `one by one ${oneByOne.millis.toFixed(0)} ms in ${oneByOne.roundTrips}; ` +
  `ratio ${(batched.millis / oneByOne.millis).toFixed(3)}`
