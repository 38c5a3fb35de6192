import { assert, describe, it } from "@effect/vitest"
import { InvalidRegistration } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { NodeJwks, NodeJwksHttp, type NodeJwksHttpOptions } from "../src/index.ts"
import { makeCertificate } from "./support/Certificates.ts"

const root = makeCertificate({ commonName: "Test root" })
const client = makeCertificate({ commonName: "cache.test", issuer: root, hosts: ["cache.test"] })

/** The breaches of options that may be wrong in any way. */
const issuesOf = (options: unknown) =>
  Layer.build(NodeJwksHttp.layer(options as NodeJwksHttpOptions)).pipe(
    Effect.scoped,
    Effect.flip,
    Effect.map(({ issues }) => Object.fromEntries(issues.map(({ field, rule }) => [field, rule]))),
  )

describe("Options of the transport", () => {
  for (const options of [
    {},
    { ca: undefined, proxy: undefined },
    {
      ca: [root.pem],
      defaultRoots: false,
      clientCertificate: { cert: client.pem, key: Redacted.make(client.keyPem) },
      hosts: { "idp.example": {}, "10.0.0.1": { ca: root.pem }, "[fd00::1]": {}, "fd00::2": {} },
      proxy: { url: "https://user:password@proxy.example:8443/", noProxy: ["example.com", "10.0.0.2"] },
      allowPrivateAddresses: ["idp.example", "[::1]", "::1"],
      connectTimeout: 1,
      headersTimeout: "1 minute",
      bodyTimeout: "300 seconds",
      keepAlive: "10 minutes",
      maxConnectionsPerOrigin: 1_024,
      maxHeaderBytes: 1_024,
    },
  ]) {
    it.effect(`may be ${Object.keys(options).join(", ") || "none"}`, () =>
      Effect.gen(function* () {
        yield* Effect.scoped(Layer.build(NodeJwksHttp.layer(options as NodeJwksHttpOptions)))
      }),
    )
  }

  it.effect("are refused together, each with what to write instead", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* issuesOf({
          ca: "not a certificate",
          clientCertificate: { cert: client.pem, key: "not a key", secret: "x" },
          hosts: { "idp.example": { ca: [], rejectUnauthorized: false } },
          proxy: { url: "socks5://proxy.example" },
          allowPrivateAddresses: ["https://idp.example"],
          lookup: "8.8.8.8",
          connectTimeout: 0,
          headersTimeout: "an hour",
          bodyTimeout: "6 minutes",
          keepAlive: -1,
          maxConnectionsPerOrigin: 1.5,
          maxHeaderBytes: 100,
          rejectUnauthorized: false,
        }),
        {
          ca: "must be certificates in PEM form (-----BEGIN CERTIFICATE-----)",
          "clientCertificate.key": "must be a private key in PEM form",
          "clientCertificate.secret": "is no field of clientCertificate; the fields are cert, key, passphrase",
          "hosts.idp.example.rejectUnauthorized":
            "is no option of a host; the options are ca, defaultRoots, clientCertificate",
          "proxy.url": 'must be an http or https URL without path, such as "http://user:password@proxy.example:3128"',
          "allowPrivateAddresses[0]": 'must be a host without scheme and port, such as "id.intranet.example"',
          lookup: "must be a function such as lookup of node:dns",
          connectTimeout: "must be at least 1 millisecond and at most 5 minutes",
          headersTimeout: 'must be a finite duration, such as "30 seconds" or 30000 (milliseconds), and not negative',
          bodyTimeout: "must be at least 1 millisecond and at most 5 minutes",
          keepAlive: 'must be a finite duration, such as "30 seconds" or 30000 (milliseconds), and not negative',
          maxConnectionsPerOrigin: "must be a whole number from 1 to 1024",
          maxHeaderBytes: "must be a whole number from 1024 to 1048576",
          rejectUnauthorized: "is no option of the transport; check its spelling",
        },
      )
    }),
  )

  for (const url of [
    "http://us%er@proxy.example",
    "http://proxy.example/path",
    "http://proxy.example?a",
    "proxy.example",
  ]) {
    it.effect(`have no proxy such as ${url}`, () =>
      Effect.gen(function* () {
        assert.hasAllKeys(yield* issuesOf({ proxy: { url } }), ["proxy.url"])
      }),
    )
  }

  it.effect("are refused when they do not go together", () =>
    Effect.gen(function* () {
      const other = makeCertificate({ commonName: "other.test" })
      assert.deepStrictEqual(
        yield* issuesOf({
          defaultRoots: false,
          hosts: {
            "idp.example": { ca: root.pem, clientCertificate: { cert: client.pem, key: other.keyPem } },
            "https://idp.example": { ca: root.pem },
          },
        }),
        {
          defaultRoots: "leaves nobody to trust: give ca as well",
          "hosts.idp.example.clientCertificate":
            "could not be loaded: the key must be that of the certificate, and the passphrase that of the key",
          "hosts.https://idp.example": 'must be a host without scheme and port, such as "id.intranet.example"',
        },
      )
    }),
  )

  it.effect("never show a key, a passphrase or a password when they are wrong", () =>
    Effect.gen(function* () {
      const error = yield* Layer.build(
        NodeJwksHttp.layer({
          clientCertificate: { cert: "SECRET-1", key: Redacted.make("SECRET-2"), passphrase: "SECRET-3" },
          proxy: { url: "ftp://user:SECRET-4@proxy.example" },
          hosts: {
            "idp.example": { clientCertificate: { cert: client.pem, key: root.keyPem, passphrase: "SECRET-5" } },
          },
        }),
      ).pipe(Effect.scoped, Effect.flip)
      assert.notInclude(`${error.message}${JSON.stringify(error)}${String(error.stack)}`, "SECRET")
      assert.notInclude(JSON.stringify(error), "PRIVATE KEY")
    }),
  )

  it.effect("are found under http in those of the registry", () =>
    Effect.gen(function* () {
      const error = yield* Layer.build(NodeJwks.layer({ http: { maxHeaderBytes: 1 } })).pipe(Effect.scoped, Effect.flip)
      assert.instanceOf(error, InvalidRegistration)
      assert.strictEqual(error.message, "http.maxHeaderBytes: must be a whole number from 1024 to 1048576")
    }),
  )
})
