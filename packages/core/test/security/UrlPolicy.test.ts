import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { canonicalDomain } from "../../src/security/Host.ts"
import { checkRedirect, checkUrl, type UrlPolicy } from "../../src/security/UrlPolicy.ts"

const policy = (options: Partial<UrlPolicy> = {}): UrlPolicy => ({
  requireHttps: true,
  allowedDomainLists: [],
  allowPrivateAddresses: false,
  ...options,
})

const check = (url: string, options: Partial<UrlPolicy> = {}) => checkUrl(new URL(url), policy(options))

const ruleOf = (url: string, options: Partial<UrlPolicy> = {}) => check(url, options)?.rule

describe("checkUrl", () => {
  it("allows an https URL with port and query", () => {
    assert.isUndefined(check("https://idp.example.com:8443/.well-known/jwks.json?p=b2c_1"))
  })

  it("refuses http unless the policy allows it", () => {
    assert.strictEqual(ruleOf("http://idp.example.com/"), "https is required")
    assert.isUndefined(check("http://idp.example.com/", { requireHttps: false }))
    assert.isUndefined(check("https://idp.example.com/", { requireHttps: false }))
  })

  it.each(["ftp://example.com/", "file:///etc/passwd", "data:text/plain,secret", "ws://example.com/", "javascript:1"])(
    "refuses %s, and shows its scheme alone",
    (url) => {
      const refused = check(url, { requireHttps: false, allowPrivateAddresses: true })
      assert.deepStrictEqual(refused, {
        _tag: "UrlRefused",
        url: new URL(url).protocol,
        rule: "only https and http are spoken",
      })
    },
  )

  it("refuses userinfo, and does not show it", () => {
    for (const url of ["https://user@example.com/", "https://user:pass@example.com/", "https://:pass@example.com/"]) {
      assert.deepStrictEqual(check(url), {
        _tag: "UrlRefused",
        url: "https://example.com/",
        rule: "a URL with userinfo is not fetched",
      })
    }
  })

  it("allows 2048 characters, refuses one more, and cuts it in the message", () => {
    const prefix = "https://example.com/"
    assert.isUndefined(check(prefix + "a".repeat(2048 - prefix.length)))
    const refused = check(prefix + "a".repeat(2049 - prefix.length))
    assert.deepStrictEqual(refused, {
      _tag: "UrlRefused",
      url: "https://example.com/…",
      rule: "a URL has at most 2048 characters",
    })
  })

  it("shows no query", () => {
    assert.deepStrictEqual(check("http://example.com/jwks?key=secret"), {
      _tag: "UrlRefused",
      url: "http://example.com/jwks",
      rule: "https is required",
    })
  })

  it("refuses special addresses and local names as AddressRefused", () => {
    assert.deepStrictEqual(check("https://127.0.0.1/jwks"), {
      _tag: "AddressRefused",
      host: "127.0.0.1",
      rule: "loopback address (127.0.0.0/8)",
    })
    assert.strictEqual(check("https://[::1]/")?._tag, "AddressRefused")
    assert.strictEqual(check("https://0x7f.1/")?._tag, "AddressRefused")
    assert.strictEqual(check("https://localhost./")?._tag, "AddressRefused")
  })

  it("exempts what the operator allows, and nothing else", () => {
    const exempt = { allowPrivateAddresses: ["127.0.0.1", "::1"] }
    assert.isUndefined(check("https://127.0.0.1:8443/", exempt))
    assert.isUndefined(check("https://[::1]/", exempt))
    assert.strictEqual(check("https://127.0.0.2/", exempt)?._tag, "AddressRefused")
    assert.isUndefined(check("https://10.0.0.1/", { allowPrivateAddresses: true }))
  })

  describe("allowed domains", () => {
    it.each([
      ["https://example.com/", "example.com"],
      ["https://EXAMPLE.com/", "Example.COM"],
      ["https://idp.eu.example.com/", "example.com"],
      ["https://example.com./", "example.com"],
      ["https://example.com/", "example.com."],
      ["https://bücher.example/", "xn--bcher-kva.example"],
      ["https://xn--bcher-kva.example/", "bücher.example"],
      ["https://sub.xn--bcher-kva.example/", "BÜCHER.example"],
      ["https://1.1.1.1/", "1.1.1.1"],
      ["https://[2606:4700::1111]/", "[2606:4700:0::1111]"],
    ])("allows %s under %s", (url, domain) => {
      assert.isUndefined(check(url, { allowedDomainLists: [[domain]] }))
    })

    it.each([
      ["https://notexample.com/", "example.com"],
      ["https://example.com.evil.org/", "example.com"],
      ["https://example.org/", "example.com"],
      ["https://com/", "example.com"],
      ["https://example.com../", "example.com"],
      ["https://idp.example.com/", "*.example.com"],
      ["https://idp.example.com/", ".example.com"],
      ["https://example.com/", "example.com:443"],
      ["https://example.com/", "example.com/path"],
      ["https://example.com/", "user@example.com"],
      ["https://example.com/", ""],
      ["https://example.com/", "."],
    ])("refuses %s under '%s'", (url, domain) => {
      assert.strictEqual(ruleOf(url, { allowedDomainLists: [[domain]] }), "the host is in no allowed domain")
    })

    it("wants one domain of every list, and an empty list adds nothing", () => {
      const lists = [["example.com", "example.org"], [], ["idp.example.com"]]
      assert.isUndefined(check("https://idp.example.com/", { allowedDomainLists: lists }))
      assert.isString(ruleOf("https://example.com/", { allowedDomainLists: lists }))
      assert.isString(ruleOf("https://idp.example.org/", { allowedDomainLists: lists }))
      assert.isUndefined(check("https://anything.example/", { allowedDomainLists: [[], []] }))
    })

    it("does not exempt an allowed host from the address rules", () => {
      assert.strictEqual(check("https://localhost/", { allowedDomainLists: [["localhost"]] })?._tag, "AddressRefused")
    })
  })
})

