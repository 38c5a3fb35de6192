/**
 * What it costs to bring 10,000 sets back from a Redis: all at once, and one by one as anybody would read them.
 */
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import { staticKeys } from "@effect-jwks/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Persistable from "effect/persistence/Persistable"
import * as Persistence from "effect/persistence/Persistence"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
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

/** A registry with every provider registered and nothing held. */
const openRegistry = Effect.fnUntraced(function* (server: RedisServer) {
  const context = yield* JwksRegistry.layer({
    snapshotKey: Redacted.make("0123456789abcdef0123456789abcdef"),
    maxConcurrentFetches: 64,
  }).pipe(
    Layer.provide([
      persistenceOn(server.port, { silenceTimeout: "1 minute" }),
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

class Entry extends Persistable.Class<{ payload: { readonly id: string } }>()("Entry", {
  primaryKey: ({ id }) => id,
  success: Schema.String,
}) {}

const readOneByOne = Effect.fnUntraced(function* (port: number, ids: ReadonlyArray<string>) {
  const context = yield* Layer.build(persistenceOn(port, { silenceTimeout: "1 minute" }))
  const store = yield* Context.get(context, Persistence.Persistence).make({ storeId: "{effect-jwks}" })
  yield* Effect.retry(store.get(new Entry({ id: "none" })), soon)
  let found = 0
  const { millis } = yield* timed(
    Effect.gen(function* () {
      for (const id of ids) if ((yield* store.get(new Entry({ id }))) !== undefined) found += 1
    }),
  )
  return { found, millis }
})

/** The figures of one run. */
export const measureRestore = Effect.fnUntraced(function* (server: RedisServer) {
  yield* Effect.scoped(
    Effect.gen(function* () {
      const registry = yield* openRegistry(server)
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
  const keys = (yield* server.command("KEYS", "*")).split("\r\n").filter((line) => line.startsWith("{"))
  const ids = keys.map((key) => key.slice(key.indexOf("}") + 2))

  const before = upstream.requests
  const restored = yield* Effect.scoped(
    Effect.gen(function* () {
      const registry = yield* openRegistry(server)
      const reads = yield* calls(server, "mget", "get")
      const { millis, value } = yield* timed(registry.restoreFromPersistence)
      return { millis, done: value.done, roundTrips: (yield* calls(server, "mget", "get")) - reads }
    }),
  )
  const oneByOne = yield* Effect.scoped(readOneByOne(server.port, ids))
  return { restored, oneByOne, stored: keys.length, requests: upstream.requests - before }
})
