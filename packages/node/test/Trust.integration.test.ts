import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { spawn } from "node:child_process"
import { createPrivateKey } from "node:crypto"
import { TLSSocket } from "node:tls"
import { fileURLToPath } from "node:url"
import type { NodeJwksHttpOptions } from "../src/index.ts"
import { makeCertificate } from "./support/Certificates.ts"
import { type Handler, serveHttps, type TlsIdentity } from "./support/Listening.ts"
import { onLoopback } from "./support/Names.ts"
import { answerJwks, openRegistry, type Outcome, outcomeOf, quietly, served } from "./support/Registry.ts"

const root = makeCertificate({ commonName: "Test root" })
const hosts = ["idp.test", "other.test"]
const identity: TlsIdentity = { certificate: makeCertificate({ commonName: "idp.test", issuer: root, hosts }) }
const { lookup } = onLoopback(...hosts)

const open = (http: NodeJwksHttpOptions) => openRegistry({ allowPrivateAddresses: hosts, http: { lookup, ...http } })

const untrusted = (outcome: Outcome): void => {
  assert.deepInclude(outcome, { _tag: "TransportFailed", detail: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" })
}

describe("An authority of one's own", () => {
  it.live("is not trusted unless it is given", () =>
    Effect.gen(function* () {
      const { port, requests } = yield* serveHttps(identity, answerJwks)
      untrusted(yield* outcomeOf(yield* open({}), `https://idp.test:${port}/`))
      assert.lengthOf(requests, 0)
    }).pipe(quietly),
  )

  it.live("is trusted for every host when it is given at the top, as a text, a bundle or a list", () =>
    Effect.gen(function* () {
      const { port } = yield* serveHttps(identity, answerJwks)
      const another = makeCertificate({ commonName: "Another root" }).pem
      for (const ca of [root.pem, `${another}\n# ours\n${root.pem}`, [another, root.pem]]) {
        for (const defaultRoots of [true, false]) {
          const registry = yield* open({ ca, defaultRoots })
          for (const host of hosts)
            assert.deepStrictEqual(yield* outcomeOf(registry, `https://${host}:${port}/`), served)
        }
      }
    }),
  )

  it.live("is trusted for the host alone that it is given for", () =>
    Effect.gen(function* () {
      const { port } = yield* serveHttps(identity, answerJwks)
      const registry = yield* open({ hosts: { "IDP.test.": { ca: root.pem } } })
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test:${port}/`), served)
      untrusted(yield* outcomeOf(registry, `https://other.test:${port}/`))
    }).pipe(quietly),
  )

  it.live("takes the place of the one at the top", () =>
    Effect.gen(function* () {
      const { port } = yield* serveHttps(identity, answerJwks)
      const another = makeCertificate({ commonName: "Another root" }).pem
      const registry = yield* open({ ca: root.pem, hosts: { "other.test": { ca: another } } })
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test:${port}/`), served)
      untrusted(yield* outcomeOf(registry, `https://other.test:${port}/`))
    }).pipe(quietly),
  )
})

describe("TLS", () => {
  it.live("is told the name without its trailing dot, and that HTTP/1.1 is spoken", () =>
    Effect.gen(function* () {
      const offered: Array<unknown> = []
      const { port } = yield* serveHttps(
        {
          ...identity,
          tls: {
            ALPNCallback: (hello) => {
              offered.push(hello)
              return "http/1.1"
            },
          },
        },
        answerJwks,
      )
      const registry = yield* openRegistry({
        allowPrivateAddresses: ["idp.test"],
        http: { ca: root.pem, lookup: onLoopback("idp.test.").lookup },
      })
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test.:${port}/`), served)
      assert.deepStrictEqual(offered, [{ servername: "idp.test", protocols: ["http/1.1"] }])
    }),
  )
})

describe("A server that would show other certificates later", () => {
  it.live("is not let: nothing is negotiated again", () =>
    Effect.gen(function* () {
      const refused = yield* Deferred.make<unknown>()
      const { port } = yield* serveHttps({ ...identity, tls: { maxVersion: "TLSv1.2" } }, (request, response) => {
        request.socket.once("error", (error) => Deferred.doneUnsafe(refused, Effect.succeed(error)))
        if (request.socket instanceof TLSSocket) request.socket.renegotiate({}, () => {})
        answerJwks(request, response)
      })
      const registry = yield* open({ ca: root.pem })
      yield* outcomeOf(registry, `https://idp.test:${port}/`)
      assert.deepInclude(yield* Deferred.await(refused), { code: "ERR_SSL_NO_RENEGOTIATION" })
    }).pipe(quietly),
  )
})

describe("The standard checks", () => {
  for (const [title, certificate, detail] of [
    [
      "an expired certificate",
      makeCertificate({ commonName: "idp.test", issuer: root, hosts, notAfter: Date.now() - 60_000 }),
      "CERT_HAS_EXPIRED",
    ],
    [
      "a certificate that is not valid yet",
      makeCertificate({ commonName: "idp.test", issuer: root, hosts, notBefore: Date.now() + 600_000 }),
      "CERT_NOT_YET_VALID",
    ],
    [
      "a certificate for another host",
      makeCertificate({ commonName: "idp.test", issuer: root, hosts: ["elsewhere.test"] }),
      "ERR_TLS_CERT_ALTNAME_INVALID",
    ],
    [
      "a certificate that vouches for itself",
      makeCertificate({ commonName: "idp.test", hosts, isCa: false }),
      "DEPTH_ZERO_SELF_SIGNED_CERT",
    ],
    [
      "a certificate with a false signature",
      makeCertificate({
        commonName: "idp.test",
        issuer: root,
        hosts,
        signWith: makeCertificate({ commonName: "Somebody" }).privateKey,
      }),
      "CERT_SIGNATURE_FAILURE",
    ],
  ] as const) {
    it.live(`refuse ${title}`, () =>
      Effect.gen(function* () {
        const { connections, port, requests } = yield* serveHttps({ certificate }, answerJwks)
        const url = `https://idp.test:${port}/`
        const outcome = yield* outcomeOf(yield* open({ ca: root.pem }), url)
        assert.deepStrictEqual(outcome, { _tag: "TransportFailed", url, detail })
        assert.lengthOf(requests, 0)
        yield* connections.allClosed
      }).pipe(quietly),
    )
  }

  it.live("refuse TLS older than 1.2", () =>
    Effect.gen(function* () {
      const { port } = yield* serveHttps(
        { ...identity, tls: { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } },
        answerJwks,
      )
      const outcome = yield* outcomeOf(yield* open({ ca: root.pem }), `https://idp.test:${port}/`)
      assert.deepInclude(outcome, {
        _tag: "TransportFailed",
        detail: "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
      })
    }).pipe(quietly),
  )

  it.live("are not switched off by NODE_TLS_REJECT_UNAUTHORIZED=0", () =>
    Effect.gen(function* () {
      const { port, requests } = yield* serveHttps(identity, answerJwks)
      const output = yield* Effect.callback<string>((resume) => {
        const child = spawn(
          process.execPath,
          [fileURLToPath(new URL("rejectUnauthorized.program.ts", import.meta.url)), `https://localhost:${port}/`],
          { env: { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: "0" }, stdio: ["ignore", "pipe", "ignore"] },
        )
        let text = ""
        child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()))
        child.once("close", () => resume(Effect.succeed(text)))
        return Effect.sync(() => child.kill("SIGKILL"))
      })
      assert.strictEqual(output, "fetch: 200\nregistry: UNABLE_TO_VERIFY_LEAF_SIGNATURE\n")
      assert.lengthOf(requests, 1)
    }),
  )
})

