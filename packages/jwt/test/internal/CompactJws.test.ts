/**
 * The forms that a token may come in, and the one that is understood. Nobody is asked for a key on account of any other.
 */
import { assert, describe, it } from "@effect/vitest"
import type { JwtInvalidReason, VerifyError } from "@effect-jwks/jwt"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { TokenReader } from "../../src/internal/CompactJws.ts"
import { collect } from "../garbage.ts"
import { base64url, encodePart, forge, signParts } from "../forge.ts"
import { reasonOf, setUp, signerOf } from "../support.ts"

const malformed = (rule: string): JwtInvalidReason => ({ _tag: "Malformed", rule })

const notThree = malformed("it has not three parts separated by dots (RFC 7515 section 7.1)")
const notBase64url = malformed("its parts are not base64url without padding (RFC 7515 section 2)")
const strayBits = malformed("its parts have bits that belong to no byte (RFC 4648 section 3.5)")
const noHeader = malformed("its header is no JSON object (RFC 7515 section 4)")
const noClaims = malformed("its claims are no JSON object (RFC 7519 section 7.2)")
const noAlg = malformed("its header has no alg (RFC 7515 section 4.1.1)")
const encrypted = malformed("it is encrypted, a JWE (RFC 7516): only signed tokens are accepted")
const unsigned = malformed("it has no signature (RFC 7519 section 6)")
const detached = malformed("its payload is detached (RFC 7515 appendix F)")
const jsonSerialization = malformed("JSON serialization (RFC 7515 section 7.2): send the compact one")
const nested = malformed("it holds another token (RFC 7519 section 5.2): nested tokens are not accepted")
const critical = malformed("its crit names what is not understood here (RFC 7515 section 4.1.11)")
const unencoded = malformed("its payload is not encoded (RFC 7797 section 7)")
const noKidText = malformed("its kid is no text (RFC 7515 section 4.1.4)")
const noTypText = malformed("its typ is no text (RFC 7515 section 4.1.9)")

/** What can be done to a good token, and what it is then. */
const shapes: Readonly<Record<string, readonly [spoil: (token: string) => string, reason: JwtInvalidReason]>> = {
  "nothing at all": [() => "", notThree],
  "one part": [() => "abc", notThree],
  "two parts": [(token) => token.slice(0, token.lastIndexOf(".")), notThree],
  "four parts": [(token) => `${token}.abc`, notThree],
  "five parts": [(token) => `${token}.abc.abc`, encrypted],
  "five parts with an empty key, as direct encryption has them": [() => "abc..abc.abc.abc", encrypted],
  "six parts": [(token) => `${token}.a.b.c`, notThree],
  "dots alone": [() => "..", unsigned],
  "no header": [(token) => token.slice(token.indexOf(".")), notBase64url],
  "no payload": [(token) => token.replace(/\.[\w-]+\./, ".."), detached],
  "no signature": [(token) => token.slice(0, token.lastIndexOf(".") + 1), unsigned],
  "a dot more at the end": [(token) => `${token}.`, notThree],
  "the flattened JSON serialization": [
    (token) => {
      const [protectedHeader, payload, signature] = token.split(".")
      return JSON.stringify({ payload, protected: protectedHeader, signature })
    },
    jsonSerialization,
  ],
  "the general JSON serialization, after white space": [
    (token) => {
      const [protectedHeader, payload, signature] = token.split(".")
      return ` \n${JSON.stringify({ payload, signatures: [{ protected: protectedHeader, signature }] })}`
    },
    jsonSerialization,
  ],
  "Bearer in front": [(token) => `Bearer ${token}`, notBase64url],
  "quotes around it": [(token) => `"${token}"`, notBase64url],
  "a space in front": [(token) => ` ${token}`, notBase64url],
  "a space at the end": [(token) => `${token} `, notBase64url],
  "a line end at the end": [(token) => `${token}\n`, notBase64url],
  "a byte order mark in front": [(token) => `\ufeff${token}`, notBase64url],
  "a letter that is none of ASCII": [(token) => token.replace("e", "е"), notBase64url],
  "NUL at the end": [(token) => `${token}\u0000`, notBase64url],
  "percent-encoding": [(token) => token.replace(".", "%2e"), notThree],
}

