import { assert, describe, it } from "@effect/vitest"
import { RedisPersistence, type RedisPersistenceOptions } from "@effect-jwks/redis"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { resolveSettings } from "../src/internal/RedisSettings.ts"

const refusal = (options: object) =>
  Effect.map(
    Effect.flip(Effect.scoped(Layer.build(RedisPersistence.layer(options as RedisPersistenceOptions)))),
    ({ message }) => message,
  )

describe("Options", () => {
  it.effect("are refused by their field, and never repeated", () =>
    Effect.gen(function* () {
      for (const [options, field] of [
        [{ url: "http://user:s3cret@host" }, "url: must be a redis or rediss URL"],
        [{ url: Redacted.make("redis://user:s3cret@") }, "url: must be a redis or rediss URL"],
        [{ url: "redis://user:s3cret@host/0?x=s3cret" }, "url: must be a redis or rediss URL"],
        [{ url: "redis://user:%s3cret@host" }, "url: must be a redis or rediss URL"],
        [{ url: "redis://host", password: "s3cret" }, "password: must not be given beside url"],
        [{ url: "rediss://host", tls: false }, "tls: must not be false"],
        [{ password: 5 }, "password: must be a text"],
        [{ port: 0 }, "port: must be a whole number"],
        [{ host: "s3cret@host" }, "host: must be a host"],
        [{ tls: { key: "s3cret" } }, "tls"],
        [{ connectTimeout: 1 }, "connectTimeout: must be at least 100 milliseconds"],
        [{ silenceTimeout: "1 hour" }, "silenceTimeout: must be at least 1 second"],
        [{ passwort: "s3cret" }, "passwort: is no option for Redis"],
      ] as const) {
        const message = yield* refusal(options)
        assert.include(message, field)
        assert.notInclude(message, "s3cret")
      }
    }),
  )

  it.effect("are taken from a URL, with what is encoded in it", () =>
    Effect.gen(function* () {
      const { password, ...settings } = yield* Effect.fromResult(
        resolveSettings({ url: "rediss://us%40er:p%2Fw@[::1]:7000/5" }),
      )
      assert.deepInclude(settings, { host: "::1", port: 7_000, username: "us@er", database: 5, tls: {} })
      assert.strictEqual(password && Redacted.value(password), "p/w")
    }),
  )

  it.effect("have defaults", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Effect.fromResult(resolveSettings({})), {
        host: "localhost",
        port: 6_379,
        username: undefined,
        password: undefined,
        database: 0,
        tls: undefined,
        connectTimeout: 3_000,
        silenceTimeout: 10_000,
        maxReconnectDelay: 5_000,
      })
    }),
  )
})
