import { assert, describe, it } from "@effect/vitest"
import { FakeProvider } from "@effect-jwks/testing"
import { RedisPersistence } from "@effect-jwks/redis"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Redacted from "effect/Redacted"
import { openRegistryOn, persistedAll, persistenceOn } from "./support/OpenRegistry.ts"
import { hasNoRedis, startRedis } from "./support/RedisServer.ts"
import { nonsense } from "./support/TcpProxy.ts"

const password = "pa55-w0rd%/?"
const user = "the-user"

/** Works for a while on a Redis that it can not use; everything that it told. */
const told = Effect.fnUntraced(function* (persistence: Layer.Layer<Persistence.Persistence>, awaited: string) {
  const idp = yield* FakeProvider.make()
  const open = yield* openRegistryOn(persistence)
  yield* open.registry.register({ tenant: "acme", provider: "one", jwksUrl: idp.jwksUrl })
  yield* open.registry.resolveKey("acme", idp.keys.current.kid)
  yield* open.event("SnapshotFailed", awaited)
  const store = yield* Context.get(yield* Layer.build(persistence), Persistence.Persistence).make({ storeId: "s" })
  const error = yield* Effect.flip(store.clear)
  return [JSON.stringify(open.events), ...open.logged, String(error), JSON.stringify(error)].join("\n")
})

const assertSilent = (text: string) => {
  for (const secret of [password, encodeURIComponent(password), user]) assert.notInclude(text, secret)
}

describe.skipIf(hasNoRedis)("Credentials", () => {
  it.live(
    "open a server that wants them, as fields and in a URL",
    () =>
      Effect.gen(function* () {
        const server = yield* startRedis("--requirepass", password)
        for (const options of [
          { host: "127.0.0.1", port: server.port, password: Redacted.make(password), database: 3 },
          { url: Redacted.make(`redis://default:${encodeURIComponent(password)}@127.0.0.1:${server.port}/3`) },
        ]) {
          const idp = yield* FakeProvider.make()
          const open = yield* openRegistryOn(Layer.orDie(RedisPersistence.layer(options)))
          yield* open.registry.register({ tenant: "acme", provider: "one", jwksUrl: idp.jwksUrl })
          yield* open.registry.resolveKey("acme", idp.keys.current.kid)
          assert.strictEqual((yield* persistedAll(open.registry)).done, 1)
          yield* open.close
        }
      }),
    60_000,
  )

  it.live(
    "that are wrong are told by a code",
    () =>
      Effect.gen(function* () {
        const server = yield* startRedis("--requirepass", "another")
        const persistence = persistenceOn(server.port, { username: user, password: Redacted.make(password) })
        assertSilent(yield* told(persistence, "WRONGPASS"))
      }),
    60_000,
  )

  it.live(
    "that a server repeats in its errors are told nowhere",
    () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        const port = yield* nonsense((asked) => {
          seen.push(asked)
          return `-ERR unknown command, with args beginning with: ${asked.replaceAll("\r\n", " ")}\r\n`.repeat(3)
        })
        const persistence = persistenceOn(port, { username: user, password: Redacted.make(password) })
        assertSilent(yield* told(persistence, ""))
        assert.include(seen.join(""), password)
      }),
    60_000,
  )
})
