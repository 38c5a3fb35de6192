/**
 * Servers whose certificates vouch for nothing, for somebody else, or for the wrong key.
 */
import { TransportDemand } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { generateKeyPairSync } from "node:crypto"
import { type Certificate, makeCertificate, makeKey, pinOf } from "../../support/Certificates.ts"
import { goodBody, goodKeys, jwks, redirect, response, send } from "../Answer.ts"
import * as Authorities from "../Authorities.ts"
import { chainWith, goodChain } from "../Authorities.ts"
import { about, type CaseOf, fails, oneAttempt, type HostileCase, holds, refusesRegistration } from "../HostileCase.ts"

const hour = 3_600_000

const shows = (
  title: string,
  certificate: NonNullable<CaseOf["certificate"]>,
  // Which one is up to the TLS library where several things are wrong.
  code: string | undefined,
  rest: Partial<CaseOf> = {},
): CaseOf => ({
  title,
  scheme: "https",
  // A good server first; then another one at its address.
  certificate: (host, isLying) => (isLying ? certificate(host, true) : goodChain(host)),
  expected: fails("TransportFailed", code && `(${code})`),
  ...rest,
})

const foreignPin = pinOf(makeKey())

const oddCurve = (): Certificate =>
  makeCertificate({
    commonName: "Odd curve",
    privateKey: generateKeyPairSync("ec", { namedCurve: "brainpoolP256r1" }).privateKey,
  })

/** A provider whose registration names these pins. */
const pinned = (
  title: string,
  pinnedSpki: () => ReadonlyArray<string>,
  rest: Pick<CaseOf, "expected"> & Partial<CaseOf>,
): CaseOf => ({
  title,
  scheme: "https",
  when: "first",
  registration: () => ({ pinnedSpki: pinnedSpki() }),
  ...rest,
})

const ownPin = (): ReadonlyArray<string> => [goodChain("idp.test")[0].pin]
const mismatch = fails("PinMismatch")

/** A server of the other authority, with a certificate of that authority that somebody else has signed. */
const crossSigned = (host: string, by: Certificate): readonly [Certificate, Certificate] => {
  const { commonName, privateKey } = Authorities.otherRoot()
  return [
    makeCertificate({ commonName: host, hosts: [host], issuer: Authorities.otherRoot() }),
    makeCertificate({ commonName, privateKey, issuer: by }),
  ]
}

/** The provider redirects to another host, which would have a good set. */
const toOther: CaseOf["answer"] = ({ host }, { url }) =>
  host === "idp.test" ? redirect(url("/jwks", { host: "other.test" })) : jwks(goodKeys(1, 2))

