import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Tls from "node:tls"
import { NodeJwksHttp } from "../src/index.ts"
import { makeCertificate, makeKey, pinOf } from "./support/Certificates.ts"
import { type Handler, serveHttp, serveHttps, type TlsIdentity } from "./support/Listening.ts"
import { ask } from "./support/Direct.ts"
import { onLoopback } from "./support/Names.ts"
import { answerJwks, idle, openRegistry, outcomeOf, provider, quietly, served } from "./support/Registry.ts"

const root = makeCertificate({ commonName: "Test root" })
const intermediate = makeCertificate({ commonName: "Test intermediate", issuer: root })
const leaf = makeCertificate({ commonName: "idp.test", issuer: intermediate, hosts: ["idp.test", "other.test"] })
const identity: TlsIdentity = { certificate: leaf, chain: [intermediate] }
const foreignPin = pinOf(makeKey())

/** Names that the registries of these tests may find on loopback. */
const hosts = ["idp.test", "other.test", "wrong.test"]

const open = (ca: ReadonlyArray<string> = [root.pem]) =>
  openRegistry({
    requireHttps: false,
    allowPrivateAddresses: hosts,
    http: { ca, defaultRoots: false, lookup: onLoopback(...hosts).lookup },
  })

/** What a registry says about one server under some pins. */
const outcomeUnder = Effect.fnUntraced(function* (
  presented: TlsIdentity,
  pinnedSpki: ReadonlyArray<string>,
  ca?: ReadonlyArray<string>,
) {
  const { connections, port, requests } = yield* serveHttps(presented, answerJwks)
  const registry = yield* open(ca)
  const outcome = yield* outcomeOf(registry, `https://idp.test:${port}/jwks`, { pinnedSpki })
  if (outcome._tag !== "Served") {
    assert.lengthOf(requests, 0, "nothing was asked of a server that was not trusted")
    yield* connections.allClosed
  }
  return outcome
})

const mismatch = (port: number, host = "idp.test") => ({
  _tag: "PinMismatch" as const,
  url: `https://${host}:${port}/jwks`,
})

describe("Pins", () => {
  for (const [whose, pin] of [
    ["the server's own key", leaf.pin],
    ["the key of an intermediate that it presents", intermediate.pin],
    ["the key of the root, which it does not present", root.pin],
  ] as const) {
    it.live(`hold for ${whose}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* outcomeUnder(identity, [pin]), served)
      }),
    )
  }

  it.live("refuse a server with other keys, before anything is asked of it", () =>
    Effect.gen(function* () {
      const { connections, port, requests } = yield* serveHttps(identity, answerJwks)
      const registry = yield* open()
      const url = `https://idp.test:${port}/jwks`
      assert.deepStrictEqual(yield* outcomeOf(registry, url, { pinnedSpki: [foreignPin] }), mismatch(port))
      assert.lengthOf(requests, 0)
      yield* connections.allClosed
    }).pipe(quietly),
  )

  it.live("are for rollover when there are two: the server changes its key, and both hold", () =>
    Effect.gen(function* () {
      const next = makeCertificate({ commonName: "idp.test", issuer: intermediate, hosts: ["idp.test"] })
      const both = [leaf.pin, next.pin]
      assert.deepStrictEqual(yield* outcomeUnder(identity, both), served)
      assert.deepStrictEqual(yield* outcomeUnder({ ...identity, certificate: next }, both), served)
      // The old list alone would not have held.
      const alone = yield* outcomeUnder({ ...identity, certificate: next }, [leaf.pin])
      assert.strictEqual(alone._tag, "PinMismatch")
    }).pipe(quietly),
  )

  it.live("do not stand in for the standard checks: an expired certificate is refused though its key is pinned", () =>
    Effect.gen(function* () {
      const expired = makeCertificate({
        commonName: "idp.test",
        issuer: intermediate,
        hosts: ["idp.test"],
        notAfter: Date.now() - 60_000,
      })
      const outcome = yield* outcomeUnder({ ...identity, certificate: expired }, [expired.pin])
      assert.deepInclude(outcome, { _tag: "TransportFailed", detail: "CERT_HAS_EXPIRED" })
    }).pipe(quietly),
  )

  it.live(
    "do not stand in for the standard checks: a certificate for another host is refused though its key is pinned",
    () =>
      Effect.gen(function* () {
        const wrong = makeCertificate({ commonName: "idp.test", issuer: intermediate, hosts: ["wrong.test"] })
        const outcome = yield* outcomeUnder({ ...identity, certificate: wrong }, [wrong.pin])
        assert.deepInclude(outcome, { _tag: "TransportFailed", detail: "ERR_TLS_CERT_ALTNAME_INVALID" })
      }).pipe(quietly),
  )

  it.live(
    "do not stand in for the standard checks: an authority that nobody trusts is refused though its key is pinned",
    () =>
      Effect.gen(function* () {
        const outcome = yield* outcomeUnder(identity, [root.pin], [makeCertificate({ commonName: "Other root" }).pem])
        assert.strictEqual(outcome._tag, "TransportFailed")
        if (outcome._tag === "TransportFailed")
          assert.match(outcome.detail, /^(SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?)$/)
      }).pipe(quietly),
  )

  it.live("refuse a server without TLS, unasked", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serveHttp(answerJwks)
      const url = `http://idp.test:${port}/jwks`
      const refused = yield* ask(url, { pins: [leaf.pin], allowPrivateAddresses: ["idp.test"] }).pipe(
        Effect.flip,
        Effect.provide(NodeJwksHttp.layer({ lookup: onLoopback("idp.test").lookup })),
      )
      assert.deepInclude(refused, { _tag: "TransportRefused", reason: { _tag: "PinMismatch", url } })
      assert.strictEqual(connections.opened, 0)
    }),
  )
})

