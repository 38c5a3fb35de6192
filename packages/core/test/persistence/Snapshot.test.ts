import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { decode, encode, type Snapshot } from "../../src/persistence/Snapshot.ts"

const snapshot: Snapshot = {
  tenant: "acme",
  provider: "idp",
  url: "https://idp.test/jwks",
  issuer: "https://idp.test",
  digest: "d",
  rules: "r",
  usableKeys: 1,
  document: { keys: [{ kty: "EC", kid: "1" }] },
  headers: { "cache-control": "max-age=600" },
  validators: { url: "https://idp.test/jwks", etag: '"1"', lastModified: "Sun, 06 Nov 1994 08:49:37 GMT" },
  fetchedAt: 4,
  fetchedInFullAt: 3,
  expiresAt: 5,
  staleUntil: 6,
}

const mebi = 1_048_576

const text = (value: Snapshot, limit = mebi): string => Result.getOrThrow(encode(value, limit))

const ruleOf = (result: Result.Result<unknown, { readonly rule: string }>): string | undefined =>
  Result.isFailure(result) ? result.failure.rule : undefined

/** A document that nests `depth` lists. */
const nested = (depth: number): unknown => JSON.parse("[".repeat(depth) + "]".repeat(depth))

describe("a snapshot's text", () => {
  it("comes back as it was", () => {
    assert.deepStrictEqual(decode(text(snapshot), mebi), Result.succeed(snapshot))
    const { issuer: _, validators: __, ...least } = snapshot
    assert.deepStrictEqual(decode(text(least), mebi), Result.succeed(least))
  })

  it.prop(
    "comes back as it was, whatever the document, headers and ids are",
    {
      ids: Schema.Tuple([Schema.String, Schema.String]),
      keys: Schema.Array(Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Null, Schema.Int]))),
      headers: Schema.Record(Schema.String, Schema.String),
      times: Schema.Tuple([Schema.Int, Schema.Int, Schema.Int, Schema.Int]),
    },
    ({ headers, ids: [tenant, provider], keys, times: [fetchedAt, fetchedInFullAt, expiresAt, staleUntil] }) => {
      // As JSON has them: without a minus before a zero, and no prototypes.
      const given = JSON.stringify({
        ...snapshot,
        tenant,
        provider,
        headers,
        document: { keys },
        fetchedAt,
        fetchedInFullAt,
        expiresAt,
        staleUntil,
      })
      const decoded = decode(given, mebi)
      assert.isTrue(Result.isSuccess(decoded))
      if (Result.isSuccess(decoded)) {
        assert.deepStrictEqual(JSON.parse(text(decoded.success)), JSON.parse(given))
      }
    },
  )

  it("is refused at the same length for writing and reading: twice the body's limit and 64 KiB", () => {
    const limit = 1_000
    const most = 2 * limit + 65_536
    const long = (length: number): Snapshot => {
      const room = length - text({ ...snapshot, document: { keys: [""] } }).length
      return { ...snapshot, document: { keys: ["x".repeat(room)] } }
    }
    assert.lengthOf(text(long(most), limit), most)
    assert.isTrue(Result.isSuccess(decode(text(long(most)), limit)))
    assert.strictEqual(ruleOf(encode(long(most + 1), limit)), "is too large")
    assert.strictEqual(ruleOf(decode(text(long(most + 1)), limit)), "is too large")
  })

  it("holds every document that fits the body's limit, also one that JSON writes longer", () => {
    // What one byte of a body can become: a control character is six characters in JSON, and was as many.
    for (const body of ['{"keys":["' + "\\u0001".repeat(1_000) + '"]}', `{"keys":[${"1e20,".repeat(2_000)}0]}`]) {
      const document = { keys: (JSON.parse(body) as { readonly keys: ReadonlyArray<unknown> }).keys }
      assert.isTrue(Result.isSuccess(encode({ ...snapshot, document }, body.length)), body.slice(0, 30))
    }
  })

  it("of a document that nests deeper than the stack is written or refused, never thrown", () => {
    const deep = encode({ ...snapshot, document: { keys: [nested(200_000)] } }, mebi)
    // Some engines write it all the same.
    if (Result.isFailure(deep)) assert.strictEqual(ruleOf(deep), "the document nests too deeply to be written")
    else assert.isTrue(Result.isSuccess(decode(deep.success, mebi)))
  })

  it("that nests deeper than the stack is read without a throw", () => {
    const deep = text({ ...snapshot, document: { keys: ["HERE"] } }).replace(
      '"HERE"',
      "[".repeat(200_000) + "]".repeat(200_000),
    )
    assert.doesNotThrow(() => decode(deep, mebi))
  })

  it("that is cut anywhere is refused", () => {
    const whole = text(snapshot)
    for (let length = 0; length < whole.length; length++) {
      assert.strictEqual(ruleOf(decode(whole.slice(0, length), mebi)), "is no JSON: torn or overwritten")
    }
  })

  it("that lacks a member, or has one of another kind, is refused", () => {
    const optional = ["issuer", "validators"]
    for (const member of Object.keys(snapshot)) {
      const without = JSON.stringify({ ...snapshot, [member]: undefined })
      assert.strictEqual(
        ruleOf(decode(without, mebi)),
        optional.includes(member) ? undefined : "lacks what a snapshot has",
        member,
      )
      for (const other of [null, [], true]) {
        const changed = JSON.stringify({ ...snapshot, [member]: other })
        assert.strictEqual(
          ruleOf(decode(changed, mebi)),
          "lacks what a snapshot has",
          `${member} ${JSON.stringify(other)}`,
        )
      }
    }
    for (const other of ["null", "[]", "1", '"text"', "{}", '{"keys":[]}']) {
      assert.strictEqual(ruleOf(decode(other, mebi)), "lacks what a snapshot has", other)
    }
  })

  it.prop("of any other text is refused and never quoted", { other: Arbitrary.schema(Schema.String) }, ({ other }) => {
    const rule = ruleOf(decode(`secret ${other}`, mebi))
    assert.isDefined(rule)
    assert.notInclude(rule, "secret")
  })
})
