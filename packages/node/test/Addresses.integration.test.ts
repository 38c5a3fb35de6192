import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { LookupFunction } from "node:net"
import { NodeJwksHttp } from "../src/index.ts"
import { makeCertificate } from "./support/Certificates.ts"
import { ask } from "./support/Direct.ts"
import { serveHttp, serveHttps } from "./support/Listening.ts"
import { names, onLoopback } from "./support/Names.ts"
import { answerJwks, openRegistry, outcomeOf, provider, quietly, served } from "./support/Registry.ts"

const root = makeCertificate({ commonName: "Test root" })
const leaf = makeCertificate({ commonName: "idp.test", issuer: root, hosts: ["idp.test", "other.test", "127.0.0.1"] })
const serve = serveHttps({ certificate: leaf }, answerJwks)

const refusal = (host: string, rule: string) => ({ _tag: "AddressRefused" as const, host, rule })
const loopback = "a loopback address (127.0.0.0/8)"

describe("Literal addresses", () => {
  for (const [written, host, rule] of [
    ["127.0.0.1", "127.0.0.1", "loopback address (127.0.0.0/8)"],
    ["127.1", "127.0.0.1", "loopback address (127.0.0.0/8)"],
    ["2130706433", "127.0.0.1", "loopback address (127.0.0.0/8)"],
    ["0x7f.0.0.1", "127.0.0.1", "loopback address (127.0.0.0/8)"],
    ["0.0.0.0", "0.0.0.0", "unspecified address (0.0.0.0/32)"],
    ["10.1.2.3", "10.1.2.3", "private address (10.0.0.0/8)"],
    ["172.16.0.1", "172.16.0.1", "private address (172.16.0.0/12)"],
    ["192.168.1.1", "192.168.1.1", "private address (192.168.0.0/16)"],
    ["100.64.0.1", "100.64.0.1", "carrier-grade NAT address (100.64.0.0/10)"],
    ["169.254.1.1", "169.254.1.1", "link-local address (169.254.0.0/16)"],
    ["169.254.169.254", "169.254.169.254", "cloud metadata address (169.254.169.254/32)"],
    ["224.0.0.1", "224.0.0.1", "multicast address (224.0.0.0/4)"],
    ["[::1]", "[::1]", "loopback address (::1/128)"],
    ["[fe80::1]", "[fe80::1]", "link-local address (fe80::/10)"],
    ["[fd00::1]", "[fd00::1]", "unique-local address (fc00::/7)"],
    ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "IPv4-mapped form of a loopback address (127.0.0.0/8)"],
    ["[64:ff9b::10.0.0.1]", "[64:ff9b::a00:1]", "NAT64 form of a private address (10.0.0.0/8)"],
    ["localhost", "localhost", "the name localhost is local"],
    ["idp.localhost.", "idp.localhost.", "names under .localhost are local"],
    ["printer.local", "printer.local", "names under .local are local"],
    ["metadata.google.internal", "metadata.google.internal", "names under .internal are local"],
  ] as const) {
    it.live(`${written} is refused, by the cache and by the transport itself`, () =>
      Effect.gen(function* () {
        const { asked, lookup } = names({})
        const registry = yield* openRegistry({ http: { lookup } })
        const url = `https://${written}/jwks`
        assert.deepStrictEqual(yield* outcomeOf(registry, url), refusal(host, rule))
        const direct = yield* ask(url).pipe(Effect.flip, Effect.provide(NodeJwksHttp.layer({ lookup })))
        assert.deepInclude(direct, { _tag: "TransportRefused", reason: refusal(host, rule) })
        assert.lengthOf(asked, 0)
      }).pipe(quietly),
    )
  }

  it.live("an exempt one is connected to, and its certificate has to name it", () =>
    Effect.gen(function* () {
      const { port } = yield* serve
      const registry = yield* openRegistry({ allowPrivateAddresses: ["127.0.0.1"], http: { ca: root.pem } })
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://127.0.0.1:${port}/`), served)
      const nameless = yield* serveHttps(
        { certificate: makeCertificate({ commonName: "127.0.0.1", issuer: root, hosts: ["idp.test"] }) },
        answerJwks,
      )
      assert.deepInclude(yield* outcomeOf(registry, `https://127.0.0.1:${nameless.port}/`), {
        _tag: "TransportFailed",
        detail: "ERR_TLS_CERT_ALTNAME_INVALID",
      })
    }).pipe(quietly),
  )
})

