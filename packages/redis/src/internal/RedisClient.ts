/**
 * Effect's Redis client with options for a cache, and what it lacks: bounds for closing, and silence about
 * what must not be logged.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Redis from "effect/persistence/Redis"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import type { RedisSettings } from "./RedisSettings.ts"

/** First delay before a lost connection is opened again, in milliseconds. */
const firstReconnectDelay = 100

/** How long commands under way may take when the client is closed, in milliseconds. */
const closeTimeout = 500

/** A connection that is there, or the error that kept it from being there; later it is opened again for ever. */
export const redisLayer = (settings: RedisSettings): Layer.Layer<Redis.Redis, Redis.RedisError> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const random = yield* Random.Random
      const abandoned = new AbortController()
      let wasThere = false
      const { password, username } = settings
      const connecting = yield* Layer.build(
        NodeRedis.layer({
          // Every server and proxy knows it, and the password is in no command that an old one would repeat in its error.
          RESP: 2,
          maintNotifications: "disabled",
          ...(username === undefined ? {} : { username }),
          ...(password === undefined ? {} : { password: Redacted.value(password) }),
          database: settings.database,
          // What is queued while there is no connection is of no use by the time that there is one.
          disableOfflineQueue: true,
          pingInterval: Math.floor(settings.silenceTimeout / 2),
          socket: {
            ...socketOf(settings, abandoned.signal),
            connectTimeout: settings.connectTimeout,
            // A server that is frozen, or gone without a word. A connection that is well is never silent: it is pinged.
            socketTimeout: settings.silenceTimeout,
            reconnectStrategy: (retries) => {
              // At first whoever builds the layer tries again.
              if (!wasThere) return false
              const delay = Math.min(firstReconnectDelay * 2 ** retries, settings.maxReconnectDelay)
              return Math.round(delay * (0.5 + random.nextDoubleUnsafe() / 2))
            },
          },
        }),
      ).pipe(
        // It logs every error as it is: one for each try, and errors of a server can hold what was sent to it.
        Effect.provideService(References.MinimumLogLevel, "None"),
        Effect.forkDetach({ startImmediately: true }),
      )
      const context = yield* Fiber.join(connecting).pipe(
        // Interrupted itself, it would close the client, which waits for an answer to the handshake.
        Effect.onInterrupt(() => {
          abandoned.abort()
          return Fiber.await(connecting)
        }),
      )
      wasThere = true
      const { client } = Context.get(context, NodeRedis.NodeRedis)
      yield* Effect.addFinalizer(() =>
        Effect.promise(() => (client.isReady ? client.close() : Promise.resolve())).pipe(
          Effect.timeoutOption(closeTimeout),
          Effect.interruptible,
          Effect.ignoreCause,
          Effect.andThen(Effect.sync(() => client.destroy())),
          Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()),
        ),
      )
      return context
    }),
  )

const socketOf = ({ host, port, tls }: RedisSettings, signal: AbortSignal) => {
  const place = { host, port, signal }
  if (tls === undefined) return place
  const { key, ...others } = tls
  return { ...place, ...others, tls: true as const, ...(key === undefined ? {} : { key: Redacted.value(key) }) }
}
