/**
 * The shape and the bounds of the options, with a message for each breach that says what to write instead.
 * No message repeats what was given: it may hold a password.
 */
import { canonicalHost } from "@effect-jwks/core"
import { checker, duration, flag, integer, secret, text } from "@effect-jwks/core/OptionSchema"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"

const second = 1_000
const minute = 60 * second

const isRedisUrl = (value: string): boolean => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  return (
    url !== undefined &&
    (url.protocol === "redis:" || url.protocol === "rediss:") &&
    canonicalHost(url.hostname) !== undefined &&
    /^\/?\d{0,5}$/.test(url.pathname) &&
    url.search === "" &&
    url.hash === "" &&
    // An unfinished percent-encoding is no character.
    Result.isSuccess(Result.try(() => decodeURIComponent(`${url.username}:${url.password}`)))
  )
}

const pemRule = "must be certificates in PEM form (-----BEGIN CERTIFICATE-----)"
const Pem = text(pemRule, (pem) => pem.includes("-----BEGIN CERTIFICATE-----"))

const Tls = Schema.Struct({
  ca: Schema.Union([Pem, Schema.Array(Pem)]).annotate({ message: pemRule }),
  servername: text("must be a host name", (name) => canonicalHost(name) !== undefined),
  cert: Pem,
  key: secret("must be a private key in PEM form", (pem) => /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)),
}).mapFields(Struct.map(Schema.optionalKey))

const Options = Schema.Struct({
  url: secret('must be a redis or rediss URL, such as "redis://user:password@redis.example:6379/0"', isRedisUrl),
  host: text(
    'must be a host without scheme and port, such as "redis.example"',
    (host) => canonicalHost(host) !== undefined,
  ),
  port: integer(1, 65_535),
  username: text("must be a text", () => true),
  password: secret("must be a text, best wrapped in Redacted", () => true),
  database: integer(0, 65_535),
  tls: Schema.Union([flag, Tls]).annotate({
    message: "must be true, false or an object of TLS options: ca, servername, cert, key",
  }),
  connectTimeout: duration(100, minute, "must be at least 100 milliseconds and at most 1 minute"),
  silenceTimeout: duration(second, 5 * minute, "must be at least 1 second and at most 5 minutes"),
  maxReconnectDelay: duration(100, 5 * minute, "must be at least 100 milliseconds and at most 5 minutes"),
})
  .mapFields(Struct.map(Schema.optionalKey))
  .annotate({
    message: "must be an object of options for Redis",
    messageUnexpectedKey: "is no option for Redis; check its spelling",
  })

/** Options that have the right shape: durations in milliseconds, secrets in the clear. */
export type CheckedOptions = typeof Options.Type

/** Checks the shape and the bounds of the options. */
export const checkOptions = checker(Options)
