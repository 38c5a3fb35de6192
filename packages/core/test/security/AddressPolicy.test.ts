import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { addressRule, addressRuleOf } from "../../src/security/AddressPolicy.ts"

/** The host as a URL gives it, whatever its spelling. */
const hostOf = (host: string): string => new URL(`https://${host}/`).hostname

describe("addressRule", () => {
  it.each([
    ["0.0.0.0", "unspecified"],
    ["0.1.2.3", "'this network'"],
    ["127.0.0.1", "loopback"],
    ["127.255.255.255", "loopback"],
    ["10.0.0.1", "private"],
    ["172.16.0.1", "private"],
    ["172.31.255.255", "private"],
    ["192.168.1.1", "private"],
    ["100.64.0.1", "carrier-grade NAT"],
    ["100.127.255.255", "carrier-grade NAT"],
    ["169.254.1.1", "link-local"],
    ["169.254.169.254", "cloud metadata"],
    ["169.254.170.2", "cloud metadata"],
    ["100.100.100.200", "cloud metadata"],
    ["168.63.129.16", "cloud metadata"],
    ["192.0.0.192", "cloud metadata"],
    ["192.0.0.1", "protocol assignment"],
    ["192.0.2.1", "documentation"],
    ["198.51.100.1", "documentation"],
    ["203.0.113.1", "documentation"],
    ["198.18.0.1", "benchmarking"],
    ["198.19.255.255", "benchmarking"],
    ["192.88.99.1", "6to4 relay"],
    ["224.0.0.1", "multicast"],
    ["239.255.255.255", "multicast"],
    ["240.0.0.1", "reserved"],
    ["255.255.255.255", "broadcast"],
    ["[::]", "unspecified"],
    ["[::1]", "loopback"],
    ["[fe80::1]", "link-local"],
    ["[febf::1]", "link-local"],
    ["[fec0::1]", "site-local"],
    ["[fc00::1]", "unique-local"],
    ["[fdff::1]", "unique-local"],
    ["[fd00:ec2::254]", "cloud metadata"],
    ["[fd20:ce::254]", "cloud metadata"],
    ["[ff02::1]", "multicast"],
    ["[2001:db8::1]", "documentation"],
    ["[3fff::1]", "documentation"],
    ["[2001:2::1]", "benchmarking"],
    ["[100::1]", "discard-only"],
    ["[64:ff9b:1::808:808]", "local NAT64"],
  ])("refuses %s as a %s address", (host, what) => {
    assert.match(addressRule(hostOf(host), false) ?? "allowed", new RegExp(`^${what} address \\(`))
  })

  it.each([
    ["2130706433", "one number"],
    ["0x7f000001", "hexadecimal"],
    ["0x7f.1", "two parts"],
    ["0177.0.0.1", "octal"],
    ["127.1", "two decimal parts"],
    ["127.0.0.1.", "a trailing dot"],
    ["１２７.０.０.１", "full-width digits"],
    ["127%2e0%2e0%2e1", "percent-encoded dots"],
  ])("sees through %s (%s)", (host) => {
    assert.match(addressRule(hostOf(host), false) ?? "allowed", /^loopback address/)
  })

  it.each(["0x7f.1", "2130706433", "0177.0.0.1", "256.256.256.256", "host.1"])(
    "refuses %s even where no URL parser has canonicalised it",
    (host) => assert.strictEqual(addressRule(host, false), "no IP address"),
  )

  it.each([
    ["[::ffff:127.0.0.1]", "IPv4-mapped form of a loopback address"],
    ["[::ffff:a9fe:a9fe]", "IPv4-mapped form of a cloud metadata address"],
    ["[::ffff:0:10.0.0.1]", "IPv4-translated form of a private address"],
    ["[::10.0.0.1]", "IPv4-compatible form of a private address"],
    ["[64:ff9b::10.0.0.1]", "NAT64 form of a private address"],
    ["[64:ff9b::169.254.169.254]", "NAT64 form of a cloud metadata address"],
    ["[2002:7f00:1::]", "6to4 form of a loopback address"],
    ["[2002:c0a8:101::1]", "6to4 form of a private address"],
    ["[2001:0:808:808::f5ff:fffe]", "Teredo form of a private address"],
    ["[2001:0:7f00:1::f7f7:f7f7]", "Teredo form of a loopback address"],
  ])("refuses %s: %s", (host, rule) => {
    assert.include(addressRule(hostOf(host), false) ?? "allowed", rule)
  })

  it.each([
    ["localhost", "the name localhost is local"],
    ["LOCALHOST.", "the name localhost is local"],
    ["app.localhost", "names under .localhost are local"],
    ["printer.local", "names under .local are local"],
    ["printer.local.", "names under .local are local"],
    ["Metadata.Google.Internal", "names under .internal are local"],
    ["kubernetes.default.svc.cluster.local", "names under .local are local"],
  ])("refuses %s: %s", (host, rule) => assert.strictEqual(addressRule(host, false), rule))

  it("refuses an empty host", () => assert.strictEqual(addressRule("", false), "no host"))

  it.each([
    "example.com",
    "login.microsoftonline.com",
    "localhost.example.com",
    "notlocalhost",
    "mylocal",
    "internal.example",
    "xn--bcher-kva.example",
    "1.1.1.1",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "169.253.0.1",
    "192.0.1.1",
    "198.17.0.1",
    "198.20.0.1",
    "223.255.255.255",
    "[2606:4700:4700::1111]",
    "[2001:4860:4860::8888]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::8.8.8.8]",
    "[2002:808:808::1]",
  ])("allows %s", (host) => assert.isUndefined(addressRule(hostOf(host), false)))

  it("allows every host with the exemption `true`", () => {
    for (const host of ["127.0.0.1", "[::1]", "localhost", "169.254.169.254"]) {
      assert.isUndefined(addressRule(host, true), host)
    }
  })

  it.each([
    ["localhost", "LocalHost."],
    ["127.0.0.1", "127.0.0.1"],
    ["[::1]", "::1"],
    ["[::1]", "[::1]"],
    ["idp.internal", "IDP.internal"],
  ])("allows %s where %s is exempt", (host, exempt) => assert.isUndefined(addressRule(host, ["other.local", exempt])))

  it("exempts equal hosts only", () => {
    for (const host of ["127.0.0.2", "a.localhost", "[::ffff:7f00:1]"]) {
      assert.isString(addressRule(host, ["127.0.0.1", "localhost"]), host)
    }
    assert.isString(addressRule("127.0.0.1", []))
  })
})

