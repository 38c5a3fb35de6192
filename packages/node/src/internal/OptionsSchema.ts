/**
 * The shape and the bounds of the transport's options, with a message for each breach that says what to
 * write instead. No message repeats what was given: it may hold a key or a password.
 */
import { canonicalHost } from "@effect-jwks/core"
import { checker, duration, integer, secret, text } from "@effect-jwks/core/OptionSchema"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { X509Certificate } from "node:crypto"
import type { LookupFunction } from "node:net"

const second = 1_000

const timeout = duration(1, 300 * second, "must be at least 1 millisecond and at most 5 minutes")

/** What a host has to look like. */
export const hostRule = 'must be a host without scheme and port, such as "id.intranet.example"'
const Host = text(hostRule, (host) => canonicalHost(host) !== undefined)

/** The certificates in a PEM text (RFC 7468 section 5). */
export const certificatesIn = (pem: string): ReadonlyArray<string> =>
  pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []

const isPem = (pem: string): boolean => {
  const certificates = certificatesIn(pem)
  return (
    certificates.length > 0 &&
    certificates.every((certificate) => Result.isSuccess(Result.try(() => new X509Certificate(certificate))))
  )
}

const pemRule = "must be certificates in PEM form (-----BEGIN CERTIFICATE-----)"
const Pem = text(pemRule, isPem)

const tlsFields = {
  ca: Schema.optionalKey(Schema.Union([Pem, Schema.Array(Pem)]).annotate({ message: pemRule })),
  defaultRoots: Schema.optionalKey(Schema.Boolean.annotate({ message: "must be true or false" })),
  clientCertificate: Schema.optionalKey(
    Schema.Struct({
      cert: Pem,
      key: secret("must be a private key in PEM form", (pem) => /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)),
      passphrase: Schema.optionalKey(secret("must be a text", () => true)),
    }).annotate({
      message: "must be an object with cert and key, both in PEM form",
      messageUnexpectedKey: "is no field of clientCertificate; the fields are cert, key, passphrase",
    }),
  ),
}

const HostOptions = Schema.Struct(tlsFields).annotate({
  message: "must be an object of TLS options",
  messageUnexpectedKey: "is no option of a host; the options are ca, defaultRoots, clientCertificate",
})

const isProxyUrl = (value: string): boolean => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  return (
    url !== undefined &&
    (url.protocol === "http:" || url.protocol === "https:") &&
    url.pathname === "/" &&
    url.search === "" &&
    url.hash === "" &&
    // An unfinished percent-encoding is no character.
    Result.isSuccess(Result.try(() => decodeURIComponent(`${url.username}:${url.password}`)))
  )
}

const isLookup = (u: unknown): u is LookupFunction => typeof u === "function"

const Options = Schema.Struct({
  ...tlsFields,
  hosts: Schema.Record(Schema.String, HostOptions).annotate({
    message: 'must be an object of TLS options by host, such as { "id.intranet.example": { ca } }',
  }),
  proxy: Schema.Struct({
    url: secret(
      'must be an http or https URL without path, such as "http://user:password@proxy.example:3128"',
      isProxyUrl,
    ),
    noProxy: Schema.optionalKey(
      Schema.Array(Host).annotate({ message: 'must be a list of hosts, such as ["intranet.example"]' }),
    ),
  }).annotate({
    message: "must be an object with url, and noProxy where some hosts need no proxy",
    messageUnexpectedKey: "is no field of proxy; the fields are url, noProxy",
  }),
  allowPrivateAddresses: Schema.Union([Schema.Boolean, Schema.Array(Host)]).annotate({
    message: 'must be true, false or a list of hosts without scheme and port, such as ["id.intranet.example"]',
  }),
  lookup: Schema.declare(isLookup).annotate({ message: "must be a function such as lookup of node:dns" }),
  connectTimeout: timeout,
  headersTimeout: timeout,
  bodyTimeout: timeout,
  keepAlive: duration(1, 600 * second, "must be at least 1 millisecond and at most 10 minutes"),
  maxConnectionsPerOrigin: integer(1, 1_024),
  maxHeaderBytes: integer(1_024, 1_048_576),
})
  .mapFields(Struct.map(Schema.optionalKey))
  .annotate({
    message: "must be an object of transport options",
    messageUnexpectedKey: "is no option of the transport; check its spelling",
  })

/** Options that have the right shape: durations in milliseconds, secrets in the clear. */
export type CheckedOptions = typeof Options.Type

/** TLS options that have the right shape. */
export type CheckedTls = typeof HostOptions.Type

/** Checks the shape and the bounds of the transport's options. */
export const checkOptions = checker(Options)