describe("A name", () => {
  for (const [address, what] of [
    ["127.0.0.1", "a loopback address (127.0.0.0/8)"],
    ["10.0.0.1", "a private address (10.0.0.0/8)"],
    ["169.254.169.254", "a cloud metadata address (169.254.169.254/32)"],
    ["0.0.0.0", "an unspecified address (0.0.0.0/32)"],
    ["::1", "a loopback address (::1/128)"],
    ["fe80::1%lo", "a link-local address (fe80::/10)"],
    ["::ffff:127.0.0.1", "an IPv4-mapped form of a loopback address (127.0.0.0/8)"],
    ["64:ff9b::7f00:1", "a NAT64 form of a loopback address (127.0.0.0/8)"],
    ["not an address", "no IP address"],
  ] as const) {
    it.live(`that resolves to ${address} is refused`, () =>
      Effect.gen(function* () {
        const { lookup } = names({ "idp.test": [[address]] })
        const registry = yield* openRegistry({ http: { lookup } })
        const outcome = yield* outcomeOf(registry, "https://idp.test/jwks")
        assert.deepStrictEqual(outcome, refusal("idp.test", `it resolves to ${what}`))
      }).pipe(quietly),
    )
  }

  it.live("that resolves to private addresses alone is not connected to", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serve
      const { lookup } = names({ "idp.test": [["10.0.0.1", "127.0.0.1"]] })
      const registry = yield* openRegistry({ http: { lookup, ca: root.pem } })
      const outcome = yield* outcomeOf(registry, `https://idp.test:${port}/`)
      assert.deepStrictEqual(outcome, refusal("idp.test", "it resolves to a private address (10.0.0.0/8)"))
      assert.strictEqual(connections.opened, 0)
    }).pipe(quietly),
  )

  it.live("that resolves to a private address on the second look-up is refused then", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serve
      const { asked, lookup } = names({ "idp.test": [[], ["127.0.0.1"]] })
      const registry = yield* openRegistry({ http: { lookup, ca: root.pem } })
      const { outcome, refresh } = yield* provider(registry, `https://idp.test:${port}/`)
      assert.deepInclude(yield* outcome, { _tag: "TransportFailed", detail: "ENOTFOUND" })
      assert.deepInclude(yield* Effect.flip(refresh), {
        _tag: "JwksUnavailable",
        reason: refusal("idp.test", `it resolves to ${loopback}`),
      })
      assert.deepStrictEqual([asked, connections.opened], [["idp.test", "idp.test"], 0])
    }).pipe(quietly),
  )

  it.live("whose answer changes between the check and the connection is refused by what it is connected to", () =>
    Effect.gen(function* () {
      const { connections, port, requests } = yield* serve
      let reads = 0
      const lookup: LookupFunction = (_hostname, _options, callback) =>
        callback(null, [
          {
            family: 4,
            get address() {
              reads += 1
              return reads === 1 ? "192.0.43.8" : "127.0.0.1"
            },
          },
        ])
      const registry = yield* openRegistry({ http: { lookup, ca: root.pem } })
      const outcome = yield* outcomeOf(registry, `https://idp.test:${port}/`)
      assert.deepStrictEqual(outcome, refusal("idp.test", `it leads to ${loopback}`))
      assert.deepStrictEqual([connections.opened, requests.length], [1, 0])
      yield* connections.allClosed
    }).pipe(quietly),
  )

  it.live("may be answered by a resolver that gives one address, whatever it is asked for", () =>
    Effect.gen(function* () {
      const { port } = yield* serve
      const lookup: LookupFunction = (_hostname, _options, callback) => callback(null, "127.0.0.1", 4)
      const open = (allowPrivateAddresses: ReadonlyArray<string>) =>
        openRegistry({ allowPrivateAddresses, http: { lookup, ca: root.pem } })
      const url = `https://idp.test:${port}/`
      assert.strictEqual((yield* outcomeOf(yield* open([]), url))._tag, "AddressRefused")
      assert.deepStrictEqual(yield* outcomeOf(yield* open(["idp.test"]), url), served)
    }).pipe(quietly),
  )

  it.live("is resolved by the system where no resolver is given", () =>
    Effect.gen(function* () {
      const { port } = yield* serveHttp(answerJwks)
      const registry = yield* openRegistry({ requireHttps: false, allowPrivateAddresses: ["localhost"] })
      const outcome = yield* outcomeOf(registry, `http://localhost:${port}/`, { requireHttps: false })
      assert.deepStrictEqual(outcome, served)
    }),
  )
})