describe("addressRuleOf", () => {
  it.each(["127.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "[::1]", "169.254.169.254"])(
    "refuses the resolved address %s",
    (ip) => assert.isString(addressRuleOf(ip)),
  )

  it.each(["93.184.215.14", "2606:4700::1111", "::ffff:93.184.215.14", "2606:4700::1111%2"])(
    "allows the resolved address %s",
    (ip) => assert.isUndefined(addressRuleOf(ip)),
  )

  it.each(["", "example.com", "localhost", "1.2.3", "1.2.3.4.5", "::g", "01.2.3.4"])(
    "refuses what is no address: '%s'",
    (text) => assert.strictEqual(addressRuleOf(text), "no IP address"),
  )

  const octet = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))

  it.prop(
    "judges an IPv4 address the same in each form that embeds it",
    { a: octet, b: octet, c: octet, d: octet },
    ({ a, b, c, d }) => {
      const plain = addressRuleOf(`${a}.${b}.${c}.${d}`)
      const word = (high: number, low: number) => (high * 256 + low).toString(16)
      const flipped = `${word(a ^ 255, b ^ 255)}:${word(c ^ 255, d ^ 255)}`
      const forms = [
        `::ffff:${a}.${b}.${c}.${d}`,
        `::ffff:0:${a}.${b}.${c}.${d}`,
        `64:ff9b::${a}.${b}.${c}.${d}`,
        `2002:${word(a, b)}:${word(c, d)}::1`,
        `2001:0:101:101:0:0:${flipped}`,
      ]
      for (const form of forms) assert.strictEqual(addressRuleOf(form) === undefined, plain === undefined, form)
    },
  )

  it.prop("never throws, and refuses text that is no address", { text: Schema.String }, ({ text }) => {
    addressRule(text, false)
    addressRuleOf(text)
  })
})
