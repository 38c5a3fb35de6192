/**
 * What is not as a cache test says. Pure.
 *
 * **Details**
 *
 * An answer of the registry is a set with its times and has no header fields. A field counts as there if the
 * origin sent it with the set that was delivered: it tells whose answer that is, and so does the set. A field
 * that a cache writes itself (`Age`) or takes over from a 304 is never there.
 *
 * A failure is an answer with the origin's status; one that is remembered is answered from the cache.
 */
import type { CacheTest, ExpectedField } from "./CacheTest.ts"
import type { Observation } from "./play.ts"

const isSame = (name: string, other: string): boolean => name.toLowerCase() === other.toLowerCase()

/** In words, how a request was answered. */
const described = ({ answer, sent }: Observation): string => {
  const what = answer._tag === "Set" ? `${answer.freshness} set ${answer.of}` : "no set"
  return `${what} ${sent.length === 0 ? "without" : "after"} asking`
}

/** Whether the request at this place was answered as the test expects. */
const isAsExpected = (test: CacheTest, at: number, observations: ReadonlyArray<Observation>): boolean => {
  const request = test.requests[at]
  const observation = observations[at]
  if (request === undefined || observation === undefined) return false
  const { expected, origin } = request
  if (expected === undefined) return true
  const { answer, sent } = observation
  const earlier = observations.slice(0, at)
  const isFromStore = answer._tag === "Set" && answer.of <= at
  const isValidated = (validator: string, condition: string) => {
    const stored = earlier
      .flatMap(({ received }) => received)
      .findLast((headers) => headers[validator] !== undefined)?.[validator]
    const isConfirmed = isFromStore && answer.freshness === "fresh" && origin.status === 304
    return isConfirmed && stored !== undefined && sent.some((headers) => headers[condition] === stored)
  }
  switch (expected) {
    case "cached":
      return sent.length === 0 && earlier.some((before) => before.answer.of === answer.of)
    case "not_cached":
      return sent.length > 0 && answer.of === (answer._tag === "Set" ? at + 1 : origin.status)
    case "etag_validated":
      return isValidated("etag", "if-none-match")
    case "lm_validated":
      return isValidated("last-modified", "if-modified-since")
    case "not_served_from_cache (an error is right)":
      return !isFromStore
  }
}

/** What the origin sent under a name with the set that was delivered. */
const delivered = (test: CacheTest, { answer }: Observation, name: string): ReadonlyArray<string | number> => {
  const fields = answer._tag === "Set" ? (test.requests[answer.of - 1]?.origin.headers ?? []) : []
  return fields.flatMap(([other, value]) => (isSame(name, other) ? [value] : []))
}

const isDelivered = (test: CacheTest, observation: Observation, expected: ExpectedField): boolean => {
  if (typeof expected === "string") return delivered(test, observation, expected).length > 0
  const [name, value, bound] = expected
  return bound === undefined && delivered(test, observation, name).includes(value)
}

/** The header fields of the client's own requests, which a registry can not be given. */
export const fieldsNotSent = ({ requests }: CacheTest): ReadonlyArray<string> => [
  ...new Set(requests.flatMap(({ request }) => request.headers ?? []).map(([name]) => name)),
]

/** What of a test is not as it says, request by request. */
export const judge = (test: CacheTest, observations: ReadonlyArray<Observation>): ReadonlyArray<string> =>
  test.requests.flatMap((request, at) => {
    const observation = observations[at]
    if (observation === undefined) return [`${at + 1}: not played`]
    const { answer, sent } = observation
    const status = { Set: 200, Status: answer.of, Failure: undefined }[answer._tag]
    const { expected, expected_answer_of_request: wantedSet, expected_status: wantedStatus } = request
    const isUnsendable = (name: string) => fieldsNotSent(test).some((unsent) => isSame(unsent, name))
    const expectations = [
      [`${described(observation)}, expected ${expected}`, isAsExpected(test, at, observations)],
      [
        `${described(observation)}, expected set ${wantedSet}`,
        wantedSet === undefined || (answer._tag === "Set" && answer.of === wantedSet),
      ],
      [
        `${described(observation)}, expected status ${wantedStatus}`,
        typeof wantedStatus !== "number" || status === wantedStatus,
      ],
      [
        "a header field was not sent",
        (request.expected_request_headers ?? []).every(
          ([name, value]) => isUnsendable(name) || sent.at(-1)?.[name.toLowerCase()] === value,
        ),
      ],
      [
        "a header field is not in the answer",
        (request.expected_response_headers ?? []).every((field) => isDelivered(test, observation, field)),
      ],
      [
        "a header field is in the answer",
        (request.expected_response_headers_missing ?? []).every((field) => !isDelivered(test, observation, field)),
      ],
    ] as const
    return expectations.flatMap(([problem, isMet]) => (isMet ? [] : [`${at + 1}: ${problem}`]))
  })
