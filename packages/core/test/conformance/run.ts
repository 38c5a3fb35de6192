/**
 * Plays all the HTTP cache tests in every mode, and holds what came out against the list of differences.
 *
 * **Details**
 *
 * A `required` test is passed when everything is as it says, and so is an `optimal` one: not to reach what
 * is worth reaching is a difference too, if an allowed one. A `check` has no right answer: it is played and
 * reported.
 */
import * as Effect from "effect/Effect"
import { type CacheTest, coreTests } from "./CacheTest.ts"
import type { Difference, Differences } from "./differences.ts"
import { fieldsNotSent, judge } from "./judge.ts"
import { type Mode, modes, play } from "./play.ts"

/** What a run is held against. */
export interface Demands {
  /** How many tests there must be. */
  readonly count: number
  /** What differences may quote. */
  readonly contract: ReadonlyArray<string>
  readonly differences: Differences
}

/** What a run found. */
export interface ConformanceReport {
  /** For people. */
  readonly lines: ReadonlyArray<string>
  /** What must not be. */
  readonly problems: ReadonlyArray<string>
}

interface Judged {
  readonly test: CacheTest
  readonly problems: ReadonlyArray<string>
}

/** What of the list does not hold: problems that are not in it, and problems that are in it alone. */
const surprises = (judged: ReadonlyArray<Judged>, listed: ReadonlyArray<Difference>): ReadonlyArray<string> => {
  const byId = new Map(judged.map((one) => [one.test.id, one]))
  const entries = listed.flatMap(({ ids, problem }) => ids.map((id) => ({ id, problem })))
  const unlisted = judged.flatMap(({ problems, test }) =>
    test.kind === "check"
      ? []
      : problems
          .filter((problem) => !entries.some((entry) => entry.id === test.id && entry.problem === problem))
          .map((problem) => `${test.id} fails: ${problem}`),
  )
  const idle = entries.flatMap(({ id, problem }) => {
    const one = byId.get(id)
    if (one === undefined) return [`${id} is listed, but there is no such test`]
    if (one.test.kind === "check") return [`${id} is listed, but has no right answer`]
    if (one.problems.includes(problem)) return []
    return [`${id} is listed, but ${one.problems.length === 0 ? "passes" : "does not fail so"}: ${problem}`]
  })
  return [...unlisted, ...idle]
}

/** The ids of the tests that each sentence explains. */
const explained = (listed: ReadonlyArray<Difference>): ReadonlyMap<string, ReadonlySet<string>> => {
  const bySentence = new Map<string, Set<string>>()
  for (const { ids, sentence } of listed) {
    bySentence.set(sentence, new Set([...(bySentence.get(sentence) ?? []), ...ids]))
  }
  return bySentence
}

const linesOf = (mode: Mode, judged: ReadonlyArray<Judged>, listed: ReadonlyArray<Difference>) => {
  const checks = judged.filter(({ test }) => test.kind === "check")
  const otherwise = checks.filter(({ problems }) => problems.length > 0)
  const passed = judged.filter(({ problems, test }) => test.kind !== "check" && problems.length === 0)
  const differing = judged.length - checks.length - passed.length
  return [
    `${mode}: ${judged.length} played, ${passed.length} passed, ${differing} differ, ${checks.length} checks`,
    ...[...explained(listed)].map(
      ([sentence, ids]) => `  ${ids.size} listed, since "${sentence}":\n    ${[...ids].join("\n    ")}`,
    ),
    `  ${checks.length - otherwise.length} checks go as they ask, ${otherwise.length} another way:`,
    ...otherwise.map(({ problems, test }) => `    ${test.id}: ${problems.join("; ")}`),
  ]
}

/** Plays the tests of a document; throws if it is none. */
export const run = Effect.fnUntraced(function* (
  document: unknown,
  { contract, count, differences }: Demands,
): Effect.fn.Return<ConformanceReport> {
  const tests = coreTests(document)
  const lines: Array<string> = []
  const problems = tests.length === count ? [] : [`${tests.length} tests, not ${count}`]
  for (const mode of modes) {
    const listed = differences[mode]
    const judged = yield* Effect.forEach(tests, (test) =>
      Effect.map(play(test, mode), (observations): Judged => ({ test, problems: judge(test, observations) })),
    )
    lines.push(...linesOf(mode, judged, listed))
    problems.push(...surprises(judged, listed).map((surprise) => `${mode}: ${surprise}`))
    for (const { sentence } of listed) {
      if (!contract.includes(sentence)) problems.push(`${mode}: no sentence of the contract: "${sentence}"`)
    }
  }
  const bare = tests.filter((test) => fieldsNotSent(test).length > 0)
  lines.push(
    `played without header fields that a JWKS client does not send: ${bare.length}`,
    ...bare.map((test) => `  ${test.id}: ${fieldsNotSent(test).join(", ")}`),
  )
  return { lines, problems }
})