const parts = ["header", "payload", "signature"] as const

/** The token with one of its parts changed. */
const withPart = (token: string, part: (typeof parts)[number], change: (text: string) => string): string =>
  token
    .split(".")
    .map((text, index) => (parts[index] === part ? change(text) : text))
    .join(".")

/** Spellings of a part that lenient decoders read as the same bytes. */
const spellings: Readonly<Record<string, (text: string) => string>> = {
  padding: (text) => text.padEnd(Math.ceil(text.length / 4) * 4, "=") + (text.length % 4 === 0 ? "==" : ""),
  "a space inside": (text) => `${text.slice(0, 4)} ${text.slice(4)}`,
  "a line end inside": (text) => `${text.slice(0, 4)}\r\n${text.slice(4)}`,
  "a carriage return inside": (text) => `${text.slice(0, 4)}\r${text.slice(4)}`,
  "a line feed inside": (text) => `${text.slice(0, 4)}\n${text.slice(4)}`,
  "a tab inside": (text) => `${text.slice(0, 4)}\t${text.slice(4)}`,
  "a form feed inside": (text) => `${text.slice(0, 4)}\f${text.slice(4)}`,
  "a plus of the standard alphabet": (text) => `${text.slice(0, 4)}+${text.slice(5)}`,
  "a slash of the standard alphabet": (text) => `${text.slice(0, 4)}/${text.slice(5)}`,
  "a question mark inside": (text) => `${text.slice(0, 4)}?${text.slice(4)}`,
  "a question mark in place of a character": (text) => `${text.slice(0, 4)}?${text.slice(5)}`,
}

/** A header of other members than are understood, and what it is. */
const headers: Readonly<Record<string, readonly [header: unknown, reason: JwtInvalidReason]>> = {
  "a list": [[], noHeader],
  "a text": ['"text"', noHeader],
  null: ["null", noHeader],
  "a number": ["1", noHeader],
  "nothing but white space": ["  ", noHeader],
  "cut off": ['{"alg":"ES256"', noHeader],
  "an object and more": ['{"alg":"ES256"}{}', noHeader],
  "after a byte order mark": ['\ufeff{"alg":"ES256"}', noHeader],
  "bytes that are no UTF-8": [Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), noHeader],
  "a byte that only continues another": [Uint8Array.of(0x7b, 0x22, 0x80, 0x22, 0x3a, 0x31, 0x7d), noHeader],
  "an overlong encoding": [Uint8Array.of(0x7b, 0x22, 0xc0, 0xa2, 0x22, 0x3a, 0x31, 0x7d), noHeader],
  "an encoded half of a surrogate pair": [
    Uint8Array.of(0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d),
    noHeader,
  ],
  "UTF-16": [Uint8Array.from(Buffer.from('{"alg":"ES256"}', "utf16le")), noHeader],
  comments: ['{"alg":"ES256"/**/}', noHeader],
  "a comma too many": ['{"alg":"ES256",}', noHeader],
  "without alg": [{}, noAlg],
  "alg null": [{ alg: null }, noAlg],
  "alg a list": [{ alg: ["ES256"] }, noAlg],
  "alg a number": [{ alg: 1 }, noAlg],
  "alg only in __proto__": ['{"__proto__":{"alg":"ES256"}}', noAlg],
  "kid a number": [{ kid: 1 }, noKidText],
  "kid null": [{ kid: null }, noKidText],
  "kid a list": [{ kid: ["1"] }, noKidText],
  "kid an object": [{ kid: { toString: "1" } }, noKidText],
  "typ a number": [{ typ: 1 }, noTypText],
  "typ null": [{ typ: null }, noTypText],
  "typ a list": [{ typ: ["JWT"] }, noTypText],
  "crit null": [{ crit: null }, critical],
  "crit a text": [{ crit: "b64" }, critical],
  "crit empty": [{ crit: [] }, critical],
  "crit with exp, as in RFC 7515 section 4.1.11": [{ crit: ["exp"], exp: 1 }, critical],
  "crit with what a header has anyway": [{ crit: ["alg"] }, critical],
  "crit with b64 and more": [{ crit: ["b64", "x"], b64: true, x: 1 }, critical],
  "crit with b64 twice": [{ crit: ["b64", "b64"], b64: true }, critical],
  "crit with another kind of thing": [{ crit: [1] }, critical],
  "crit with a list of b64": [{ crit: [["b64"]], b64: true }, critical],
  "b64 false": [{ b64: false, crit: ["b64"] }, unencoded],
  "b64 false without crit": [{ b64: false }, unencoded],
  "b64 neither true nor false": [{ b64: "true" }, unencoded],
  "cty JWT": [{ cty: "JWT" }, nested],
  "cty jwt": [{ cty: "jwt" }, nested],
  "cty application/jwt": [{ cty: "application/jwt" }, nested],
}

