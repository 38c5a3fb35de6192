/**
 * The runner of the HTTP cache tests, on tests of its own: it must be able to fail.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { contract, type Difference, differences } from "./differences.ts"
import { type Demands, run } from "./run.ts"

interface Exchange {
  readonly origin?: object
  readonly [expectation: string]: unknown
}

/** A test of two requests or more, in the form of the document. */
const cacheTest = (id: string, kind: "required" | "optimal" | "check", exchanges: ReadonlyArray<Exchange>) => ({
  id,
  suite: "own",
  name: id,
  kind,
  relevance: "core",
  spec: [],
  requests: exchanges.map((exchange) => ({ request: { method: "GET" }, origin: {}, ...exchange })),
})

const stored = (cacheControl: string, ...headers: ReadonlyArray<readonly [string, string | number]>): Exchange => ({
  origin: { status: 200, headers: [["Cache-Control", cacheControl], ...headers] },
  setup: true,
  delay_after_seconds: 3,
})

const reused = cacheTest("reused", "required", [stored("max-age=3600"), { expected: "cached" }])
const expired = cacheTest("expired", "required", [stored("max-age=2"), { expected: "not_cached" }])

const sentence = "A sentence."
const listed = (...ids: ReadonlyArray<string>): Difference => ({
  sentence,
  problem: "2: fresh set 1 without asking, expected not_cached",
  ids,
})

const play = (tests: ReadonlyArray<object>, demands: Partial<Demands> = {}) =>
  run(
    { tests: [...tests, { relevance: "no", id: "another", anything: true }] },
    { count: tests.length, contract: [sentence], differences: { strictHttp: [], defaults: [] }, ...demands },
  )

describe("the runner", () => {
  it.effect("has nothing to complain of when every test passes, or differs as it is listed", () =>
    Effect.gen(function* () {
      const { lines, problems } = yield* play([reused, expired], {
        differences: { strictHttp: [], defaults: [listed("expired")] },
      })
      assert.deepStrictEqual(problems, [])
      assert.include(lines, "strictHttp: 2 played, 2 passed, 0 differ, 0 checks")
      assert.include(lines, "defaults: 2 played, 1 passed, 1 differ, 0 checks")
    }),
  )

  it.effect("fails for a test that fails and is not listed", () =>
    Effect.gen(function* () {
      const { problems } = yield* play([expired])
      assert.deepStrictEqual(problems, ["defaults: expired fails: 2: fresh set 1 without asking, expected not_cached"])
    }),
  )

  it.effect("counts what is worth reaching like what is required", () =>
    Effect.gen(function* () {
      const { problems } = yield* play([{ ...expired, kind: "optimal" }])
      assert.lengthOf(problems, 1)
    }),
  )

  it.effect("fails for a listed test that passes", () =>
    Effect.gen(function* () {
      const { problems } = yield* play([expired], {
        differences: { strictHttp: [listed("expired")], defaults: [listed("expired")] },
      })
      assert.deepStrictEqual(problems, [
        "strictHttp: expired is listed, but passes: 2: fresh set 1 without asking, expected not_cached",
      ])
    }),
  )

  it.effect("fails for a listed test that fails in another way", () =>
    Effect.gen(function* () {
      const otherwise = { ...listed("expired"), problem: "2: no set after asking, expected not_cached" }
      const { problems } = yield* play([expired], { differences: { strictHttp: [], defaults: [otherwise] } })
      assert.deepStrictEqual(problems, [
        "defaults: expired fails: 2: fresh set 1 without asking, expected not_cached",
        "defaults: expired is listed, but does not fail so: 2: no set after asking, expected not_cached",
      ])
    }),
  )

  it.effect("fails for a listed test that there is not, and for one without a right answer", () =>
    Effect.gen(function* () {
      const { problems } = yield* play([{ ...expired, kind: "check" }], {
        differences: { strictHttp: [listed("expired", "gone")], defaults: [] },
      })
      assert.deepStrictEqual(problems, [
        "strictHttp: expired is listed, but has no right answer",
        "strictHttp: gone is listed, but there is no such test",
      ])
    }),
  )

  it.effect("fails for a quote that is none", () =>
    Effect.gen(function* () {
      const { problems } = yield* play([expired], {
        contract: ["Another sentence."],
        differences: { strictHttp: [], defaults: [listed("expired")] },
      })
      assert.deepStrictEqual(problems, ['defaults: no sentence of the contract: "A sentence."'])
    }),
  )

  it.effect("fails for any other number of tests than there must be", () =>
    Effect.gen(function* () {
      const { problems } = yield* play([reused], { count: 168 })
      assert.deepStrictEqual(problems, ["1 tests, not 168"])
    }),
  )

  it.effect("reports a check, whatever comes out", () =>
    Effect.gen(function* () {
      const { lines, problems } = yield* play([{ ...expired, kind: "check" }])
      assert.deepStrictEqual(problems, [])
      assert.include(lines, "    expired: 2: fresh set 1 without asking, expected not_cached")
    }),
  )

  it.effect("does not skip over what it can not play", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(play([{ ...reused, rfc850_dates: ["Expires"] }]))
      assert.strictEqual(exit._tag, "Failure")
    }),
  )
})

