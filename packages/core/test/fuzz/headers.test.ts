/**
 * Header fields and URLs that nobody should send: whatever they hold, they are read without a defect, at
 * once, and what comes out keeps to its bounds.
 *
 * Texts are put together from fragments that have meant trouble somewhere, so that a failure shrinks to the
 * few that matter. `FUZZ_RUNS` says how often each property is tried.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Url from "effect/http/Url"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { directivesOf, listMembers } from "../../src/http/CacheControl.ts"
import { evaluate, type FreshnessSettings, mergeNotModified } from "../../src/http/Freshness.ts"
import { validatorsOf } from "../../src/http/JwksFetch.ts"
import { retryAfterMillis } from "../../src/http/RetryPolicy.ts"
import { addressRule, addressRuleOf } from "../../src/security/AddressPolicy.ts"
import { canonicalDomain } from "../../src/security/Host.ts"
import { checkRedirect, checkUrl, type UrlPolicy } from "../../src/security/UrlPolicy.ts"
import { observedHeaders } from "./corpusFolder.ts"

const runs = Number(process.env["FUZZ_RUNS"] ?? 2_000)

const oneOf = <const L extends ReadonlyArray<string | number | boolean>>(...values: L) =>
  Arbitrary.schema(Schema.Literals(values))

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** A text out of fragments. */
const textOf = (fragment: Arbitrary.Arbitrary<string>, maxLength = 12) =>
  Arbitrary.map(Arbitrary.array(fragment, { maxLength }), (parts) => parts.join(""))

const trouble = oneOf(
  ...['"', '\\"', "\\", ",", ", ", ";", "=", " = ", " ", "\t", "\r\n", "\n", "\u0000", "\u007f", "\u0085", "\u2028"],
  ...["é", "𝄞", "\ud800", "%00", "%2e%2e", "__proto__", "constructor", "[]", "{}", "*", "-", "+", "."],
  ...[
    "0",
    "1",
    "-1",
    "60",
    "3600",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "1e9",
    "0x10",
    "1.5",
    "NaN",
    "Infinity",
  ],
  ...["9".repeat(400), "a".repeat(9_000), ",".repeat(9_000), '"'.repeat(501), "\\".repeat(501), " ".repeat(9_000)],
)

const directive = oneOf(
  ...["max-age", "Max-Age", "s-maxage", "no-cache", "No-Cache", "no-store", "NO-STORE", "must-revalidate", "private"],
  ...["public", "immutable", "stale-if-error", "stale-while-revalidate", "Cache-Control: ", 'no-cache="set-cookie"'],
)

const mixed = (...arbitraries: ReadonlyArray<Arbitrary.Arbitrary<string>>) =>
  Arbitrary.flatMap(int(0, arbitraries.length - 1), (index) => arbitraries[index] ?? trouble)

