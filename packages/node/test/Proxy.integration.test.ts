import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { NodeJwksHttpOptions } from "../src/index.ts"
import { makeCertificate, makeKey, pinOf } from "./support/Certificates.ts"
import { serveHttp, serveHttps, type TlsIdentity } from "./support/Listening.ts"
import { onLoopback } from "./support/Names.ts"
import { serveProxy } from "./support/Proxy.ts"
import { answerJwks, idle, openRegistry, outcomeOf, provider, quietly, served } from "./support/Registry.ts"

const root = makeCertificate({ commonName: "Test root" })
const hosts = ["idp.test", "inside.test", "sub.inside.test", "proxy.test"]
const leaf = makeCertificate({ commonName: "idp.test", issuer: root, hosts })
const identity: TlsIdentity = { certificate: leaf }
const { lookup } = onLoopback("inside.test", "sub.inside.test", "proxy.test", "localhost")

const open = (http: NodeJwksHttpOptions, allowPrivateAddresses: ReadonlyArray<string> = []) =>
  openRegistry({ requireHttps: false, allowPrivateAddresses, http: { ca: root.pem, lookup, ...http } })

describe("A proxy", () => {
  it.live("tunnels to https, and is told the name, which nobody resolves here", () =>
    Effect.gen(function* () {
      const proxy = yield* serveProxy()
      const { port, requests } = yield* serveHttps(identity, answerJwks)
      const registry = yield* open({ proxy: { url: `http://127.0.0.1:${proxy.port}` } })
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test:${port}/jwks?a=1`), served)
      assert.deepStrictEqual([proxy.targets, proxy.credentials], [[`idp.test:${port}`], [undefined]])
      assert.deepStrictEqual(
        requests.map(({ headers, url }) => [url, headers.host, headers["proxy-authorization"]]),
        [["/jwks?a=1", `idp.test:${port}`, undefined]],
      )
    }),
  )

  it.live("tunnels to http, too", () =>
    Effect.gen(function* () {
      const proxy = yield* serveProxy()
      const { port, requests } = yield* serveHttp(answerJwks)
      const registry = yield* open({ proxy: { url: `http://127.0.0.1:${proxy.port}` } })
      const url = `http://idp.test:${port}/jwks`
      assert.deepStrictEqual(yield* outcomeOf(registry, url, { requireHttps: false }), served)
      assert.deepStrictEqual([proxy.targets, requests[0]?.url], [[`idp.test:${port}`], "/jwks"])
    }),
  )

  it.live("gets its credentials, and nobody else", () =>
    Effect.gen(function* () {
      const expected = `Basic ${Buffer.from("cache:p@ss word").toString("base64")}`
      const proxy = yield* serveProxy({ status: (given) => (given === expected ? 200 : 407) })
      const { port, requests } = yield* serveHttps(identity, answerJwks)
      const url = `https://idp.test:${port}/`
      const at = `127.0.0.1:${proxy.port}`
      const good = yield* open({ proxy: { url: Redacted.make(`http://cache:p%40ss%20word@${at}`) } })
      assert.deepStrictEqual(yield* outcomeOf(good, url), served)
      assert.isUndefined(requests[0]?.headers["proxy-authorization"])
      for (const credentials of ["", "cache:wrong@"]) {
        const bad = yield* open({ proxy: { url: `http://${credentials}${at}` } })
        assert.deepStrictEqual(yield* outcomeOf(bad, url), {
          _tag: "TransportFailed",
          url,
          detail: "ERR_PROXY_TUNNEL_407",
        })
      }
      assert.lengthOf(requests, 1)
      yield* good.unregisterTenant("acme")
    }).pipe(quietly),
  )

  it.live("may speak TLS itself, and its certificate is checked", () =>
    Effect.gen(function* () {
      const proxy = yield* serveProxy({ identity })
      const { port } = yield* serveHttps(identity, answerJwks)
      const url = `https://idp.test:${port}/`
      const registry = yield* open({ proxy: { url: `https://localhost:${proxy.port}` } })
      assert.deepInclude(yield* outcomeOf(registry, url), {
        _tag: "TransportFailed",
        detail: "ERR_TLS_CERT_ALTNAME_INVALID",
      })
      const localhost = makeCertificate({ commonName: "localhost", issuer: root, hosts: ["localhost"] })
      const named = yield* serveProxy({ identity: { certificate: localhost } })
      const again = yield* open({ proxy: { url: `https://localhost:${named.port}` } })
      assert.deepStrictEqual(yield* outcomeOf(again, url), served)
      const untrusted = yield* open({
        hosts: { localhost: { ca: makeCertificate({ commonName: "Another root" }).pem } },
        proxy: { url: `https://localhost:${named.port}` },
      })
      assert.deepInclude(yield* outcomeOf(untrusted, url), {
        _tag: "TransportFailed",
        detail: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      })
    }).pipe(quietly),
  )

  it.live("does not vouch for the target: its certificate and pins are checked inside of the tunnel", () =>
    Effect.gen(function* () {
      const proxy = yield* serveProxy()
      const { connections, port, requests } = yield* serveHttps(identity, answerJwks)
      const registry = yield* open({ proxy: { url: `http://127.0.0.1:${proxy.port}` } })
      const url = `https://idp.test:${port}/`
      assert.deepStrictEqual(yield* outcomeOf(registry, url, { pinnedSpki: [pinOf(makeKey())] }), {
        _tag: "PinMismatch",
        url,
      })
      assert.deepInclude(yield* outcomeOf(registry, `https://elsewhere.test:${port}/`), {
        _tag: "TransportFailed",
        detail: "ERR_TLS_CERT_ALTNAME_INVALID",
      })
      assert.lengthOf(requests, 0)
      yield* connections.allClosed
      yield* proxy.connections.allClosed
      assert.deepStrictEqual(yield* outcomeOf(registry, url, { pinnedSpki: [root.pin] }), served)
      yield* registry.unregisterTenant("acme")
    }).pipe(quietly),
  )

  it.live("is found by the resolver of the options, wherever it is", () =>
    Effect.gen(function* () {
      const proxy = yield* serveProxy()
      const { port } = yield* serveHttps(identity, answerJwks)
      const registry = yield* open({ proxy: { url: `http://proxy.test:${proxy.port}` } })
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test:${port}/`), served)
    }),
  )

  it.live("is not used for the hosts that need none", () =>
    Effect.gen(function* () {
      const proxy = yield* serveProxy()
      const { port } = yield* serveHttps(identity, answerJwks)
      const registry = yield* open({ proxy: { url: `http://127.0.0.1:${proxy.port}`, noProxy: ["Inside.test"] } }, [
        "inside.test",
        "sub.inside.test",
      ])
      for (const host of ["inside.test", "sub.inside.test", "idp.test"])
        assert.deepStrictEqual(yield* outcomeOf(registry, `https://${host}:${port}/`), served)
      assert.deepStrictEqual(proxy.targets, [`idp.test:${port}`])
    }),
  )

  it.live("is not asked for literal addresses and local names that are refused", () =>
    Effect.gen(function* () {
      const proxy = yield* serveProxy()
      const registry = yield* open({ proxy: { url: `http://127.0.0.1:${proxy.port}` } })
      for (const host of ["127.0.0.1", "[::1]", "169.254.169.254", "localhost", "printer.local"])
        assert.strictEqual((yield* outcomeOf(registry, `https://${host}/`))._tag, "AddressRefused")
      assert.strictEqual(proxy.connections.opened, 0)
    }).pipe(quietly),
  )

  it.live("serves several requests with one tunnel", () =>
    Effect.gen(function* () {
      const proxy = yield* serveProxy()
      const { connections, port } = yield* serveHttps(identity, answerJwks)
      const registry = yield* open({ proxy: { url: `http://127.0.0.1:${proxy.port}` } })
      const { outcome, refresh } = yield* provider(registry, `https://idp.test:${port}/`)
      assert.deepStrictEqual(yield* outcome, served)
      yield* idle
      yield* Effect.orDie(refresh)
      assert.deepStrictEqual([proxy.connections.opened, connections.opened], [1, 1])
    }),
  )

  for (const [title, status, detail] of [
    ["that refuses", () => 502, "ERR_PROXY_TUNNEL_502"],
    ["that redirects", () => 302, "ERR_PROXY_TUNNEL_302"],
    ["that never answers", () => undefined, "UND_ERR_CONNECT_TIMEOUT"],
  ] as const) {
    it.live(`${title} is a failure with its code, and leaves no socket`, () =>
      Effect.gen(function* () {
        const proxy = yield* serveProxy({ status })
        const url = "https://idp.test/"
        const registry = yield* open({ connectTimeout: "100 millis", proxy: { url: `http://127.0.0.1:${proxy.port}` } })
        assert.deepStrictEqual(yield* outcomeOf(registry, url), { _tag: "TransportFailed", url, detail })
        yield* registry.unregisterTenant("acme")
        yield* proxy.connections.allClosed
      }).pipe(quietly),
    )
  }

  it.live("that is not there is a failure with its code", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(serveProxy())
      const url = "https://idp.test/"
      const registry = yield* open({ proxy: { url: `http://127.0.0.1:${port}` } })
      assert.deepStrictEqual(yield* outcomeOf(registry, url), { _tag: "TransportFailed", url, detail: "ECONNREFUSED" })
    }).pipe(quietly),
  )
})
