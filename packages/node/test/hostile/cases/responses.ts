/**
 * Statuses that are no answer, and confirmations of nothing.
 */
import { type Answer, goodBody, goodKeys, jwks, jwksType, page, response } from "../Answer.ts"
import { about, type Asked, type CaseOf, fails, type HostileCase, holds } from "../HostileCase.ts"

const unasked = "304 to an unconditional request"

const notModified = (headers: ReadonlyArray<string> = []): Answer => response({ status: 304, headers })

const status = (code: number, title: string, rest: Partial<CaseOf> = {}): CaseOf => ({
  title: `status ${code} ${title}`,
  // Also with a good set inside.
  answer: response({ status: code, headers: jwksType, body: goodBody() }),
  expected: fails("HttpStatus", String(code)),
  ...rest,
})

const bare = (code: number): Partial<CaseOf> => ({ answer: response({ status: code, announces: false }) })

export const responseCases: ReadonlyArray<HostileCase> = [
  ...about(
    "status_only_200",
    status(201, "with a good set"),
    status(202, "with a good set"),
    status(203, "with a good set that a proxy has changed"),
    status(204, "without a body", bare(204)),
    status(204, "with a body all the same"),
    status(205, "without a body", bare(205)),
    status(206, "with a part of a set", {
      answer: response({
        status: 206,
        headers: [...jwksType, "Content-Range: bytes 0-99/1000"],
        body: goodBody().slice(0, 100),
      }),
    }),
    status(206, "with a whole set"),
    status(226, "with a good set"),
    status(299, "with a good set"),
  ),
  ...about(
    "status_of_errors",
    ...[400, 401, 403, 404, 407, 410, 418, 451, 500, 502, 503, 599].map((code) => status(code, "with a good set")),
    status(999, "with a good set, as some bot walls have it"),
    status(401, "that asks for a password", {
      answer: response({ status: 401, headers: ['WWW-Authenticate: Basic realm="keys"'], body: page }),
    }),
    status(503, "with a page", { answer: response({ status: 503, headers: ["Content-Type: text/html"], body: page }) }),
  ),
  ...about(
    "not_modified_unasked",
    {
      title: "304 on a first fetch, twice",
      when: "first",
      answer: notModified(),
      expected: fails("BodyInvalid", unasked),
    },
    {
      title: "304 on a first fetch, with an entity tag",
      when: "first",
      answer: notModified(['ETag: "good"']),
      expected: fails("BodyInvalid", unasked),
    },
    {
      title: "304 where the held set came without a validator",
      goodHeaders: ["Cache-Control: max-age=600"],
      answer: notModified(),
      expected: fails("BodyInvalid", unasked),
    },
    {
      title: "304 on a first fetch, and a set when it is asked once more",
      when: "first",
      answer: ({ nth }) => (nth === 1 ? notModified() : jwks(goodKeys(1, 2))),
      expected: holds("static-2"),
    },
  ),
  ...about(
    "not_modified_other_tag",
    {
      title: "304 with another entity tag, twice",
      answer: notModified(['ETag: "other"']),
      expected: fails("BodyInvalid", unasked),
    },
    {
      title: "304 with a weak tag that is another one",
      answer: notModified(['ETag: W/"other"']),
      expected: fails("BodyInvalid", unasked),
    },
    {
      title: "304 with two entity tags",
      answer: notModified(['ETag: "good"', 'ETag: "other"']),
      expected: fails("BodyInvalid", unasked),
    },
    {
      title: "304 with another entity tag, and a set when it is asked without one",
      answer: ({ headers }) => (headers.has("if-none-match") ? notModified(['ETag: "other"']) : jwks(goodKeys(1, 2))),
      expected: holds("static-2"),
    },
    {
      title: "304 with the same tag, marked as weak by a server that compresses",
      answer: notModified(['ETag: W/"good"']),
      expected: { _tag: "Confirms" },
      asFirst: fails("BodyInvalid", unasked),
    },
    {
      title: "304 with a body and a length, which it can not have",
      answer: response({ status: 304, body: goodBody() }),
      expected: { _tag: "Confirms" },
      asFirst: fails("BodyInvalid", unasked),
    },
  ),
  ...about("not_modified_once_more", {
    title: "a cache on the way that answers 304 to whatever it is not told to pass on",
    when: "first",
    answer: ({ headers }) =>
      headers.get("cache-control") === "no-cache" && !headers.has("if-none-match")
        ? jwks(goodKeys(1, 2))
        : notModified(['ETag: "other"']),
    expected: holds("static-2"),
  }),
  ...about("full_fetch", {
    title: "304 for ever: a set as old as maxTtl is asked for whole",
    goodHeaders: ["Cache-Control: max-age=31536000", 'ETag: "good"'],
    answer: ({ headers }) => (headers.has("if-none-match") ? notModified() : jwks(goodKeys(1, 2))),
    expected: holds("static-2"),
  }),
  ...about("validators_final_url", {
    title: "a redirect to another host does not get to see the entity tag",
    reaches: ["other.test"],
    answer: ({ headers, host }, { url }) =>
      host === "idp.test"
        ? response({ status: 302, headers: [`Location: ${url("/jwks", { host: "other.test" })}`] })
        : headers.has("if-none-match")
          ? notModified()
          : jwks(goodKeys(1, 2)),
    expected: holds("static-2"),
  }),
  ...about(
    "validators_sendable",
    {
      title: "an entity tag of 10 kB is not sent back",
      goodHeaders: [`ETag: "${"a".repeat(10_000)}"`],
      answer: ({ headers }) => (headers.has("if-none-match") ? notModified() : jwks(goodKeys(1, 2))),
      expected: holds("static-2"),
    },
    {
      title: "an entity tag with C1 control characters is not sent back",
      goodHeaders: ['ETag: "a\u0085b"'],
      answer: ({ headers }) => (headers.has("if-none-match") ? notModified() : jwks(goodKeys(1, 2))),
      expected: holds("static-2"),
    },
    {
      title: "a Last-Modified that is no date is sent back as it came, and nothing more",
      goodHeaders: ["Last-Modified: yesterday"],
      answer: ({ headers }) =>
        headers.get("if-modified-since") === "yesterday" ? notModified() : jwks(goodKeys(1, 2)),
      expected: { _tag: "Confirms" },
    },
  ),
  ...about(
    "validators_entity_tag",
    ...["*", '"a", "b"', '"a", *', "a b"].map((tag) => ({
      title: `an entity tag that is none, and matches more than one set: ${tag}`,
      goodHeaders: [`ETag: ${tag}`],
      answer: ({ headers }: Asked) => (headers.has("if-none-match") ? notModified() : jwks(goodKeys(1, 2))),
      expected: holds("static-2"),
    })),
    {
      title: "an entity tag without quotes is sent back as it came",
      goodHeaders: ["ETag: 5f-0c"],
      answer: ({ headers }) => (headers.get("if-none-match") === "5f-0c" ? notModified() : jwks(goodKeys(1, 2))),
      expected: { _tag: "Confirms" },
    },
  ),
  ...about(
    "retry_after_max",
    {
      title: "429 with a Retry-After of years",
      answer: response({ status: 429, headers: ["Retry-After: 999999999"] }),
      expected: fails("HttpStatus", "429", [600, 600]),
    },
    {
      title: "503 with a Retry-After in the year 9999",
      answer: response({ status: 503, headers: ["Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"] }),
      expected: fails("HttpStatus", "503", [600, 600]),
    },
  ),
  ...about(
    "retry_after_form",
    ...(
      [
        ["that is no number", "soon"],
        ["that is negative", "-60"],
        ["in the past", "Thu, 01 Jan 1970 00:00:00 GMT"],
        ["in hexadecimal", "0xffff"],
        ["of 9 kB of digits", "9".repeat(9_000)],
        ["that is a list", "60, 120"],
      ] as const
    ).map(([what, value]): CaseOf => ({
      title: `503 with a Retry-After ${what}`,
      answer: response({ status: 503, headers: [`Retry-After: ${value}`] }),
      expected: fails("HttpStatus", "503", [0, 1]),
    })),
  ),
]