const date = oneOf(
  ...["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
  ...["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Sun, 06 Nov 1994 08:49:37 PST", "tomorrow"],
  ...["0", "-1", "2026-11-21T00:00:00Z", "Sun, 99 Foo 1994 25:61:61 GMT", "Mon, 31 Feb 2026 00:00:00 GMT"],
)

const headerText = textOf(mixed(directive, trouble, date))

const origin =
  observedHeaders.length > 0 ? `made up and ${observedHeaders.length} observed` : "made up; no observed ones are here"

const names = [
  "cache-control",
  "pragma",
  "expires",
  "date",
  "age",
  "vary",
  "etag",
  "last-modified",
  "retry-after",
] as const

/** Fields by name: those of a real response where there are some, and troubled ones in their place or beside them. */
const fields = Arbitrary.map(
  Arbitrary.all([
    int(-1, observedHeaders.length - 1),
    Arbitrary.array(Arbitrary.all([oneOf(...names), mixed(headerText, date, trouble)]), { maxLength: 6 }),
    int(0, 400),
    mixed(headerText, trouble),
  ]),
  ([index, lies, at, inserted]) => {
    const base = observedHeaders[index] ?? {}
    const spoiled = Object.entries(base).map(([name, value]) => [name, value.slice(0, at) + inserted + value.slice(at)])
    return Object.fromEntries([...(at % 2 === 0 ? Object.entries(base) : spoiled), ...lies]) as Record<string, string>
  },
)

const settings = Arbitrary.map(
  Arbitrary.all([int(30_000, 600_000), int(0, 86_400_000), int(1, 86_400_000), int(0, 86_400_000), oneOf(true, false)]),
  ([minTtl, more, defaultTtl, staleWhileError, strictHttp]): FreshnessSettings => ({
    minTtl,
    maxTtl: minTtl + more,
    defaultTtl,
    staleWhileError,
    strictHttp,
  }),
)

/** From 1970 to the year 2286. */
const moment = int(0, 10_000_000_000_000)

/** Runs `read` and fails the test if that takes more than a quarter of a second: nothing here may backtrack. */
const atOnce = <A>(read: () => A): A => {
  const begun = performance.now()
  const value = read()
  assert.isBelow(performance.now() - begun, 250, "milliseconds")
  return value
}

describe(`Headers of a response (${origin})`, () => {
  it.prop(
    "give a lifetime and a stale window within the clamps",
    { fields, receivedAt: moment, settings },
    ({ fields, receivedAt, settings }) => {
      const { keep, lifetimeMillis, staleMillis } = atOnce(() => evaluate(fields, receivedAt, settings))
      assert.isAtLeast(lifetimeMillis, settings.strictHttp ? 0 : settings.minTtl)
      assert.isAtMost(lifetimeMillis, settings.maxTtl)
      assert.isAtLeast(staleMillis, 0)
      assert.isAtMost(staleMillis, settings.staleWhileError)
      if (!settings.strictHttp) assert.isTrue(keep)
    },
    { arbitrary: { runs } },
  )

  it.prop(
    "give the same whatever the order of the fields",
    { fields, receivedAt: moment, settings },
    ({ fields, receivedAt, settings }) => {
      const reversed = Object.fromEntries(Object.entries(fields).toReversed())
      assert.deepStrictEqual(evaluate(reversed, receivedAt, settings), evaluate(fields, receivedAt, settings))
    },
    { arbitrary: { runs } },
  )

  it.prop(
    "never live longer for a directive that is written once more",
    { fields, extra: headerText, receivedAt: moment, settings },
    ({ extra, fields, receivedAt, settings }) => {
      const said = directivesOf({ "cache-control": extra })
      // Only where the text alone restricts something, and can be told apart from what stands before it.
      if (said.maxAge === undefined || listMembers(extra).length === 0) return
      const before = { ...fields, "cache-control": "max-age=600" }
      const after = { ...fields, "cache-control": `max-age=600, ${extra}` }
      if (after["cache-control"].length > 8_192) return
      assert.isAtMost(
        evaluate(after, receivedAt, settings).lifetimeMillis,
        evaluate(before, receivedAt, settings).lifetimeMillis,
      )
    },
    { arbitrary: { runs } },
  )

  it.prop(
    "give directives that are numbers or absent",
    { value: headerText },
    ({ value }) => {
      const { maxAge, staleIfError } = atOnce(() => directivesOf({ "cache-control": value, pragma: value }))
      for (const seconds of [maxAge, staleIfError]) {
        if (seconds === undefined) continue
        assert.isTrue(Number.isInteger(seconds) && seconds >= 0 && seconds <= 2 ** 31, String(seconds))
      }
    },
    { arbitrary: { runs } },
  )

  it.prop(
    "are merged with those of a 304 into plain fields, without Age and Date of before",
    { stored: fields, received: fields },
    ({ received, stored }) => {
      const merged = atOnce(() => mergeNotModified(stored, received))
      for (const name of ["age", "date"]) {
        // `Connection` may name a field as one of the connection.
        if (merged[name] !== undefined) assert.strictEqual(merged[name], received[name])
      }
      assert.strictEqual(Object.getPrototypeOf(merged), Object.prototype)
      assert.isTrue(Object.values(merged).every((value) => typeof value === "string"))
    },
    { arbitrary: { runs } },
  )

  it.prop(
    "give validators that can be sent back, or none",
    { fields },
    ({ fields }) => {
      const validators = atOnce(() => validatorsOf(new URL("https://idp.test/jwks"), fields))
      for (const value of [validators?.etag, validators?.lastModified]) {
        if (value === undefined) continue
        assert.isAtMost(value.length, 8_192)
        // The fetch standard's own check throws for what can not be sent.
        assert.strictEqual(new Headers({ "if-none-match": value }).get("if-none-match"), value.trim())
      }
    },
    { arbitrary: { runs } },
  )

  it.prop(
    "ask for a pause of 0 to 10 minutes, or for none",
    { value: mixed(headerText, date, trouble), now: moment },
    ({ now, value }) => {
      const pause = atOnce(() => retryAfterMillis(value, now))
      if (pause !== undefined) assert.isTrue(pause >= 0 && pause <= 600_000, String(pause))
    },
    { arbitrary: { runs } },
  )
})

// -----------------------------------------------------------------------------
// URLs
// -----------------------------------------------------------------------------

const urlPart = oneOf(
  ...["https:", "http:", "HTTPS:", "file:", "javascript:", "data:", "//", "/", "\\", "\\\\", "@", ":", "?", "#", "%"],
  ...["idp.test", "IDP.TEST.", "evil.test", "localhost", "127.0.0.1", "127.1", "0x7f.1", "2130706433", "[::1]"],
  ...["[::ffff:7f00:1]", "[fe80::1%25eth0]", "169.254.169.254", "10.0.0.1", "①②⑦.0.0.1", "user:pass", "jwks"],
  ...["%6c%6f%63%61%6c%68%6f%73%74", "ｌｏｃａｌｈｏｓｔ", "xn--", "..", ":443", ":65536", ":0", "a".repeat(3_000)],
)

const urlText = textOf(mixed(urlPart, urlPart, urlPart, trouble), 8)

const policy: UrlPolicy = { requireHttps: true, allowedDomainLists: [["test"], []], allowPrivateAddresses: false }

/** `URL.canParse` says yes to some texts that the constructor refuses. */
const parsed = (text: string): URL | undefined => Result.getOrUndefined(Url.fromString(text))

/** Every rule that a URL must pass, said anew and the slow way. */
const isAllowed = (url: URL): boolean =>
  url.protocol === "https:" &&
  url.username === "" &&
  url.password === "" &&
  url.href.length <= 2_048 &&
  /(?:^|\.)test\.?$/.test(url.hostname)

describe("URLs", () => {
  it.prop(
    "are judged without a defect, and none passes that breaks a rule",
    { text: urlText },
    ({ text }) => {
      const url = parsed(text)
      if (url === undefined) return
      const refused = atOnce(() => checkUrl(url, policy))
      if (refused === undefined) assert.isTrue(isAllowed(url), url.href)
      else if (refused._tag === "UrlRefused") {
        // What is shown has neither userinfo nor query.
        const shown = parsed(refused.url)
        assert.strictEqual([shown?.username, shown?.password, shown?.search].join(""), "")
      }
    },
    { arbitrary: { runs: runs * 2 } },
  )

  it.prop(
    "of a Location lead only where a rule allows it",
    { text: urlText },
    ({ text }) => {
      const from = new URL("https://idp.test/a/b?c")
      const next = atOnce(() => checkRedirect(from, text, policy))
      if (Result.isFailure(next)) return
      assert.isTrue(isAllowed(next.success), next.success.href)
      assert.strictEqual(next.success.hash, "")
    },
    { arbitrary: { runs: runs * 2 } },
  )

  it.prop(
    "have hosts that are judged without a defect, loopback in no spelling",
    { text: urlText },
    ({ text }) => {
      atOnce(() => [addressRule(text, false), addressRuleOf(text), canonicalDomain(text)])
      const url = parsed(`https://${text}/`)
      if (url === undefined || !/^(?:127(?:\.\d+){3}|\[::1\]|localhost)\.?$/.test(url.hostname)) return
      assert.isString(addressRule(url.hostname, false), url.hostname)
    },
    { arbitrary: { runs: runs * 2 } },
  )
})
