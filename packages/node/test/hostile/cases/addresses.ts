/**
 * Ways to make this process talk to itself, to its network or to its cloud. Everything but the look-ups goes
 * through a proxy on loopback, which would connect whatever address it is given: nothing else answers for them.
 */
import type { LookupFunction } from "node:net"
import { goodKeys, jwks, redirect } from "../Answer.ts"
import type { GuardName } from "../guards.ts"
import { about, type CaseOf, fails, type HostileCase, holds } from "../HostileCase.ts"

/** The provider redirects to this host. */
const redirectTo = (host: string, rule: string): CaseOf => ({
  title: `a redirect to ${host}`,
  via: "proxy",
  answer: ({ host: asked }) => (asked === "idp.test" ? redirect(`http://${host}/jwks`) : jwks(goodKeys(1, 2))),
  expected: fails("AddressRefused", rule),
})

/** This host itself is registered. */
const registered = (host: string, rule: string): CaseOf => ({
  title: `${host} is registered`,
  via: "proxy",
  when: "first",
  registration: { jwksUrl: `http://${host}/jwks` },
  expected: fails("AddressRefused", rule),
})

const literals: Readonly<Partial<Record<GuardName, ReadonlyArray<CaseOf>>>> = {
  address_loopback: [
    redirectTo("127.0.0.1", "loopback address"),
    redirectTo("127.255.255.254", "loopback address"),
    redirectTo("[::1]", "loopback address"),
    redirectTo("[0:0:0:0:0:0:0:1]", "loopback address"),
    // Spellings that a URL parser turns into 127.0.0.1.
    registered("127.1", "loopback address"),
    registered("2130706433", "loopback address"),
    registered("0x7f.0x0.0x0.0x1", "loopback address"),
    registered("0177.0.0.1", "loopback address"),
    registered("127.0.0.1.", "loopback address"),
    registered("%31%32%37.0.0.1", "loopback address"),
    registered("１２７.０.０.１", "loopback address"),
  ],
  address_unspecified: [
    redirectTo("0.0.0.0", "unspecified address"),
    redirectTo("0", "unspecified address"),
    redirectTo("[::]", "unspecified address"),
  ],
  address_this_network: [redirectTo("0.1.2.3", "'this network' address")],
  address_metadata: [
    redirectTo("169.254.169.254", "cloud metadata address"),
    redirectTo("169.254.170.2", "cloud metadata address"),
    redirectTo("169.254.170.23", "cloud metadata address"),
    redirectTo("100.100.100.200", "cloud metadata address"),
    registered("2852039166", "cloud metadata address"),
  ],
  address_metadata_public: [
    // Inside networks that are otherwise public or unique-local.
    redirectTo("168.63.129.16", "cloud metadata address"),
    redirectTo("192.0.0.192", "cloud metadata address"),
    redirectTo("[fd00:ec2::254]", "cloud metadata address"),
    redirectTo("[fd20:ce::254]", "cloud metadata address"),
  ],
  address_private: [
    redirectTo("10.0.0.1", "private address"),
    redirectTo("172.16.0.1", "private address"),
    redirectTo("172.31.255.255", "private address"),
    redirectTo("192.168.1.1", "private address"),
  ],
  address_cgnat: [redirectTo("100.64.0.1", "carrier-grade NAT address"), redirectTo("100.127.255.255", "NAT address")],
  address_link_local: [redirectTo("169.254.1.1", "link-local address"), redirectTo("[fe80::1]", "link-local address")],
  address_site_local: [redirectTo("[fec0::1]", "site-local address")],
  address_unique_local: [redirectTo("[fc00::1]", "unique-local address"), redirectTo("[fd12:3456::1]", "unique-local")],
  address_multicast: [redirectTo("224.0.0.1", "multicast address"), redirectTo("[ff02::1]", "multicast address")],
  address_reserved: [redirectTo("240.0.0.1", "reserved address"), redirectTo("255.255.255.254", "reserved address")],
  address_broadcast: [redirectTo("255.255.255.255", "broadcast address")],
  address_special_purpose: [
    redirectTo("192.0.0.1", "protocol assignment address"),
    redirectTo("192.88.99.1", "6to4 relay address"),
    redirectTo("198.18.0.1", "benchmarking address"),
    redirectTo("[2001:2::1]", "benchmarking address"),
    redirectTo("[100::1]", "discard-only address"),
    redirectTo("[5f00::1]", "segment routing address"),
    redirectTo("[64:ff9b:1::1]", "local NAT64 address"),
  ],
  address_documentation: [
    redirectTo("192.0.2.1", "documentation address"),
    redirectTo("198.51.100.1", "documentation address"),
    redirectTo("203.0.113.1", "documentation address"),
    redirectTo("[2001:db8::1]", "documentation address"),
    redirectTo("[3fff::1]", "documentation address"),
  ],
  address_ipv4_mapped: [
    redirectTo("[::ffff:127.0.0.1]", "IPv4-mapped form of a loopback address"),
    redirectTo("[::ffff:a9fe:a9fe]", "IPv4-mapped form of a cloud metadata address"),
  ],
  address_ipv4_compatible: [redirectTo("[::127.0.0.1]", "IPv4-compatible form of a loopback address")],
  address_ipv4_translated: [redirectTo("[::ffff:0:10.0.0.1]", "IPv4-translated form of a private address")],
  address_nat64: [redirectTo("[64:ff9b::169.254.169.254]", "NAT64 form of a cloud metadata address")],
  address_6to4: [redirectTo("[2002:7f00:1::]", "6to4 form of a loopback address")],
  address_teredo: [
    redirectTo("[2001:0:a00:1::1]", "Teredo form of a private address"),
    redirectTo("[2001:0:808:808::80ff:fffe]", "Teredo form of a loopback address"),
  ],
  address_local_names: [
    redirectTo("localhost", "the name localhost is local"),
    redirectTo("LOCALHOST.", "the name localhost is local"),
    redirectTo("idp.localhost", "names under .localhost are local"),
    redirectTo("printer.local", "names under .local are local"),
    redirectTo("metadata.google.internal", "names under .internal are local"),
    registered("localhost", "the name localhost is local"),
    registered("ｌｏｃａｌｈｏｓｔ", "the name localhost is local"),
  ],
}