describe("canonicalDomain", () => {
  it.each([
    ["Example.COM.", "example.com"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["[::1]", "[::1]"],
    ["127.1", "127.0.0.1"],
  ])("reads %s as %s", (domain, canonical) => assert.strictEqual(canonicalDomain(domain), canonical))

  it.each(["", ".", ".a.b", "*.a.b", "a.b:1", "a.b/c", "a.b?c", "a.b#c", "u@a.b", "/a.b", "a b", "::1", "[::1]:80"])(
    "refuses '%s'",
    (domain) => assert.isUndefined(canonicalDomain(domain)),
  )
})

describe("checkRedirect", () => {
  const from = new URL("https://idp.example.com/tenant/jwks?key=secret")

  const follow = (location: string, options: Partial<UrlPolicy> = {}, base = from): string =>
    Result.match(checkRedirect(base, location, policy(options)), {
      onSuccess: (url) => url.href,
      onFailure: (refused) => `${refused._tag}: ${refused.rule}`,
    })

  it.each([
    ["https://other.example/keys", "https://other.example/keys"],
    ["/keys", "https://idp.example.com/keys"],
    ["keys", "https://idp.example.com/tenant/keys"],
    ["../keys", "https://idp.example.com/keys"],
    ["?page=2", "https://idp.example.com/tenant/jwks?page=2"],
    ["//other.example/keys", "https://other.example/keys"],
    ["/keys#part", "https://idp.example.com/keys"],
  ])("resolves %s to %s", (location, target) => assert.strictEqual(follow(location), target))

  it.each([
    ["", "RedirectRefused: its Location is empty"],
    ["/ключи", "RedirectRefused: its Location holds characters that no URI has"],
    ["//@other.example/keys", "RedirectRefused: its Location holds userinfo"],
    ["/a b", "RedirectRefused: its Location holds white space or control characters"],
    [" /a", "RedirectRefused: its Location holds white space or control characters"],
    ["/a\tb", "RedirectRefused: its Location holds white space or control characters"],
    ["/a\r\nSet-Cookie: x=1", "RedirectRefused: its Location holds white space or control characters"],
    ["/a\u0000", "RedirectRefused: its Location holds white space or control characters"],
    ["/a\u007f", "RedirectRefused: its Location holds white space or control characters"],
    ["/a\u00a0", "RedirectRefused: its Location holds white space or control characters"],
    ["https://", "RedirectRefused: its Location is no URL"],
    ["https://[::1", "RedirectRefused: its Location is no URL"],
    ["https://user:pass@other.example/", "RedirectRefused: its Location holds userinfo"],
    ["http://idp.example.com/keys", "RedirectRefused: it leads from https to http"],
    [`/${"a".repeat(2048)}`, "RedirectRefused: its Location has more than 2048 characters"],
    ["ftp://idp.example.com/", "UrlRefused: only https and http are spoken"],
    ["javascript:alert(1)", "UrlRefused: only https and http are spoken"],
    ["https://169.254.169.254/latest", "AddressRefused: cloud metadata address (169.254.169.254/32)"],
    ["https://localhost/", "AddressRefused: the name localhost is local"],
  ])("refuses '%s': %s", (location, refused) => assert.strictEqual(follow(location), refused))

  it("refuses https to http even where http is allowed", () => {
    const options = { requireHttps: false }
    assert.strictEqual(follow("http://idp.example.com/", options), "RedirectRefused: it leads from https to http")
    const http = new URL("http://idp.example.com/")
    assert.strictEqual(follow("/keys", options, http), "http://idp.example.com/keys")
    assert.strictEqual(follow("https://idp.example.com/", options, http), "https://idp.example.com/")
  })

  it("refuses a resolved URL of more than 2048 characters", () => {
    const deep = new URL(`https://idp.example.com/${"d/".repeat(900)}`)
    assert.strictEqual(follow("a".repeat(1000), {}, deep), "UrlRefused: a URL has at most 2048 characters")
  })

  it("holds each hop to the allowed domains", () => {
    const options = { allowedDomainLists: [["example.com"]] }
    assert.strictEqual(follow("https://keys.example.com/", options), "https://keys.example.com/")
    assert.strictEqual(follow("https://evil.example/", options), "UrlRefused: the host is in no allowed domain")
  })

  it("names the page that redirects, without its query", () => {
    assert.deepStrictEqual(
      checkRedirect(from, "", policy()),
      Result.fail({
        _tag: "RedirectRefused" as const,
        url: "https://idp.example.com/tenant/jwks",
        rule: "its Location is empty",
      }),
    )
  })

  it.prop(
    "never throws, and what it follows passes the policy and has no fragment",
    { location: Schema.String },
    (_) => {
      const next = checkRedirect(from, _.location, policy())
      if (Result.isFailure(next)) return
      assert.isUndefined(checkUrl(next.success, policy()))
      assert.strictEqual(next.success.hash, "")
    },
  )
})