describe("Certificates that a server appends to its chain", () => {
  it.live("prove nothing when they belong to another authority, trusted as it may be", () =>
    Effect.gen(function* () {
      const pinned = makeCertificate({ commonName: "Pinned root" })
      const presented = { ...identity, chain: [intermediate, pinned] }
      const outcome = yield* outcomeUnder(presented, [pinned.pin], [root.pem, pinned.pem])
      assert.strictEqual(outcome._tag, "PinMismatch")
      assert.deepStrictEqual(yield* outcomeUnder(presented, [root.pin], [root.pem, pinned.pem]), served)
    }).pipe(quietly),
  )

  it.live("prove nothing when they only have the name of the issuer", () =>
    Effect.gen(function* () {
      // Same subject, other key: linked by name it looks like the issuer of the server's certificate.
      const pinned = makeCertificate({ commonName: "Test intermediate" })
      for (const chain of [
        [intermediate, pinned],
        [intermediate, root, pinned],
      ]) {
        const outcome = yield* outcomeUnder({ ...identity, chain }, [pinned.pin])
        assert.strictEqual(outcome._tag, "PinMismatch")
      }
    }).pipe(quietly),
  )

  it.live("prove nothing through a certificate that is no authority", () =>
    Effect.gen(function* () {
      // The holder of a server certificate under the pinned root has another root vouch for its key as an
      // authority's, and shows both: TLS verifies the one way, the pin would be found on the other.
      const pinned = makeCertificate({ commonName: "Pinned root" })
      for (const keyUsage of [true, false]) {
        const privateKey = makeKey()
        const customer = { commonName: "customer.test", privateKey }
        const ordinary = makeCertificate({ ...customer, issuer: pinned, hosts: ["customer.test"], keyUsage })
        const crossSigned = makeCertificate({ ...customer, issuer: root })
        const forged = makeCertificate({ commonName: "idp.test", issuer: crossSigned, hosts: ["idp.test"] })
        const presented = { certificate: forged, chain: [crossSigned, ordinary, pinned] }
        const outcome = yield* outcomeUnder(presented, [pinned.pin], [root.pem, pinned.pem])
        assert.strictEqual(outcome._tag, "PinMismatch")
        // The way that TLS went is fine.
        assert.deepStrictEqual(yield* outcomeUnder(presented, [root.pin], [root.pem, pinned.pem]), served)
      }
    }).pipe(quietly),
  )

  it.live("prove nothing when they have expired", () =>
    Effect.gen(function* () {
      const old = makeCertificate({
        commonName: "Old root",
        notBefore: Date.now() - 7_200_000,
        notAfter: Date.now() - 3_600_000,
      })
      const crossSigned = makeCertificate({
        commonName: intermediate.commonName,
        issuer: old,
        privateKey: intermediate.privateKey,
      })
      const presented = { ...identity, chain: [intermediate, crossSigned, old] }
      assert.strictEqual((yield* outcomeUnder(presented, [old.pin]))._tag, "PinMismatch")
    }).pipe(quietly),
  )

  it.live("may come in any order", () =>
    Effect.gen(function* () {
      const second = makeCertificate({ commonName: "Second intermediate", issuer: intermediate })
      const certificate = makeCertificate({ commonName: "idp.test", issuer: second, hosts: ["idp.test"] })
      const presented = { certificate, chain: [root, intermediate, second] }
      for (const { pin } of [certificate, second, intermediate, root])
        assert.deepStrictEqual(yield* outcomeUnder(presented, [pin]), served)
    }),
  )
})