describe("a test is played", () => {
  const etag = ["ETag", '"a"'] as const
  const validated = { origin: { status: 304 }, expected: "etag_validated" }
  const strictProblems = (test: object) =>
    Effect.map(play([test]), ({ problems }) =>
      problems.flatMap((problem) => (problem.startsWith("strictHttp: ") ? [problem.replace(/^.*?fails: /, "")] : [])),
    )

  it.effect.each<[name: string, exchanges: ReadonlyArray<Exchange>, problems: ReadonlyArray<string>]>([
    [
      "with validators",
      [stored("no-cache", etag), { ...validated, expected_request_headers: [etag] }],
      ["2: a header field was not sent"],
    ],
    [
      "with the stored validator only",
      [stored("no-cache"), validated],
      ["2: no set after asking, expected etag_validated"],
    ],
    [
      "and a 304 for another set confirms nothing",
      [stored("max-age=2", etag), { ...validated, origin: { status: 304, headers: [["ETag", '"b"']] } }],
      ["2: stale set 1 after asking, expected etag_validated"],
    ],
    [
      "with Last-Modified",
      [stored("no-cache", ["Last-Modified", -60]), { origin: { status: 304 }, expected: "lm_validated" }],
      [],
    ],
    [
      "with dates on the origin's clock",
      [stored("public", ["Expires", 2], ["Date", 0]), { expected: "not_cached" }],
      [],
    ],
    ["with fields that come twice", [stored("public", ["Cache-Control", "no-store"]), { expected: "not_cached" }], []],
    [
      "with an origin that hangs up",
      [
        stored("max-age=2, must-revalidate"),
        { origin: { disconnect: true }, expected: "not_served_from_cache (an error is right)", expected_status: null },
      ],
      [],
    ],
    [
      "with statuses",
      [stored("max-age=2, must-revalidate"), { origin: { status: 404 }, expected_status: 200 }],
      ["2: no set after asking, expected status 200"],
    ],
    ["with an origin that takes its time", [{ origin: { pause_seconds: 2 }, expected: "not_cached" }], []],
    [
      "and tells whose answer was delivered",
      [stored("max-age=60"), { expected_answer_of_request: 2 }],
      ["2: fresh set 1 without asking, expected set 2"],
    ],
    [
      "and takes fields of the delivered answer as delivered",
      [stored("max-age=60", ["A", "1"]), { expected: "cached", expected_response_headers: [["a", "1"]] }],
      [],
    ],
    [
      "and misses fields that a cache would write",
      [stored("max-age=60"), { expected: "cached", expected_response_headers: [["Age", ">", 2]] }],
      ["2: a header field is not in the answer"],
    ],
    [
      "and sees fields that should not be there",
      [stored("max-age=60", ["A", "1"]), { expected_response_headers_missing: ["a", "b"] }],
      ["2: a header field is in the answer"],
    ],
  ])("%s", ([name, exchanges, problems]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* strictProblems(cacheTest(name, "required", exchanges)), problems)
    }),
  )
})

describe("the list", () => {
  it("says each thing once", () => {
    for (const list of Object.values(differences)) {
      const entries = list.flatMap(({ ids, problem }) => ids.map((id) => `${id} ${problem}`))
      assert.lengthOf(new Set(entries), entries.length)
    }
  })

  it("uses every sentence that it quotes", () => {
    const quoted = new Set(Object.values(differences).flatMap((list) => list.map(({ sentence }) => sentence)))
    assert.sameMembers([...quoted], Object.values(contract))
  })
})