describe("Exemptions", () => {
  it.live("hold for the hosts that they name, in any spelling, and for no other name of the same address", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serve
      const { lookup } = onLoopback("idp.test", "other.test", "sub.idp.test")
      const registry = yield* openRegistry({
        allowPrivateAddresses: ["IDP.test."],
        http: { lookup, ca: root.pem },
      })
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test:${port}/`), served)
      for (const host of ["other.test", "sub.idp.test"]) {
        const outcome = yield* outcomeOf(registry, `https://${host}:${port}/`)
        assert.deepStrictEqual(outcome, refusal(host, `it resolves to ${loopback}`))
      }
      assert.strictEqual(connections.opened, 1)
    }).pipe(quietly),
  )

  it.live("may be the transport's own, where the cache lets the URL pass", () =>
    Effect.gen(function* () {
      const { port } = yield* serve
      const { lookup } = onLoopback("idp.test", "other.test")
      const http = { lookup, ca: root.pem, allowPrivateAddresses: ["idp.test"] }
      const registry = yield* openRegistry({ http })
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test:${port}/`), served)
      assert.strictEqual((yield* outcomeOf(registry, `https://other.test:${port}/`))._tag, "AddressRefused")
    }).pipe(quietly),
  )

  it.live("may be for every host", () =>
    Effect.gen(function* () {
      const { port } = yield* serve
      const registry = yield* openRegistry({
        allowPrivateAddresses: true,
        http: { lookup: onLoopback("idp.test").lookup, ca: root.pem },
      })
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test:${port}/`), served)
    }),
  )

  it.live("open no connection for those who have none: two registries over one transport", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serve
      const url = `https://idp.test:${port}/`
      const exempt = { allowPrivateAddresses: ["idp.test"] }
      const outcomes = Effect.gen(function* () {
        const first = yield* ask(url, exempt)
        const second = yield* Effect.flip(ask(url))
        const third = yield* ask(url, exempt)
        return [first.status, second, third.status]
      })
      const [first, second, third] = yield* outcomes.pipe(
        Effect.provide(NodeJwksHttp.layer({ lookup: onLoopback("idp.test").lookup, ca: root.pem })),
      )
      assert.deepStrictEqual([first, third], [200, 200])
      assert.deepInclude(second, { reason: refusal("idp.test", `it resolves to ${loopback}`) })
      assert.isAtMost(connections.opened, 2)
    }),
  )

  it.live("do not follow a redirect to another host", () =>
    Effect.gen(function* () {
      const target = yield* serve
      const { lookup } = onLoopback("idp.test", "other.test")
      const first = yield* serveHttps({ certificate: leaf }, (_, response) => {
        response.writeHead(302, { location: `https://other.test:${target.port}/jwks` }).end()
      })
      const registry = yield* openRegistry({ allowPrivateAddresses: ["idp.test"], http: { lookup, ca: root.pem } })
      const outcome = yield* outcomeOf(registry, `https://idp.test:${first.port}/`)
      assert.deepStrictEqual(outcome, refusal("other.test", `it resolves to ${loopback}`))
      assert.strictEqual(target.connections.opened, 0)
    }).pipe(quietly),
  )

  it.live("are no field of a registration", () =>
    Effect.gen(function* () {
      const registry = yield* openRegistry({})
      const registration = {
        tenant: "acme",
        provider: "idp",
        jwksUrl: "https://10.0.0.1/",
        allowPrivateAddresses: true,
      }
      const { issues } = yield* Effect.flip(registry.register(registration))
      assert.deepStrictEqual(
        issues.map(({ field }) => field),
        ["allowPrivateAddresses"],
      )
    }),
  )
})
