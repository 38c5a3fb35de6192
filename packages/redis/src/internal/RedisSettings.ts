/**
 * The options made definite: defaults filled in, and a URL taken apart.
 */
import { bareHost, InvalidRegistration } from "@effect-jwks/core"
import type { RuleIssue } from "@effect-jwks/core/OptionSchema"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { RedisPersistenceOptions } from "../RedisOptions.ts"
import { type CheckedOptions, checkOptions } from "./OptionsSchema.ts"

/** TLS as `node:tls` takes it, the key still wrapped. */
export interface TlsSettings {
  readonly ca?: string | Array<string>
  readonly servername?: string
  readonly cert?: string
  readonly key?: Redacted.Redacted<string>
}

/** Where a Redis is, and who asks. */
interface Place {
  readonly host: string
  readonly port: number
  readonly username: string | undefined
  readonly password: Redacted.Redacted<string> | undefined
  readonly database: number
}

/** How a Redis is reached; durations in milliseconds. */
export interface RedisSettings extends Place {
  readonly tls: TlsSettings | undefined
  readonly connectTimeout: number
  readonly silenceTimeout: number
  readonly maxReconnectDelay: number
}

/** Checks the options and makes them definite. */
export const resolveSettings = (
  options: RedisPersistenceOptions,
): Result.Result<RedisSettings, InvalidRegistration> => {
  const checked = checkOptions(options)
  if (Result.isFailure(checked)) return refuse(checked.failure)
  const given = checked.success
  const url = given.url === undefined ? undefined : new URL(given.url)
  const twice = url === undefined ? [] : saidTwice(given, url)
  if (twice.length > 0) return refuse(twice)
  return Result.succeed({
    ...(url === undefined ? placeOf(given) : placeIn(url)),
    tls: tlsOf(given.tls ?? url?.protocol === "rediss:"),
    connectTimeout: given.connectTimeout ?? 3_000,
    silenceTimeout: given.silenceTimeout ?? 10_000,
    maxReconnectDelay: given.maxReconnectDelay ?? 5_000,
  })
}

const refuse = (issues: ReadonlyArray<RuleIssue>): Result.Result<never, InvalidRegistration> =>
  Result.fail(new InvalidRegistration({ issues }))

const placeFields = ["host", "port", "username", "password", "database"] as const

const saidTwice = (given: CheckedOptions, { protocol }: URL): ReadonlyArray<RuleIssue> => [
  ...placeFields.flatMap((field) =>
    given[field] === undefined ? [] : [{ field, rule: "must not be given beside url, which says it already" }],
  ),
  ...(given.tls === false && protocol === "rediss:"
    ? [{ field: "tls", rule: "must not be false where url begins with rediss://" }]
    : []),
]

const placeOf = ({ database = 0, host = "localhost", password, port = 6_379, username }: CheckedOptions): Place => ({
  host: bareHost(host),
  port,
  username,
  password: password === undefined ? undefined : Redacted.make(password),
  database,
})

const placeIn = ({ hostname, password, pathname, port, username }: URL): Place => ({
  host: bareHost(hostname),
  port: port === "" ? 6_379 : Number(port),
  username: username === "" ? undefined : decodeURIComponent(username),
  password: password === "" ? undefined : Redacted.make(decodeURIComponent(password)),
  database: Number(pathname.slice(1)),
})

const tlsOf = (tls: NonNullable<CheckedOptions["tls"]>): TlsSettings | undefined => {
  if (typeof tls === "boolean") return tls ? {} : undefined
  const { ca, key, ...others } = tls
  return {
    ...others,
    ...(ca === undefined ? {} : { ca: typeof ca === "string" ? ca : [...ca] }),
    ...(key === undefined ? {} : { key: Redacted.make(key) }),
  }
}
