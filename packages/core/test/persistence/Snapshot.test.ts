import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { decode, type Description, encode, keysOf, type Snapshot } from "../../src/persistence/Snapshot.ts"

const description: Description = {
  tenant: "acme",
  provider: "idp",
  url: "https://idp.test/jwks",
  issuer: "https://idp.test",
  digest: "d",
  rules: "r",
  usableKeys: 1,
  headers: { "cache-control": "max-age=600" },
  validators: { url: "https://idp.test/jwks", etag: '"1"', lastModified: "Sun, 06 Nov 1994 08:49:37 GMT" },
  fetchedAt: 4,
  fetchedInFullAt: 3,
  expiresAt: 5,
  staleUntil: 6,
}

const mebi = 1_048_576

const keys: ReadonlyArray<unknown> = [{ kty: "EC", kid: "1" }]

const text = (of: Description, limit = mebi, document = keys): string => Result.getOrThrow(encode(of, document, limit))

const read = (given: string): readonly [Snapshot, ReadonlyArray<unknown>] => {
  const snapshot = Result.getOrThrow(decode(given, mebi))
  return [snapshot, Result.getOrThrow(keysOf(snapshot))]
}

const ruleOf = (result: Result.Result<unknown, { readonly rule: string }>): string | undefined =>
  Result.isFailure(result) ? result.failure.rule : undefined

/** A document that nests `depth` lists. */
const nested = (depth: number): unknown => JSON.parse("[".repeat(depth) + "]".repeat(depth))

describe("a snapshot's text", () => {
  it("comes back as it was, its document as text", () => {
    const document = JSON.stringify({ keys })
    assert.deepStrictEqual(read(text(description)), [{ ...description, document }, keys])
    const { issuer: _, validators: __, ...least } = description
    assert.deepStrictEqual(read(text(least)), [{ ...least, document }, keys])
    const most = { ...description, finalUrl: "https://keys.idp.test/" }
    assert.deepStrictEqual(read(text(most)), [{ ...most, document }, keys])
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
      const times = { fetchedAt, fetchedInFullAt, expiresAt, staleUntil }
      const given: Description = { ...description, tenant, provider, headers, ...times }
      const [{ document: _, ...restored }, restoredKeys] = read(text(given, mebi, keys))
      // As JSON has them: without a minus before a zero, and no prototypes.
      assert.deepStrictEqual(
        JSON.parse(JSON.stringify([restored, restoredKeys])),
        JSON.parse(JSON.stringify([given, keys])),
      )
    },
  )

  it("is refused at the same length for writing and reading: twice the body's limit and 64 KiB", () => {
    const limit = 1_000
    const most = 2 * limit + 65_536
    const long = (length: number) => ["x".repeat(length - text(description, mebi, [""]).length)]
    assert.lengthOf(text(description, limit, long(most)), most)
    assert.isTrue(Result.isSuccess(decode(text(description, mebi, long(most)), limit)))
    assert.strictEqual(ruleOf(encode(description, long(most + 1), limit)), "is too large")
    assert.strictEqual(ruleOf(decode(text(description, mebi, long(most + 1)), limit)), "is too large")
  })

  it("holds every document that fits the body's limit, also one that JSON writes longer", () => {
    // What one byte of a body can become: a control character is six characters in JSON, and was as many.
    for (const body of ['{"keys":["' + "\\u0001".repeat(1_000) + '"]}', `{"keys":[${"1e20,".repeat(2_000)}0]}`]) {
      const { keys } = JSON.parse(body) as { readonly keys: ReadonlyArray<unknown> }
      assert.isTrue(Result.isSuccess(encode(description, keys, body.length)), body.slice(0, 30))
    }
  })

  it("of a document that nests deeper than the stack is written or refused, never thrown", () => {
    const deep = encode(description, [nested(200_000)], mebi)
    // Some engines write it all the same.
    if (Result.isFailure(deep)) assert.strictEqual(ruleOf(deep), "the document nests too deeply to be written")
    else assert.isTrue(Result.isSuccess(decode(deep.success, mebi)))
  })

  it("that nests deeper than the stack is read without a throw", () => {
    const deep = text(description, mebi, ["HERE"]).replace('"HERE"', "[".repeat(200_000) + "]".repeat(200_000))
    assert.doesNotThrow(() => read(deep))
  })

  it("that is cut anywhere is refused", () => {
    const whole = text(description)
    const end = whole.indexOf("\n")
    for (let length = 0; length < whole.length; length++) {
      const rule = ruleOf(Result.flatMap(decode(whole.slice(0, length), mebi), keysOf))
      // Cut at the end of its first line, it is JSON all the same.
      const isWhole = length === end
      assert.strictEqual(rule, isWhole ? "lacks what a snapshot has" : "is no JSON: torn or overwritten", `${length}`)
    }
  })

  it("that lacks a member, or has one of another kind, is refused", () => {
    const optional = ["issuer", "validators"]
    const withFirstLine = (line: unknown) => ruleOf(decode(`${JSON.stringify(line)}\n{"keys":[]}`, mebi))
    assert.isUndefined(withFirstLine(description))
    for (const member of Object.keys(description)) {
      const without = withFirstLine({ ...description, [member]: undefined })
      assert.strictEqual(without, optional.includes(member) ? undefined : "lacks what a snapshot has", member)
      for (const other of [null, [], true]) {
        const changed = withFirstLine({ ...description, [member]: other })
        assert.strictEqual(changed, "lacks what a snapshot has", `${member} ${JSON.stringify(other)}`)
      }
    }
    for (const other of [null, [], 1, "text", {}, { keys: [] }]) {
      assert.strictEqual(withFirstLine(other), "lacks what a snapshot has")
    }
    const snapshot = Result.getOrThrow(decode(text(description), mebi))
    for (const document of ["null", "[]", "1", "{}", '{"keys":{}}']) {
      assert.strictEqual(ruleOf(keysOf({ ...snapshot, document })), "lacks what a snapshot has", document)
    }
  })

  it.prop("of any other text is refused and never quoted", { other: Arbitrary.schema(Schema.String) }, ({ other }) => {
    const rule = ruleOf(decode(`secret ${other}`, mebi))
    assert.isDefined(rule)
    assert.notInclude(rule, "secret")
  })
})