/** Members beside alg and kid that change nothing. */
const harmless: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "crit with b64, and b64 true": { crit: ["b64"], b64: true },
  "b64 true": { b64: true },
  "another cty": { cty: "json" },
  "a cty that is no text": { cty: 1 },
  "a number for an x5t": { x5t: 1 },
}

/** Claims that are no object. */
const claimsTexts: Readonly<Record<string, string | Uint8Array>> = {
  "a list": "[]",
  "a text": '"text"',
  null: "null",
  "a number": "1",
  "no JSON": "payload",
  "empty text": " ",
  "after a byte order mark": "\ufeff{}",
  "bytes that are no UTF-8": Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d),
  compressed: Uint8Array.of(0x78, 0x9c, 0xab, 0x56, 0x4a, 0x04, 0x00),
  NaN: '{"iss":"https://idp.test","exp":NaN}',
}

describe("tokens of another form are named, and refused", () => {
  for (const [name, [spoil, expected]] of Object.entries(shapes)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const { claims, forge, header, idp, reason, verify } = yield* setUp()
        const token = yield* forge(header, claims)
        yield* verify(token)
        const { requests } = idp
        assert.deepStrictEqual(yield* reason(spoil(token)), expected)
        assert.strictEqual(idp.requests, requests)
      }),
    )
  }

  it.effect("what is no text at all", () =>
    Effect.gen(function* () {
      const { verifyAs } = yield* setUp()
      for (const thing of [undefined, null, 1, {}, [], Buffer.from("a.b.c"), { toString: () => "a.b.c" }]) {
        const untyped: Effect.Effect<unknown, VerifyError> = Reflect.apply(verifyAs, undefined, ["acme", thing])
        assert.deepStrictEqual(yield* reasonOf(untyped), malformed("it is no text"))
      }
    }),
  )

  for (const part of parts) {
    for (const [name, spell] of Object.entries(spellings)) {
      it.effect(`a ${part} with ${name}`, () =>
        Effect.gen(function* () {
          const { claims, forge, header, reason } = yield* setUp()
          const token = yield* forge(header, claims)
          assert.deepStrictEqual(yield* reason(withPart(token, part, spell)), notBase64url)
        }),
      )
    }

    it.effect(`a ${part} in every other spelling of its last character`, () =>
      Effect.gen(function* () {
        const { claims, forge, header, reason, verify } = yield* setUp()
        let spellingsSeen = 0
        // Claims and kids of every length, so that all remainders of all parts occur.
        for (const more of ["", "a", "aa"]) {
          const token = yield* forge({ ...header, x: more }, { ...claims, x: more })
          yield* verify(token)
          const bytesOf = (text: string) => Buffer.from(text, "base64url").toString("hex")
          for (const last of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
            const other = withPart(token, part, (text) => `${text.slice(0, -1)}${last}`)
            const [a = "", b = ""] = [token, other].map((it) => bytesOf(it.split(".")[parts.indexOf(part)] ?? ""))
            if (other === token || a !== b) continue
            spellingsSeen += 1
            assert.deepStrictEqual(yield* reason(other), strayBits)
          }
        }
        assert.isAbove(spellingsSeen, 2)
      }),
    )

    it.effect(`a ${part} with a character that makes no byte`, () =>
      Effect.gen(function* () {
        const { claims, forge, header, reason } = yield* setUp()
        const token = yield* forge(header, claims)
        const lonely = withPart(token, part, (text) => `${text.slice(0, Math.floor(text.length / 4) * 4)}A`)
        assert.deepStrictEqual(yield* reason(lonely), strayBits)
      }),
    )
  }
})