describe("A client certificate", () => {
  const clientRoot = makeCertificate({ commonName: "Client root" })
  const client = makeCertificate({ commonName: "cache.test", issuer: clientRoot, hosts: ["cache.test"] })
  const clientCertificate = { cert: client.pem, key: Redacted.make(client.keyPem) }

  /** Lets nobody in without a certificate of the client root. */
  const strict: TlsIdentity = { ...identity, tls: { requestCert: true, rejectUnauthorized: true, ca: clientRoot.pem } }
  /** Asks for a certificate, and does without. */
  const curious: TlsIdentity = {
    ...identity,
    tls: { requestCert: true, rejectUnauthorized: false, ca: clientRoot.pem },
  }

  const shown: Array<string | Array<string> | undefined> = []
  const noteClient: Handler = (request, response) => {
    shown.push(request.socket instanceof TLSSocket ? request.socket.getPeerCertificate().subject?.CN : undefined)
    answerJwks(request, response)
  }

  it.live("opens a server that insists on one, at the top or for its host", () =>
    Effect.gen(function* () {
      const { port } = yield* serveHttps(strict, answerJwks)
      const url = `https://idp.test:${port}/`
      for (const http of [
        { ca: root.pem, clientCertificate },
        { ca: root.pem, hosts: { "idp.test": { clientCertificate } } },
        { hosts: { "idp.test": { ca: root.pem, clientCertificate: { cert: client.pem, key: client.keyPem } } } },
      ])
        assert.deepStrictEqual(yield* outcomeOf(yield* open(http), url), served)
    }),
  )

  it.live("may have an encrypted key", () =>
    Effect.gen(function* () {
      const { port } = yield* serveHttps(strict, answerJwks)
      const key = createPrivateKey(client.keyPem).export({
        type: "pkcs8",
        format: "pem",
        cipher: "aes-256-cbc",
        passphrase: "opensesame",
      })
      const registry = yield* open({
        ca: root.pem,
        clientCertificate: { cert: client.pem, key, passphrase: Redacted.make("opensesame") },
      })
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test:${port}/`), served)
    }),
  )

  it.live("that is missing is a failure with its code", () =>
    Effect.gen(function* () {
      const { connections, port, requests } = yield* serveHttps(strict, answerJwks)
      const outcome = yield* outcomeOf(yield* open({ ca: root.pem }), `https://idp.test:${port}/`)
      // A server says so in an alert, or just leaves; Node's does the latter.
      assert.strictEqual(outcome._tag, "TransportFailed")
      if (outcome._tag === "TransportFailed")
        assert.match(outcome.detail, /^(UND_ERR_SOCKET|ECONNRESET|ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED)$/)
      assert.lengthOf(requests, 0)
      yield* connections.allClosed
    }).pipe(quietly),
  )

  it.live("that is bound to a host is shown to no other, not after a redirect either", () =>
    Effect.gen(function* () {
      shown.length = 0
      const target = yield* serveHttps(curious, noteClient)
      const first = yield* serveHttps(curious, (request, response) => {
        response.setHeader("location", `https://other.test:${target.port}/`)
        response.statusCode = 302
        noteClient(request, response)
      })
      const registry = yield* open({ ca: root.pem, hosts: { "idp.test": { clientCertificate } } })
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test:${first.port}/`), served)
      assert.deepStrictEqual(shown, ["cache.test", undefined])
    }),
  )
})
