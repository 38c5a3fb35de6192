/**
 * How a Redis is reached.
 */
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"

/** TLS to a Redis; what is not given is as Node has it. */
export interface RedisTlsOptions {
  /** Certificates of the authorities that may vouch for the server, in PEM form. */
  readonly ca?: string | ReadonlyArray<string>
  /** The name that the server's certificate has to bear, where it is not that of the host. */
  readonly servername?: string
  /** A client certificate and its key, in PEM form. */
  readonly cert?: string
  readonly key?: string | Redacted.Redacted<string>
}

/** Options of {@link RedisPersistence.layer}. */
export interface RedisPersistenceOptions {
  /** `redis://` or `rediss://`, such as `redis://user:password@redis.example:6379/0`. Takes the place of the five that follow. */
  readonly url?: string | Redacted.Redacted<string>
  /** Default: `localhost`. */
  readonly host?: string
  /** Default: 6379. */
  readonly port?: number
  /** Default: Redis's own, `default`. */
  readonly username?: string
  /** Default: none. */
  readonly password?: string | Redacted.Redacted<string>
  /** Default: 0. */
  readonly database?: number
  /** Whether to speak TLS, and how. Default: `false`, and `true` for a `rediss://` URL. */
  readonly tls?: boolean | RedisTlsOptions
  /** Longest wait for a connection, 100 ms to 1 minute. Default: 3 seconds. */
  readonly connectTimeout?: Duration.Input
  /** Longest silence of a connection until it is dropped, 1 second to 5 minutes. Default: 10 seconds. */
  readonly silenceTimeout?: Duration.Input
  /** Longest delay between two tries to connect again, 100 ms to 5 minutes. Default: 5 seconds. */
  readonly maxReconnectDelay?: Duration.Input
}