describe("headers that are not understood are refused, though the signature is right", () => {
  for (const [name, [header, expected]] of Object.entries(headers)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const { claims, forge, header: right, idp, reason } = yield* setUp({ registration: { warm: false } })
        const isMembers = typeof header === "object" && header !== null && !Array.isArray(header)
        const members = isMembers && !(header instanceof Uint8Array) ? Object.entries(header) : undefined
        const bytes =
          members === undefined
            ? header instanceof Uint8Array || typeof header === "string"
              ? header
              : JSON.stringify(header)
            : JSON.stringify({ ...(name === "without alg" ? {} : right), ...Object.fromEntries(members) })
        assert.deepStrictEqual(yield* reason(yield* forge(bytes, claims)), expected)
        assert.strictEqual(idp.requests, 0)
      }),
    )
  }

  for (const [name, members] of Object.entries(harmless)) {
    it.effect(`${name} changes nothing`, () =>
      Effect.gen(function* () {
        const { claims, forge, header, verify } = yield* setUp()
        const verified = yield* verify(yield* forge({ ...header, ...members }, claims))
        assert.deepInclude(verified.header, members)
      }),
    )
  }

  it.effect("of a member that is there twice the last one counts, for us as for the JSON that was signed", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason, verify } = yield* setUp()
      const { alg, kid } = header
      const last = yield* verify(yield* forge(`{"alg":"none","alg":"${alg}","kid":"other","kid":"${kid}"}`, claims))
      assert.deepInclude(last.header, header)
      assert.deepInclude(yield* reason(yield* forge(`{"alg":"${alg}","alg":"none","kid":"${kid}"}`, claims)), {
        _tag: "Algorithm",
        alg: "none",
      })
      const twice = `{"iss":"https://evil.test","exp":1,${JSON.stringify(claims).slice(1)}`
      assert.strictEqual((yield* verify(yield* forge(header, twice))).payload.iss, claims.iss)
    }),
  )

  it.effect("members named __proto__ and constructor are members like any other", () =>
    Effect.gen(function* () {
      const { claims, forge, header, verify } = yield* setUp()
      const spoiled = (object: object) =>
        `{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},${JSON.stringify(object).slice(1)}`
      const verified = yield* verify(yield* forge(spoiled(header), spoiled(claims)))
      assert.isFalse("polluted" in {})
      assert.isFalse("polluted" in verified.payload)
      assert.isFalse("polluted" in verified.header)
      assert.strictEqual(verified.issuer, claims.iss)
    }),
  )
})

describe("claims that are no JSON object are refused, though the signature is right", () => {
  for (const [name, text] of Object.entries(claimsTexts)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const { forge, header, idp, reason } = yield* setUp({ registration: { warm: false } })
        assert.deepStrictEqual(yield* reason(yield* forge(header, text)), noClaims)
        assert.strictEqual(idp.requests, 0)
      }),
    )
  }

  it.effect("a token in the claims, which is what nesting is without cty", () =>
    Effect.gen(function* () {
      const { claims, forge, header, reason } = yield* setUp()
      assert.deepStrictEqual(yield* reason(yield* forge(header, yield* forge(header, claims))), noClaims)
    }),
  )

  it.effect("nesting as deep as the size allows is read, or refused, but no defect", () =>
    Effect.gen(function* () {
      const { claims, forge, header, verify } = yield* setUp({ verifier: { maxTokenLength: 1_048_576 } })
      const deep = `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`
      const exit = yield* Effect.result(
        verify(yield* forge(header, `{"deep":${deep},${JSON.stringify(claims).slice(1)}`)),
      )
      if (exit._tag === "Failure") assert.deepNestedInclude(exit.failure, { _tag: "JwtInvalid", reason: noClaims })
      else assert.strictEqual(exit.success.issuer, claims.iss)
    }),
  )
})

