/**
 * Bodies with status 200 that are no JWK Set, too large, or made to do harm where they are read.
 */
import { type Answer, goodBody, goodKeys, head, jwks, jwksType, page, repeat, response, send } from "../Answer.ts"
import { about, type CaseOf, fails, oneAttempt, type HostileCase, holds } from "../HostileCase.ts"

const body = (text: string | Uint8Array, headers: ReadonlyArray<string> = jwksType): Answer =>
  response({ headers, body: text })

const says = (title: string, text: string | Uint8Array, rule: string): CaseOf => ({
  title,
  answer: body(text),
  expected: fails("BodyInvalid", rule),
})

const notUtf8 = "the body is not UTF-8 text"
const notJson = "the body is not JSON, or nests too deeply"
const notObject = "the body is not a JSON object"
const noKeys = "the body has no list `keys`"

const utf8 = (text: string): Uint8Array => Buffer.from(text, "utf8")
const around = (bytes: ReadonlyArray<number>): Uint8Array =>
  Buffer.concat([utf8('{"x":"'), Uint8Array.from(bytes), utf8(`",${goodBody().slice(1)}`)])

/** A good document with this beside its keys. */
const beside = (members: string): string => goodBody().replace(/\}$/, `,${members}}`)

export const documentCases: ReadonlyArray<HostileCase> = [
  ...about(
    "body_utf8",
    says("a body with a byte that UTF-8 never has", around([0xff]), notUtf8),
    says("a body with an overlong form", around([0xc0, 0xaf]), notUtf8),
    says("a body with an encoded surrogate", around([0xed, 0xa0, 0x80]), notUtf8),
    says("a body with a character beyond Unicode", around([0xf4, 0x90, 0x80, 0x80]), notUtf8),
    says("a body that ends inside a character", Buffer.concat([utf8(goodBody()), Uint8Array.of(0xe2, 0x82)]), notUtf8),
    says("a body in Latin-1", Buffer.from(beside('"x":"ä"'), "latin1"), notUtf8),
    says("a body in UTF-16 with its byte order mark", Buffer.from(`\ufeff${goodBody()}`, "utf16le"), notUtf8),
  ),
  ...about(
    "body_json",
    says("an empty body", "", notJson),
    says("white space", " \r\n\t ", notJson),
    says("a page with status 200", page, notJson),
    says("a set with a comma too many", goodBody().replace("]", ",]"), notJson),
    says("a set with a comment", `/* keys */${goodBody()}`, notJson),
    says("a set with a single quote", goodBody().replaceAll('"', "'"), notJson),
    says("a set cut off in the middle", goodBody().slice(0, 60), notJson),
    says("a set with something behind it", `${goodBody()}x`, notJson),
    says("two sets one after the other", goodBody() + goodBody(), notJson),
    says("a set as the argument of a function", `callback(${goodBody()})`, notJson),
    says("a set behind a prefix against inclusion", `)]}',\n${goodBody()}`, notJson),
    says("a set with NaN in it", beside('"x":NaN'), notJson),
    says("a set with a raw control character in a string", beside('"x":"\u0000"'), notJson),
    says("a set behind two byte order marks", `\ufeff\ufeff${goodBody()}`, notJson),
    says("a set in UTF-16 without a byte order mark", Buffer.from(goodBody(), "utf16le"), notJson),
    says("lists that nest 200,000 deep and never close", "[".repeat(200_000), notJson),
    says("a JWT in place of a set", "eyJhbGciOiJub25lIn0.e30.", notJson),
    {
      title: "objects that nest 100,000 deep beside the keys",
      answer: () => body(beside(`"x":${'{"x":'.repeat(100_000)}0${"}".repeat(100_000)}`)),
      // Whatever the engine's stack can hold: either the reason, or the set.
      expected: holds("static-2"),
    },
  ),
  ...about(
    "body_object",
    says("a list of keys without the object around it", JSON.stringify(goodKeys(1)), notObject),
    says("null", "null", notObject),
    says("a number", "1e400", notObject),
    says("a text", '"keys"', notObject),
    says("true", "true", notObject),
    says("an empty list", "[]", notObject),
  ),
  ...about(
    "body_keys_list",
    says("an empty object", "{}", noKeys),
    says("one key without a set around it", JSON.stringify(goodKeys(1)[0]), noKeys),
    says("keys that are an object", '{"keys":{}}', noKeys),
    says("keys that are null", '{"keys":null}', noKeys),
    says("keys that are a text", '{"keys":"[]"}', noKeys),
    says("keys that only look like a list", '{"keys":{"0":{},"length":1}}', noKeys),
    says("keys in another case", goodBody().replace("keys", "Keys"), noKeys),
    says("keys in the prototype", `{"__proto__":${goodBody()}}`, noKeys),
    says("keys that occur twice, the last time as no list", beside('"keys":0'), noKeys),
    says("an error as an object", '{"error":"s3cr3t-in-the-body"}', noKeys),
    says("an issuer's metadata", '{"issuer":"https://idp.test","jwks_uri":"https://idp.test/jwks"}', noKeys),
    says("a set of certificates by kid", '{"static-1":"-----BEGIN CERTIFICATE-----"}', noKeys),
  ),
  ...about(
    "max_keys",
    {
      title: "one entry more than 2,048",
      answer: () => jwks(Array.from({ length: 2_049 }, () => 0)),
      expected: fails("BodyInvalid", "more than 2048 entries"),
    },
    {
      title: "one entry more than the registration allows",
      registration: { maxKeys: 1 },
      answer: jwks(goodKeys(2, 2)),
      expected: fails("BodyInvalid", "more than 1 entries"),
    },
    {
      title: "half a million empty entries in a body of the size that is allowed",
      answer: () => body(`{"keys":[${"0,".repeat(500_000)}0]}`),
      expected: fails("BodyInvalid", "more than 2048 entries"),
    },
  ),
  ...about(
    "no_usable_keys",
    {
      title: "a set without a key",
      answer: jwks([]),
      expected: fails("NoUsableKeys", "(0 dropped)"),
    },
    {
      title: "a set whose only key is a secret",
      answer: jwks([{ kty: "oct", k: "c2VjcmV0", kid: "static-1" }]),
      expected: fails("NoUsableKeys", "(1 dropped)"),
    },
    {
      title: "a set of nothing but encryption keys",
      answer: jwks(goodKeys(3).map((key) => ({ ...key, use: "enc" }))),
      expected: fails("NoUsableKeys", "(3 dropped)"),
    },
    {
      title: "a set of 2,048 entries that are no keys",
      answer: () => jwks(Array.from({ length: 2_048 }, () => ({}))),
      expected: fails("NoUsableKeys", "(2048 dropped)"),
    },
  ),
  ...about(
    "body_limit_stream",
    {
      title: "a body without end and without a length",
      answer: [send(head(200, jwksType)), repeat(" ".repeat(65_536))],
      retryPolicy: oneAttempt,
      expected: fails("BodyTooLarge", "more than 1048576 bytes"),
    },
    {
      title: "chunks without end",
      answer: [
        send(head(200, [...jwksType, "Transfer-Encoding: chunked"])),
        repeat(`10000\r\n${" ".repeat(65_536)}\r\n`),
      ],
      retryPolicy: oneAttempt,
      expected: fails("BodyTooLarge", "more than 1048576 bytes"),
    },
    {
      title: "chunks of one byte without end",
      registration: { maxResponseBytes: 10_000 },
      answer: [send(head(200, [...jwksType, "Transfer-Encoding: chunked"])), repeat("1\r\n \r\n".repeat(1_000))],
      retryPolicy: oneAttempt,
      expected: fails("BodyTooLarge", "more than 10000 bytes"),
    },
    {
      title: "a good set with one byte more than is allowed, and no length",
      registration: { maxResponseBytes: goodBody().length },
      answer: response({ headers: jwksType, body: ` ${goodBody()}`, announces: false }),
      retryPolicy: oneAttempt,
      expected: fails("BodyTooLarge"),
    },
    {
      title: "a good set of exactly the size that is allowed",
      registration: { maxResponseBytes: goodBody().length },
      answer: body(goodBody()),
      expected: holds("static-2"),
    },
  ),
  ...about(
    "body_limit_announced",
    {
      title: "a length of a terabyte, and nothing behind it",
      answer: [send(head(200, [...jwksType, "Content-Length: 1000000000000"]))],
      retryPolicy: oneAttempt,
      expected: fails("BodyTooLarge", "more than 1048576 bytes"),
    },
    {
      title: "a length of one byte more than is allowed, and nothing behind it",
      answer: [send(head(200, [...jwksType, "Content-Length: 1048577"]))],
      retryPolicy: oneAttempt,
      expected: fails("BodyTooLarge", "more than 1048576 bytes"),
    },
  ),
  ...about(
    "content_type_not_believed",
    ...(
      [
        ["of a page", ["Content-Type: text/html"]],
        ["of plain text, as real providers send it", ["Content-Type: text/plain; charset=iso-8859-1"]],
        ["of any bytes", ["Content-Type: application/octet-stream"]],
        ["that is no type", ["Content-Type: keys"]],
        ["that is empty", ["Content-Type: "]],
        ["that is missing", []],
        ["twice", ["Content-Type: text/html", "Content-Type: application/json"]],
        ["with a charset that it does not have", ["Content-Type: application/json; charset=utf-16"]],
      ] as const
    ).map(([what, headers]): CaseOf => ({
      title: `a good set under a content type ${what}`,
      answer: body(goodBody(), headers),
      expected: holds("static-2"),
    })),
    {
      title: "a page that says it is a JWK Set",
      answer: body(page),
      expected: fails("BodyInvalid", notJson),
    },
  ),
  ...about("body_byte_order_mark", {
    title: "a good set behind a byte order mark",
    answer: body(`\ufeff${goodBody()}`),
    expected: holds("static-2"),
  }),
  ...about("body_not_told", {
    title: "a body that a JSON parser would quote in its message",
    answer: body("s3cr3t-in-the-body"),
    expected: fails("BodyInvalid", notJson),
  }),
  ...about(
    "url_query_not_told",
    {
      title: "a failure at a URL that holds a token in its query",
      answer: response({ status: 500 }),
      expected: fails("HttpStatus", "/jwks answered with status 500"),
    },
    {
      title: "a redirect from a URL that holds a token in its query",
      answer: response({ status: 302, headers: ["Location: http://s3cr3t:s3cr3t@idp.test/?s3cr3t"] }),
      expected: fails("RedirectRefused", "its Location holds userinfo"),
    },
  ),
]
