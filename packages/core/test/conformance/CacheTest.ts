/**
 * The HTTP cache tests of http-tests/cache-tests as one JSON document: each test is a row of requests for
 * one URL, with what the origin answers to each and what a cache should make of it.
 *
 * What the document says about tests that do not bear on a private cache of one URL is not read. In the
 * others nothing is skipped over: a field that is not known here is an error.
 */
import * as Schema from "effect/Schema"

const Name = Schema.String

/** Whole seconds relative to the origin's clock when it answers, in `Date`, `Expires` and `Last-Modified`. */
const FieldValue = Schema.Union([Schema.String, Schema.Finite])

/** A header field to send. */
const Field = Schema.Tuple([Name, FieldValue])
export type Field = typeof Field.Type

/** A header field to expect: its name, its name and value, or its name and what it exceeds. */
const ExpectedField = Schema.Union([Name, Field, Schema.Tuple([Name, Schema.Literal(">"), Schema.Finite])])
export type ExpectedField = typeof ExpectedField.Type

/** How a request should be answered, where that is said. */
const Expectation = Schema.Literals([
  "cached",
  "not_cached",
  "etag_validated",
  "lm_validated",
  "not_served_from_cache (an error is right)",
])

const Origin = Schema.Struct({
  status: Schema.optionalKey(Schema.Finite),
  headers: Schema.optionalKey(Schema.Array(Field)),
  /** Not sent: the body of an answer is a JWK Set that says whose answer it is. */
  body: Schema.optionalKey(Schema.NullOr(Schema.String)),
  disconnect: Schema.optionalKey(Schema.Literal(true)),
  pause_seconds: Schema.optionalKey(Schema.Finite),
})
export type Origin = typeof Origin.Type

const Request = Schema.Struct({
  request: Schema.Struct({
    method: Schema.Literal("GET"),
    headers: Schema.optionalKey(Schema.Array(Schema.Tuple([Name, Schema.String]))),
  }),
  origin: Origin,
  /** Only there to bring about what the next requests find; its own expectations count all the same. */
  setup: Schema.optionalKey(Schema.Boolean),
  delay_after_seconds: Schema.optionalKey(Schema.Finite),
  expected: Schema.optionalKey(Expectation),
  expected_answer_of_request: Schema.optionalKey(Schema.Finite),
  expected_status: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
  expected_request_headers: Schema.optionalKey(Schema.Array(Schema.Tuple([Name, Schema.String]))),
  expected_response_headers: Schema.optionalKey(Schema.Array(ExpectedField)),
  expected_response_headers_missing: Schema.optionalKey(Schema.Array(Name)),
})

/** One test. `check` has no right answer; `optimal` says what is worth reaching. */
const CacheTest = Schema.Struct({
  id: Schema.String,
  suite: Schema.String,
  name: Schema.String,
  kind: Schema.Literals(["required", "optimal", "check"]),
  relevance: Schema.Literal("core"),
  browser_only: Schema.optionalKey(Schema.Boolean),
  spec: Schema.Array(Schema.String),
  depends_on: Schema.optionalKey(Schema.Array(Schema.String)),
  observed_in: Schema.optionalKey(Schema.Unknown),
  requests: Schema.Array(Request),
})
export type CacheTest = typeof CacheTest.Type

const Document = Schema.Struct({ tests: Schema.Array(Schema.Record(Schema.String, Schema.Unknown)) })

const decodeDocument = Schema.decodeUnknownSync(Document)
const decodeTests = Schema.decodeUnknownSync(Schema.Array(CacheTest), { onExcessProperty: "error" })

/** The tests of a document that bear on a private cache of one URL; throws on what it can not read. */
export const coreTests = (document: unknown): ReadonlyArray<CacheTest> =>
  decodeTests(decodeDocument(document).tests.filter(({ relevance }) => relevance === "core"))