describe("the size of a token", () => {
  const limits: ReadonlyArray<readonly [limit: number, verifier: { readonly maxTokenLength?: number }]> = [
    [16_384, {}],
    [1_000, { maxTokenLength: 1_000 }],
  ]
  for (const [limit, verifier] of limits) {
    it.effect(`is at most ${limit} characters, to the letter`, () =>
      Effect.gen(function* () {
        const { claims, header, idp, reason, verify } = yield* setUp({ verifier })
        const signer = signerOf(idp)
        const sized = Effect.fnUntraced(function* (length: number) {
          // Three bytes are four characters; the header takes up what is left over.
          for (const more of ["", "a", "aa"]) {
            const probe = yield* forge(signer, { ...header, more }, { ...claims, fill: "" })
            const fill = "x".repeat(Math.max(0, Math.floor(((length - probe.length) / 4) * 3)))
            for (const extra of ["", "x", "xx", "xxx"]) {
              const token = yield* forge(signer, { ...header, more }, { ...claims, fill: fill + extra })
              if (token.length === length) return token
            }
          }
          return assert.fail(`no token has ${length} characters`)
        })
        assert.strictEqual((yield* verify(yield* sized(limit))).issuer, claims.iss)
        assert.deepStrictEqual(
          yield* reason(yield* sized(limit + 1)),
          malformed(`it is longer than ${limit} characters`),
        )
      }),
    )
  }
})

it.effect("a header in another layout is the same header", () =>
  Effect.gen(function* () {
    const { claims, header, idp, verify } = yield* setUp()
    const layout = base64url(` {\r\n\t"kid" : ${JSON.stringify(header.kid)} , "\\u0061lg":"${header.alg}" } `)
    const token = yield* signParts(signerOf(idp), layout, encodePart(claims))
    assert.deepInclude((yield* verify(token)).header, header)
  }),
)

describe("the characters that base64 has not", () => {
  const encoded = ["a", "ab", "abc"].flatMap((start) =>
    [">", "?", ">?", "é"].map((end) => [encodePart({ sub: `${start}${end}` }), `${start}${end}`] as const),
  )

  for (const own of ["-", "_"]) {
    it(`are read, also where there is ${own} alone`, () => {
      const other = own === "-" ? "_" : "-"
      const those = encoded.filter(([part]) => part.includes(own) && !part.includes(other))
      assert.isAbove(those.length, 0)
      for (const [part, sub] of those) {
        const read = new TokenReader(1_000).read(`${encodePart({ alg: "RS256" })}.${part}.AAAA`)
        assert.deepStrictEqual(Result.getOrThrow(read).payload, { sub })
      }
    })
  }
})

// Node 26 copies what it cuts off by itself: only on 22 and 24 this would be red without our copy.
it.effect("a reader that remembers headers keeps no token", () =>
  Effect.gen(function* () {
    const reader = new TokenReader(1_000_000)
    const payload = encodePart({ iss: "https://idp.test", bulk: "x".repeat(500_000) })
    const used = () => process.memoryUsage().heapUsed
    yield* collect
    const before = used()
    for (let nth = 0; nth < 64; nth++) {
      const parts = [encodePart({ alg: "RS256", kid: `${nth}` }), payload, "AAAA"]
      // In one piece, as it comes from a socket.
      const token = Buffer.from(parts.join(".")).toString("latin1")
      assert.isTrue(Result.isSuccess(reader.read(token)))
    }
    yield* collect
    assert.isBelow(used() - before, 10_000_000)
    // Held until here.
    assert.isTrue(Result.isFailure(reader.read("")))
  }),
)
