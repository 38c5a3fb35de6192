import { assert, describe, it } from "@effect/vitest"
import { staticKeys } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import { NodeJwksHttp } from "../src/index.ts"
import { makeCertificate, makeKey, pinOf } from "./support/Certificates.ts"
import { ask } from "./support/Direct.ts"
import { onLoopback } from "./support/Names.ts"
import { nginxBinary, startNginx } from "./support/Nginx.ts"
import { idle, openRegistry, outcomeOf, provider, quietly } from "./support/Registry.ts"

const root = makeCertificate({ commonName: "Test root" })
const intermediate = makeCertificate({ commonName: "Test intermediate", issuer: root })
const leaf = makeCertificate({ commonName: "idp.test", issuer: intermediate, hosts: ["idp.test"] })
const clientRoot = makeCertificate({ commonName: "Client root" })
const client = makeCertificate({ commonName: "cache.test", issuer: clientRoot, hosts: ["cache.test"] })

const jwks = (count: number) => JSON.stringify({ keys: staticKeys(count) })

/** nginx as people run it for this: a static file, compressed on the fly. */
const start = (binary: string) =>
  startNginx(
    binary,
    {
      "chain.pem": leaf.pem + intermediate.pem,
      "key.pem": leaf.keyPem,
      "clients.pem": clientRoot.pem,
      "jwks.json": jwks(20),
    },
    [
      "ssl_certificate $folder/chain.pem;",
      "ssl_certificate_key $folder/key.pem;",
      "ssl_client_certificate $folder/clients.pem;",
      "ssl_verify_client optional;",
      "gzip on;",
      "gzip_types application/jwk-set+json;",
      "add_header cache-control max-age=600;",
      "location /members/ { if ($ssl_client_verify != SUCCESS) { return 403; } rewrite ^ /jwks.json; }",
    ],
  )

const http = { ca: root.pem, lookup: onLoopback("idp.test").lookup }
const exempt = { allowPrivateAddresses: ["idp.test"] }

const reason = nginxBinary === undefined ? " (skipped: there is no nginx on this machine)" : ""

describe.skipIf(nginxBinary === undefined)(`nginx${reason}`, () => {
  const binary = nginxBinary ?? ""

  it.live("serves a compressed file, then 304, then the changed file", () =>
    Effect.gen(function* () {
      const { port, write } = yield* start(binary)
      const registry = yield* openRegistry({ ...exempt, http })
      const { outcome, refresh } = yield* provider(registry, `https://idp.test:${port}/jwks.json`, {
        pinnedSpki: [intermediate.pin],
      })
      assert.deepStrictEqual(yield* outcome, { _tag: "Served", keys: 20 })
      yield* idle
      assert.strictEqual((yield* Effect.orDie(refresh))._tag, "NotModified")
      write("jwks.json", jwks(21))
      const updated = yield* Effect.orDie(refresh)
      assert.strictEqual(updated._tag, "Updated")
      assert.deepStrictEqual(yield* outcome, { _tag: "Served", keys: 21 })
    }),
  )

  it.live("compresses what this client asks for", () =>
    Effect.gen(function* () {
      const { port } = yield* start(binary)
      const { body, headers } = yield* ask(`https://idp.test:${port}/jwks.json`, exempt).pipe(
        Effect.provide(NodeJwksHttp.layer(http)),
      )
      assert.strictEqual(headers["content-encoding"], "gzip")
      assert.match(headers["etag"] ?? "", /^W\//)
      assert.strictEqual(body, jwks(20))
    }),
  )

  it.live("is refused under another pin", () =>
    Effect.gen(function* () {
      const { port } = yield* start(binary)
      const registry = yield* openRegistry({ ...exempt, http })
      const url = `https://idp.test:${port}/jwks.json`
      assert.deepStrictEqual(yield* outcomeOf(registry, url, { pinnedSpki: [pinOf(makeKey())] }), {
        _tag: "PinMismatch",
        url,
      })
    }).pipe(quietly),
  )

  it.live("lets in who has a client certificate", () =>
    Effect.gen(function* () {
      const { port } = yield* start(binary)
      const url = `https://idp.test:${port}/members/jwks.json`
      const stranger = yield* openRegistry({ ...exempt, http })
      assert.deepStrictEqual(yield* outcomeOf(stranger, url), { _tag: "HttpStatus", url, status: 403 })
      const clientCertificate = { cert: client.pem, key: client.keyPem }
      const member = yield* openRegistry({ ...exempt, http: { ...http, hosts: { "idp.test": { clientCertificate } } } })
      assert.deepStrictEqual(yield* outcomeOf(member, url), { _tag: "Served", keys: 20 })
    }).pipe(quietly),
  )
})