describe("Pins on redirects", () => {
  const redirectTo =
    (location: () => string): Handler =>
    (request, response) => {
      if (request.url === "/jwks") response.writeHead(302, { location: location() }).end()
      else answerJwks(request, response)
    }

  it.live("hold on every hop: from the pinned host to one with other keys is a mismatch", () =>
    Effect.gen(function* () {
      const other = makeCertificate({ commonName: "other.test", issuer: root, hosts: ["other.test"] })
      const target = yield* serveHttps({ certificate: other }, answerJwks)
      const first = yield* serveHttps(
        identity,
        redirectTo(() => `https://other.test:${target.port}/jwks`),
      )
      const registry = yield* open()
      const url = `https://idp.test:${first.port}/jwks`
      assert.deepStrictEqual(
        yield* outcomeOf(registry, url, { pinnedSpki: [leaf.pin] }),
        mismatch(target.port, "other.test"),
      )
      assert.deepStrictEqual([first.requests.length, target.requests.length], [1, 0])
      // Both keys pinned, or none.
      assert.deepStrictEqual(yield* outcomeOf(registry, url, { pinnedSpki: [other.pin, leaf.pin] }), served)
      assert.deepStrictEqual(yield* outcomeOf(registry, url), served)
    }).pipe(quietly),
  )

  it.live("never lead out of TLS", () =>
    Effect.gen(function* () {
      const plain = yield* serveHttp(answerJwks)
      const first = yield* serveHttps(
        identity,
        redirectTo(() => `http://other.test:${plain.port}/jwks`),
      )
      const registry = yield* open()
      const outcome = yield* outcomeOf(registry, `https://idp.test:${first.port}/jwks`, {
        pinnedSpki: [leaf.pin],
        requireHttps: false,
      })
      assert.strictEqual(outcome._tag, "RedirectRefused")
      assert.strictEqual(plain.connections.opened, 0)
    }).pipe(quietly),
  )
})

describe("Pinned and unpinned registrations of one origin", () => {
  it.live("share no connection: one that was opened without pins serves none with them", () =>
    Effect.gen(function* () {
      const { connections, port, requests } = yield* serveHttps(identity, answerJwks)
      const registry = yield* open()
      const url = `https://idp.test:${port}/jwks`
      assert.deepStrictEqual(yield* outcomeOf(registry, url), served)
      // The connection is open and idle; a registration with a wrong pin may not use it.
      assert.strictEqual(connections.open, 1)
      assert.deepStrictEqual(yield* outcomeOf(registry, url, { pinnedSpki: [foreignPin] }), mismatch(port))
      assert.lengthOf(requests, 1)
      assert.deepStrictEqual(yield* outcomeOf(registry, url, { pinnedSpki: [leaf.pin] }), served)
      assert.strictEqual(connections.opened, 3)
    }).pipe(quietly),
  )

  it.live("share no connection: one that was opened under a pin serves none under another", () =>
    Effect.gen(function* () {
      const { connections, port, requests } = yield* serveHttps(identity, answerJwks)
      const registry = yield* open()
      const url = `https://idp.test:${port}/jwks`
      assert.deepStrictEqual(yield* outcomeOf(registry, url, { pinnedSpki: [leaf.pin] }), served)
      assert.deepStrictEqual(yield* outcomeOf(registry, url), served)
      assert.deepStrictEqual(yield* outcomeOf(registry, url, { pinnedSpki: [foreignPin] }), mismatch(port))
      assert.deepStrictEqual([requests.length, connections.opened], [2, 3])
    }).pipe(quietly),
  )

  it.live("use the connection of those with the same pins, in whatever order they name them", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serveHttps(identity, answerJwks)
      const registry = yield* open()
      const url = `https://idp.test:${port}/jwks`
      for (const pinnedSpki of [
        [leaf.pin, foreignPin],
        [foreignPin, leaf.pin],
        [leaf.pin, foreignPin, leaf.pin],
      ]) {
        assert.deepStrictEqual(yield* outcomeOf(registry, url, { pinnedSpki }), served)
        yield* idle
      }
      assert.strictEqual(connections.opened, 1)
    }),
  )

  it.live("never resume a TLS session, which would skip the certificates", () =>
    Effect.gen(function* () {
      const reused: Array<boolean> = []
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
        const { connections, port } = yield* serveHttps({ ...identity, tls: { maxVersion } }, (request, response) => {
          reused.push(request.socket instanceof Tls.TLSSocket && request.socket.isSessionReused())
          response.setHeader("connection", "close")
          answerJwks(request, response)
        })
        const registry = yield* open()
        for (const settings of [{}, { pinnedSpki: [leaf.pin] }]) {
          const { outcome, refresh } = yield* provider(registry, `https://idp.test:${port}/jwks`, settings)
          assert.deepStrictEqual(yield* outcome, served)
          yield* connections.allClosed
          yield* Effect.orDie(refresh)
        }
        assert.strictEqual(connections.opened, 4)
      }
      assert.deepStrictEqual(
        reused,
        Array.from({ length: 8 }, () => false),
      )
    }),
  )
})
