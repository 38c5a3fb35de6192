/**
 * Effect's `Persistence` on Redis, safe for a cache.
 */
import { type InvalidRegistration, resilientPersistence } from "@effect-jwks/core"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import { redisLayer } from "./internal/RedisClient.ts"
import { resolveSettings } from "./internal/RedisSettings.ts"
import type { RedisPersistenceOptions } from "./RedisOptions.ts"

/**
 * `Persistence` on a Redis that may be down, slow, frozen or full: the layer is there at once, and is used
 * again by itself when the server is.
 *
 * **Details**
 *
 * While there is no connection every operation fails at once. A connection that says nothing for
 * `silenceTimeout`, not even to a ping, is dropped with the commands that wait for it, and opened again. Closing
 * takes 2 s at most. Wrong options fail the layer with `InvalidRegistration`. No password, key or command is logged.
 *
 * **Example** (Sets that outlive the process)
 *
 * ```ts
 * import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
 * import { RedisPersistence } from "@effect-jwks/redis"
 * import * as FetchHttpClient from "effect/http/FetchHttpClient"
 * import * as Layer from "effect/Layer"
 * import * as Redacted from "effect/Redacted"
 *
 * export const JwksLive = JwksRegistry.layer({ snapshotKey: Redacted.make("0123456789abcdef0123456789abcdef") }).pipe(
 *   Layer.provide([
 *     RedisPersistence.layer({ url: Redacted.make("rediss://jwks:secret@redis.example:6379/0") }),
 *     FetchHttpClient.layer,
 *     JwksMetrics.layer,
 *   ]),
 * )
 * ```
 */
export const layer = (
  options: RedisPersistenceOptions = {},
): Layer.Layer<Persistence.Persistence, InvalidRegistration> =>
  Layer.unwrap(
    Effect.map(Effect.fromResult(resolveSettings(options)), (settings) =>
      resilientPersistence(Persistence.layerRedis.pipe(Layer.provide(redisLayer(settings)))),
    ),
  )

/** The same with options from effect's `Config`; a `ConfigError` names the key. */
export const layerConfig = (
  config: Config.Wrap<RedisPersistenceOptions>,
): Layer.Layer<Persistence.Persistence, InvalidRegistration | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))