/** Every look-up has this answer. */
const resolvesTo =
  (address: string): LookupFunction =>
  (hostname, _options, callback) =>
    queueMicrotask(() =>
      callback(null, [
        hostname === "idp.test"
          ? { address: "127.0.0.1", family: 4 }
          : { address, family: address.includes(":") ? 6 : 4 },
      ]),
    )

/** The provider redirects to a name that only it knows the address of. */
const toName = (title: string, rest: Pick<CaseOf, "expected"> & Partial<CaseOf>): CaseOf => ({
  title,
  options: { allowPrivateAddresses: ["idp.test"] },
  answer: ({ host }, { url }) =>
    host === "idp.test" ? redirect(url("/jwks", { host: "other.test" })) : jwks(goodKeys(1, 2)),
  ...rest,
})

/** Public when it is checked, and this machine when it is connected to. */
const turncoat: LookupFunction = (hostname, _options, callback) => {
  let reads = 0
  callback(null, [
    {
      family: 4,
      get address() {
        reads += 1
        return hostname === "idp.test" || reads > 1 ? "127.0.0.1" : "192.0.43.8"
      },
    },
  ])
}

export const addressCases: ReadonlyArray<HostileCase> = [
  ...(Object.entries(literals) as ReadonlyArray<[GuardName, ReadonlyArray<CaseOf>]>).flatMap(([guard, cases]) =>
    about(guard, ...cases),
  ),
  ...about("address_exempt_host", {
    ...redirectTo("10.0.0.1", "private address"),
    title: "a redirect from an exempt address to one that is not",
    options: { allowPrivateAddresses: ["10.0.0.2"] },
  }),
  ...about(
    "address_of_hop",
    {
      title: "a redirect to this machine over a transport that would allow it",
      options: { allowPrivateAddresses: ["idp.test"] },
      http: { allowPrivateAddresses: true },
      answer: ({ host }, { url }) =>
        host === "idp.test" ? redirect(url("/jwks", { host: "127.0.0.1" })) : jwks(goodKeys(1, 2)),
      expected: fails("AddressRefused", "loopback address"),
    },
    {
      title: "a redirect to this machine with the stock fetch client, which checks nothing",
      via: "fetch",
      options: { allowPrivateAddresses: ["127.0.0.1"] },
      answer: ({ host }, { url }) =>
        host === "127.0.0.1" ? redirect(url("/jwks", { host: "localhost" })) : jwks(goodKeys(1, 2)),
      expected: fails("AddressRefused", "the name localhost is local"),
    },
  ),
  ...about("first_url_checked", {
    title: "this machine is registered over a transport that would allow it",
    when: "first",
    options: { allowPrivateAddresses: [] },
    http: { allowPrivateAddresses: true },
    registration: ({ url }) => ({ jwksUrl: url("/jwks", { host: "127.0.0.1" }) }),
    expected: fails("AddressRefused", "loopback address"),
  }),
  ...about(
    "address_resolved",
    toName("a redirect to a public name that resolves to this machine", {
      expected: fails("AddressRefused", "it resolves to a loopback address"),
    }),
    ...(
      [
        ["::1", "a loopback address"],
        ["::ffff:127.0.0.1", "an IPv4-mapped form of a loopback address"],
        ["0.0.0.0", "an unspecified address"],
        ["127.0.0.53", "a loopback address"],
      ] as const
    ).map(([address, what]) =>
      toName(`a redirect to a public name that resolves to ${address}`, {
        http: { lookup: resolvesTo(address) },
        expected: fails("AddressRefused", `it resolves to ${what}`),
      }),
    ),
    toName("a redirect to a public name whose resolver answers with no address", {
      http: { lookup: resolvesTo("idp.test") },
      expected: fails("AddressRefused", "it resolves to no IP address"),
    }),
    toName("a redirect from an exempt host to a name that resolves to the same machine, over https", {
      scheme: "https",
      expected: fails("AddressRefused", "it resolves to a loopback address"),
    }),
    toName("a redirect to a name that is exempt as well is followed", {
      options: { allowPrivateAddresses: ["idp.test", "other.test"] },
      reaches: ["other.test"],
      expected: holds("static-2"),
    }),
  ),
  ...about(
    "address_connected",
    toName("a redirect to a name whose address changes between the check and the connection", {
      http: { lookup: turncoat },
      expected: fails("AddressRefused", "it leads to a loopback address"),
    }),
    toName("the same over https", {
      scheme: "https",
      http: { lookup: turncoat },
      expected: fails("AddressRefused", "it leads to a loopback address"),
    }),
  ),
]
