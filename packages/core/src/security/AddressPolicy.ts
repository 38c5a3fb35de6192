/**
 * Which addresses and host names a fetch may not reach: whoever may register a URL, or answer with a
 * redirect, must not be able to make this process talk to itself, to its network or to the metadata
 * service of its cloud.
 *
 * The networks are those of the IANA special-purpose registries (RFC 6890) that are not meant to be
 * reached from the public internet, and the addresses at which clouds keep credentials.
 */
import * as Result from "effect/Result"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import { bareHost, isOneOf } from "./Host.ts"

interface SpecialNetwork {
  readonly rule: string
  readonly network: IpNetwork.IpNetwork
}

const special = (what: string, ...cidrs: ReadonlyArray<string>): ReadonlyArray<SpecialNetwork> =>
  cidrs.map((cidr) => ({ rule: `${what} address (${cidr})`, network: IpNetwork.fromStringUnsafe(cidr) }))

/** The first match names the rule, so the narrow ones come first. */
const specialNetworks: ReadonlyArray<SpecialNetwork> = [
  // AWS, GCP and Azure; AWS containers; Alibaba; Azure's wire server; Oracle; AWS and GCP over IPv6.
  ...special("cloud metadata", "169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "100.100.100.200/32"),
  ...special("cloud metadata", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::/32", "fd20:ce::254/128"),
  ...special("unspecified", "0.0.0.0/32", "::/128"),
  ...special("'this network'", "0.0.0.0/8"), // RFC 791 section 3.2
  ...special("loopback", "127.0.0.0/8", "::1/128"),
  ...special("private", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"), // RFC 1918
  ...special("carrier-grade NAT", "100.64.0.0/10"), // RFC 6598
  ...special("link-local", "169.254.0.0/16", "fe80::/10"), // RFC 3927, RFC 4291 section 2.5.6
  ...special("site-local", "fec0::/10"), // RFC 3879
  ...special("unique-local", "fc00::/7"), // RFC 4193
  ...special("multicast", "224.0.0.0/4", "ff00::/8"),
  ...special("broadcast", "255.255.255.255/32"),
  ...special("reserved", "240.0.0.0/4"), // RFC 1112 section 4
  ...special("protocol assignment", "192.0.0.0/24"), // RFC 6890
  ...special("6to4 relay", "192.88.99.0/24"), // RFC 7526
  ...special("benchmarking", "198.18.0.0/15", "2001:2::/48"), // RFC 2544, RFC 5180
  ...special("documentation", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"), // RFC 5737
  ...special("documentation", "2001:db8::/32", "3fff::/20"), // RFC 3849, RFC 9637
  ...special("discard-only", "100::/64"), // RFC 6666
  ...special("segment routing", "5f00::/16"), // RFC 9602
  // Where in it the IPv4 address sits is up to the local network (RFC 8215), so all of it is local.
  ...special("local NAT64", "64:ff9b:1::/48"),
]

interface Embedding {
  readonly form: string
  readonly network: IpNetwork.IpNetwork
  /** The IPv4 addresses that stand for the host, as octets. */
  readonly ipv4: (octets: ReadonlyArray<number>) => ReadonlyArray<ReadonlyArray<number>>
}

const lastFour = (octets: ReadonlyArray<number>) => [octets.slice(12)]

/** Forms of IPv6 that a router or the operating system turns into IPv4. */
const embeddings: ReadonlyArray<Embedding> = [
  // RFC 4291 sections 2.5.5.2 and 2.5.5.1
  { form: "IPv4-mapped", network: IpNetwork.fromStringUnsafe("::ffff:0:0/96"), ipv4: lastFour },
  { form: "IPv4-compatible", network: IpNetwork.fromStringUnsafe("::/96"), ipv4: lastFour },
  // RFC 2765 section 2.1
  { form: "IPv4-translated", network: IpNetwork.fromStringUnsafe("::ffff:0:0:0/96"), ipv4: lastFour },
  // RFC 6052 section 2.1
  { form: "NAT64", network: IpNetwork.fromStringUnsafe("64:ff9b::/96"), ipv4: lastFour },
  // RFC 3056 section 2
  { form: "6to4", network: IpNetwork.fromStringUnsafe("2002::/16"), ipv4: (octets) => [octets.slice(2, 6)] },
  // RFC 4380 section 4: the server, and the client with its bits flipped
  {
    form: "Teredo",
    network: IpNetwork.fromStringUnsafe("2001::/32"),
    ipv4: (octets) => [octets.slice(4, 8), octets.slice(12).map((octet) => octet ^ 0xff)],
  },
]

const networkRule = (address: NetAddress.IpAddress): string | undefined =>
  specialNetworks.find(({ network }) => IpNetwork.contains(network, address))?.rule

const ipRule = (address: NetAddress.IpAddress): string | undefined => {
  const rule = networkRule(address)
  if (rule !== undefined || !NetAddress.isIpv6Address(address)) return rule
  const octets = NetAddress.ipv6ToOctets(address)
  for (const { form, ipv4, network } of embeddings) {
    if (!IpNetwork.contains(network, address)) continue
    for (const embedded of ipv4(octets)) {
      const inner = networkRule(NetAddress.ipv4FromBytesUnsafe(Uint8Array.from(embedded)))
      if (inner !== undefined) return `${form} form of a ${inner}`
    }
  }
  return undefined
}

/** Names that resolve to this machine or its network (RFC 6761 section 6.3, RFC 6762, ICANN's `.internal`). */
const privateName = /(?:^|\.)(localhost|local|internal)$/

/** A last label that is a number makes the name an IPv4 address (WHATWG URL, "ends in a number"). */
const endsInNumber = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/

/**
 * Why a resolved address may not be reached; `undefined` when it may.
 *
 * **Details**
 *
 * For transports, which alone know what a name resolved to. A zone (`%eth0`) is ignored; text that is
 * no IP address is refused.
 */
export const addressRuleOf = (ip: string): string | undefined =>
  Result.match(NetAddress.ipFromString(bareHost(ip).replace(/%.*$/, "")), {
    onFailure: () => "no IP address",
    onSuccess: ipRule,
  })

/**
 * Why a URL's host may not be reached; `undefined` when it may.
 *
 * **Details**
 *
 * `hostname` is as a WHATWG `URL` gives it: lower-case, IPv4 in four decimal parts however it was
 * spelled, IPv6 in brackets. `exempt` is the operator's `allowPrivateAddresses`: `true` allows every
 * host, a list those that are equal, case, brackets and a trailing dot aside.
 *
 * **Gotchas**
 *
 * A name that is allowed here may still resolve to a private address; see {@link addressRuleOf}.
 */
export const addressRule = (hostname: string, exempt: boolean | ReadonlyArray<string>): string | undefined => {
  if (isOneOf(hostname, exempt)) return undefined
  const host = bareHost(hostname)
  if (host === "") return "no host"
  const name = privateName.exec(host)?.[1]
  if (name !== undefined) return host === name ? `the name ${name} is local` : `names under .${name} are local`
  // A URL of the standard can not hold other spellings of IPv4; should one come through, it is not a name.
  return host.includes(":") || endsInNumber.test(host) ? addressRuleOf(host) : undefined
}