export const tlsCases: ReadonlyArray<HostileCase> = [
  ...about(
    "tls_chain",
    shows(
      "a certificate of an authority that nobody trusts",
      chainWith(() => ({ issuer: Authorities.foreignRoot() })),
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ),
    shows(
      "a certificate that vouches for itself",
      (host) => [makeCertificate({ commonName: host, hosts: [host] })],
      "DEPTH_ZERO_SELF_SIGNED_CERT",
    ),
    shows(
      "a certificate of an authority that is sent along, and nobody trusts",
      (host) => [
        makeCertificate({ commonName: host, hosts: [host], issuer: Authorities.foreignRoot() }),
        Authorities.foreignRoot(),
      ],
      "SELF_SIGNED_CERT_IN_CHAIN",
    ),
    shows(
      "a certificate without the one in between",
      (host) => [goodChain(host)[0]],
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      // Node 22 as a server goes on to send what it sent first.
      { when: "first", certificate: (host) => [goodChain(host)[0]] },
    ),
    shows(
      "a certificate that has expired",
      chainWith(() => ({ notBefore: Date.now() - 2 * hour, notAfter: Date.now() - hour })),
      "CERT_HAS_EXPIRED",
    ),
    shows(
      "a certificate of tomorrow",
      chainWith(() => ({ notBefore: Date.now() + hour, notAfter: Date.now() + 2 * hour })),
      "CERT_NOT_YET_VALID",
    ),
    shows(
      "a certificate that another server's key has signed",
      (host) => {
        const issuer = goodChain("other.test")[0]
        return [makeCertificate({ commonName: host, hosts: [host], issuer }), ...goodChain("other.test")]
      },
      undefined,
    ),
    shows(
      "a certificate with the right issuer's name and another's signature",
      chainWith(() => ({ signWith: makeKey() })),
      "CERT_SIGNATURE_FAILURE",
    ),
    shows(
      "a certificate of an authority by the name of a trusted one",
      (host) => {
        const root = makeCertificate({ commonName: Authorities.root().commonName })
        return [makeCertificate({ commonName: host, hosts: [host], issuer: root }), root]
      },
      undefined,
    ),
    shows(
      "a chain whose authority in between has expired",
      (host) => {
        const issuer = makeCertificate({
          commonName: "Expired intermediate",
          issuer: Authorities.root(),
          notBefore: Date.now() - 2 * hour,
          notAfter: Date.now() - hour,
        })
        return [makeCertificate({ commonName: host, hosts: [host], issuer }), issuer]
      },
      "CERT_HAS_EXPIRED",
    ),
  ),
  ...about(
    "tls_host",
    ...(
      [
        ["of another host", ["other.test"]],
        ["of a host that only ends like this one", ["evilidp.test"]],
        ["of a host under this one", ["www.idp.test"]],
        ["of everything under a top-level domain", ["*.test"]],
        ["of everything under this host", ["*.idp.test"]],
        ["of everything", ["*"]],
        ["of a name that a NUL ends for some", ["idp.test\0.evil.test"]],
        ["of the address alone", ["127.0.0.1"]],
      ] as const
    ).map(([what, hosts]) =>
      shows(`a certificate ${what}`, chainWith({ commonName: "A server", hosts }), "ERR_TLS_CERT_ALTNAME_INVALID"),
    ),
    shows(
      "a certificate of another host whose common name is this one",
      chainWith({ commonName: "idp.test", hosts: ["other.test"] }),
      "ERR_TLS_CERT_ALTNAME_INVALID",
    ),
    ...[[], ownPin()].map((pinnedSpki): CaseOf => ({
      // Node 26 crashes where it makes an object of one.
      title: `a good certificate beside one whose curve has no name of NIST's${pinnedSpki.length > 0 ? ", under a pin" : ""}`,
      scheme: "https",
      when: "first",
      certificate: (host) => [...goodChain(host), oddCurve()],
      registration: { pinnedSpki },
      expected: holds("static-2"),
    })),
    {
      title: "a redirect to a host that shows the certificate of the first",
      scheme: "https",
      certificate: () => goodChain("idp.test"),
      answer: toOther,
      expected: fails("TransportFailed", "(ERR_TLS_CERT_ALTNAME_INVALID)"),
    },
  ),
  ...about(
    "tls_host_settings",
    {
      title: "a redirect to a host whose authority is trusted for the first host alone",
      scheme: "https",
      certificate: (host) => [makeCertificate({ commonName: host, hosts: [host], issuer: Authorities.foreignRoot() })],
      http: () => ({ hosts: { "idp.test": { ca: Authorities.foreignRoot().pem } } }),
      answer: toOther,
      expected: fails("TransportFailed", "(UNABLE_TO_VERIFY_LEAF_SIGNATURE)"),
    },
    {
      title: "a redirect to a host that asks for the certificate that is meant for the first",
      scheme: "https",
      asksForCertificate: true,
      http: () => ({
        hosts: {
          "idp.test": { clientCertificate: { cert: Authorities.client().pem, key: Authorities.client().keyPem } },
        },
      }),
      reaches: ["other.test"],
      answer: (asked, place) => {
        // The first host has to see it, the second must not.
        if ((asked.host === "idp.test") !== (asked.clientName === "the client")) return response({ status: 418 })
        return typeof toOther === "function" ? toOther(asked, place) : []
      },
      expected: holds("static-2"),
    },
  ),
  ...about(
    "pins_match",
    pinned("a server whose key is not pinned", () => [foreignPin], { expected: mismatch }),
    pinned("a server that changes its key, where only the old one is pinned", ownPin, {
      when: "refresh",
      certificate: (host, isLying) => (isLying ? chainWith({})(host) : goodChain(host)),
      expected: mismatch,
    }),
    pinned(
      "a server that moves to another authority, where its old one is pinned",
      () => [goodChain("idp.test")[1]?.pin ?? ""],
      {
        when: "refresh",
        certificate: (host, isLying) =>
          isLying ? chainWith({ issuer: Authorities.otherRoot() })(host) : goodChain(host),
        expected: mismatch,
      },
    ),
    pinned("a server that rolls over to the second pin is believed", () => [...ownPin(), Authorities.spareKeyPin()], {
      when: "refresh",
      certificate: (host, isLying) =>
        isLying ? chainWith({ privateKey: Authorities.spareKey() })(host) : goodChain(host),
      expected: holds("static-2"),
    }),
    pinned("a pinned key under a certificate that has expired", () => [Authorities.spareKeyPin()], {
      certificate: chainWith(() => ({
        privateKey: Authorities.spareKey(),
        notBefore: Date.now() - 2 * hour,
        notAfter: Date.now() - hour,
      })),
      expected: fails("TransportFailed", "(CERT_HAS_EXPIRED)"),
    }),
    pinned("a pinned key under a certificate of another host", () => [Authorities.spareKeyPin()], {
      certificate: chainWith({ privateKey: Authorities.spareKey(), hosts: ["other.test"] }),
      expected: fails("TransportFailed", "(ERR_TLS_CERT_ALTNAME_INVALID)"),
    }),
    pinned("a pinned key under a certificate that vouches for itself", () => [Authorities.spareKeyPin()], {
      certificate: (host) => [makeCertificate({ commonName: host, hosts: [host], privateKey: Authorities.spareKey() })],
      expected: fails("TransportFailed", "(DEPTH_ZERO_SELF_SIGNED_CERT)"),
    }),
  ),
  ...about(
    "pins_verified_path",
    pinned("a server of another trusted authority that sends the pinned one along", () => [Authorities.root().pin], {
      certificate: (host) => [
        makeCertificate({ commonName: host, hosts: [host], issuer: Authorities.otherRoot() }),
        Authorities.root(),
      ],
      expected: mismatch,
    }),
    pinned("a server that sends a pinned authority along by the name of its own", () => [Authorities.namesake().pin], {
      certificate: (host) => [
        makeCertificate({ commonName: host, hosts: [host], issuer: Authorities.otherRoot() }),
        Authorities.namesake(),
      ],
      expected: mismatch,
    }),
    pinned("a server that sends the pinned server's certificate along", ownPin, {
      certificate: (host) => [
        makeCertificate({ commonName: host, hosts: [host], issuer: Authorities.otherRoot() }),
        goodChain("idp.test")[0],
      ],
      expected: mismatch,
    }),
  ),
  ...about(
    "pins_trust_store_first",
    pinned("a server that has its authority vouched for by the pinned one too", () => [Authorities.root().pin], {
      certificate: (host) => [...crossSigned(host, Authorities.root()), Authorities.root()],
      expected: mismatch,
    }),
    pinned("a server that has its authority vouched for by a stranger's", () => [Authorities.foreignRoot().pin], {
      certificate: (host) => [...crossSigned(host, Authorities.foreignRoot()), Authorities.foreignRoot()],
      expected: mismatch,
    }),
  ),
  ...about(
    "pins_every_hop",
    pinned("a redirect from a pinned host to one with another key", ownPin, {
      when: "refresh",
      answer: toOther,
      expected: mismatch,
    }),
    pinned(
      "a redirect from a pinned host to one whose key is pinned as well",
      () => [...ownPin(), goodChain("other.test")[0].pin],
      {
        when: "refresh",
        reaches: ["other.test"],
        answer: toOther,
        expected: holds("static-2"),
      },
    ),
    pinned("metadata of a pinned issuer that lead to a host with another key", ownPin, {
      registration: ({ url }) => ({ issuer: url(""), pinnedSpki: ownPin() }),
      answer: ({ target }, { url }) =>
        target === "/jwks"
          ? jwks(goodKeys(1, 2))
          : response({ body: JSON.stringify({ issuer: url(""), jwks_uri: url("/jwks", { host: "other.test" }) }) }),
      expected: mismatch,
    }),
  ),
  ...about(
    "pins_attested",
    pinned("a client that makes responses anew", ownPin, {
      wrap: (client) =>
        HttpClient.transformResponse(client, (answer) =>
          Effect.map(answer, (answered) => HttpClientResponse.fromWeb(answered.request, new Response(goodBody()))),
        ),
      expected: mismatch,
    }),
    pinned("a client in place of the transport that answers by itself", ownPin, {
      wrap: () =>
        HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, new Response(goodBody())))),
      expected: mismatch,
    }),
    pinned("a client that makes a refusal anew, which is not read either", ownPin, {
      wrap: (client) =>
        HttpClient.transformResponse(client, (answer) =>
          Effect.map(answer, (answered) =>
            HttpClientResponse.fromWeb(
              answered.request,
              new Response(null, { status: 302, headers: { location: "/x" } }),
            ),
          ),
        ),
      expected: mismatch,
    }),
  ),
  ...about(
    "pins_attested_which",
    pinned("a client that asks the transport for pins of its own", () => [foreignPin], {
      wrap: (client) =>
        HttpClient.transformResponse(client, (answer) =>
          Effect.flatMap(TransportDemand, ({ allowPrivateAddresses, attest }) =>
            Effect.provideService(answer, TransportDemand, { pins: ownPin(), allowPrivateAddresses, attest }),
          ),
        ),
      expected: mismatch,
    }),
    pinned("a client that attests without a word about which", ownPin, {
      wrap: () =>
        HttpClient.make((request) =>
          Effect.map(TransportDemand, ({ attest }) => {
            const answered = HttpClientResponse.fromWeb(request, new Response(goodBody()))
            attest(answered, [])
            return answered
          }),
        ),
      expected: mismatch,
    }),
  ),
  ...about("pins_transport", {
    title: "pins are registered over the stock fetch client, which looks at no key",
    via: "fetch",
    registration: { jwksUrl: "https://127.0.0.1/jwks", pinnedSpki: [foreignPin] },
    expected: refusesRegistration("pinnedSpki", "the HTTP client can not enforce pins"),
  }),
  ...about("pins_need_https", {
    title: "pins are registered for http",
    registration: { pinnedSpki: [foreignPin] },
    expected: refusesRegistration("pinnedSpki", "needs https"),
  }),
  ...about(
    "pins_form",
    ...(
      [
        ["in the form of a header", `sha256/${foreignPin}`],
        ["in hexadecimal", "ab".repeat(32)],
        ["of 31 bytes", Buffer.alloc(31).toString("base64")],
        ["with bits that no byte needs", `${"A".repeat(42)}B=`],
        ["in base64url", `${"-".repeat(43)}=`],
        ["that is empty", ""],
      ] as const
    ).map(([what, pin]): CaseOf => ({
      title: `a pin ${what}`,
      scheme: "https",
      registration: { pinnedSpki: [pin] },
      expected: refusesRegistration("pinnedSpki[0]", "must be the base64 SHA-256 digest"),
    })),
  ),
  ...about(
    "pins_of_operator",
    {
      title: "a registration with pins of its own where the operator names some",
      scheme: "https",
      options: () => ({ limits: { pinnedSpki: ownPin() } }),
      registration: { pinnedSpki: [foreignPin] },
      expected: refusesRegistration("pinnedSpki", "must only name"),
    },
    {
      title: "a registration without pins, which takes the operator's away",
      scheme: "https",
      options: () => ({ limits: { pinnedSpki: ownPin() } }),
      registration: { pinnedSpki: [] },
      expected: refusesRegistration("pinnedSpki", "must name a pin"),
    },
    {
      title: "a registration that says nothing about pins has the operator's",
      scheme: "https",
      when: "first",
      options: { limits: { pinnedSpki: [foreignPin] } },
      expected: mismatch,
    },
  ),
  ...about(
    "pool_separation",
    pinned(
      "a pinned provider finds a connection of a neighbour without pins to a server with another key",
      () => [foreignPin],
      {
        neighbour: { pinnedSpki: [] },
        keepsAlive: true,
        expected: mismatch,
      },
    ),
    pinned("a pinned provider finds a connection of a neighbour without pins to its own server", ownPin, {
      neighbour: { pinnedSpki: [] },
      keepsAlive: true,
      expected: holds("static-2"),
    }),
    pinned("a provider without pins finds a connection of a pinned neighbour", () => [], {
      neighbour: { pinnedSpki: ownPin() },
      keepsAlive: true,
      expected: holds("static-2"),
    }),
  ),
  ...about("session_resumption", {
    ...pinned("a server that offers to resume the neighbour's TLS session", ownPin, { expected: holds("static-2") }),
    neighbour: { pinnedSpki: [] },
  }),
  ...about(
    "proxy_tunnel",
    ...(
      [
        ["407", "Proxy Authentication Required"],
        ["403", "Forbidden"],
        ["500", "Internal Server Error"],
        ["302", "Found"],
      ] as const
    ).map(([status, phrase]): CaseOf => ({
      title: `a proxy that answers ${status} ${phrase}, and then what looks like a set`,
      retryPolicy: oneAttempt,
      via: "proxy",
      when: "first",
      proxyAnswer: [send(`HTTP/1.1 ${status} ${phrase}\r\n\r\n`), ...jwks(goodKeys(1, 2))],
      expected: fails("TransportFailed", `(ERR_PROXY_TUNNEL_${status})`),
    })),
  ),
]
