/**
 * Where the registry does not do what an HTTP cache test says, and the sentence of the contract that wants
 * it so.
 */
import type { Mode } from "./play.ts"

/** The sentences, word by word. */
export const contract = {
  clamp: "Remaining lifetime = clamp(lifetime - age, `minTtl`, `maxTtl`).",
  expired: "`no-store`, `no-cache` and expired responses live `minTtl`.",
  nothingUsable: "lifetime when the response says nothing usable",
  age: "Age is ours: max(0, `Age`, received - `Date`), negative or absurd values ignored.",
  noStore: "`no-store` is never persisted and gone once its flight's waiters are answered",
  noCacheRequest: "Forced revalidations and `refresh` send `Cache-Control: no-cache`.",
  joinThenStale:
    "Expired, with no failed attempt since (the process slept): join the flight; at the first failed attempt, or once the flight is 1 s old, those inside the stale window get the stale answer; the flight goes on.",
  rememberedFailure: "A remembered failure answers at once, with `retryAfterMillis`.",
  memoryEnds:
    "A remembered failure lasts until the next attempt, at most `negativeCacheTtl` unless a `Retry-After` says longer.",
  answer:
    "`ResolvedJwks { tenant, provider, jwks: { keys }, freshness, fetchedAt, expiresAt }`; both frozen, and the same object on every hit of the same set.",
} as const

/** Tests in which the same is not as they say, for the same reason. */
export interface Difference {
  /** Of {@link contract}, word by word. */
  readonly sentence: string
  /** What is not as the tests say, as `judge` puts it. */
  readonly problem: string
  readonly ids: ReadonlyArray<string>
}

/** By mode. A test can be in several, one for each of its problems. */
export type Differences = Readonly<Record<Mode, ReadonlyArray<Difference>>>
/** A failure is no response that could be stored: it is forgotten when the next attempt is due. */
const failuresForgotten: Difference = {
  sentence: contract.memoryEnds,
  problem: "2: no set after asking, expected cached",
  ids: [
    "status-203-fresh",
    "status-204-fresh",
    "status-299-fresh",
    "status-400-fresh",
    "status-404-fresh",
    "status-410-fresh",
    "status-499-fresh",
    "status-500-fresh",
    "status-502-fresh",
    "status-503-fresh",
    "status-504-fresh",
    "status-599-fresh",
  ],
}

/** And until then it is not asked again. */
const failureRemembered: Difference = {
  sentence: contract.rememberedFailure,
  problem: "2: no set without asking, expected not_cached",
  ids: ["status-599-must-understand"],
}

/** 2^31 s are 68 years. */
const absurdAge: Difference = {
  sentence: contract.age,
  problem: "2: fresh set 1 without asking, expected not_cached",
  ids: ["age-parse-large-minus-one", "age-parse-large", "age-parse-larger"],
}

/** An answer is a set with its times: no `Age` that grows, no fields of a 304. */
const noFields: ReadonlyArray<Difference> = [
  {
    sentence: contract.answer,
    problem: "2: a header field is not in the answer",
    ids: [
      "304-etag-update-response-Test-Header",
      "304-etag-update-response-X-Test-Header",
      "304-etag-update-response-Content-Foo",
      "304-etag-update-response-X-Content-Foo",
      "304-etag-update-response-Cache-Control",
      "other-age-gen",
      "other-age-update-expires",
      "other-age-update-max-age",
    ],
  },
  {
    sentence: contract.answer,
    problem: "3: a header field is not in the answer",
    ids: [
      "304-etag-update-response-Test-Header",
      "304-etag-update-response-X-Test-Header",
      "304-etag-update-response-Content-Foo",
      "304-etag-update-response-X-Content-Foo",
      "304-etag-update-response-Cache-Control",
    ],
  },
]

/** By mode. A test can be in several, one for each of its problems. */
export const differences: Differences = {
  strictHttp: [
    absurdAge,
    failuresForgotten,
    failureRemembered,
    ...noFields,
    {
      sentence: contract.noStore,
      problem: "2: fresh set 2 after asking, expected cached",
      ids: ["status-200-must-understand"],
    },
    // Refresh ahead of expiry stands in for `stale-while-revalidate`, but not in a process that slept.
    {
      sentence: contract.joinThenStale,
      problem: "2: fresh set 2 after asking, expected cached",
      ids: ["stale-while-revalidate", "stale-while-revalidate-window"],
    },
    // `max-age=0` is what browsers send when a page asks them to revalidate.
    {
      sentence: contract.noCacheRequest,
      problem: "2: a header field was not sent",
      ids: ["cc-resp-immutable-stale"],
    },
  ],
  defaults: [
    absurdAge,
    failuresForgotten,
    failureRemembered,
    ...noFields,
    {
      sentence: contract.nothingUsable,
      problem: "2: fresh set 1 without asking, expected not_cached",
      ids: ["freshness-max-age-single-quoted"],
    },
    {
      sentence: contract.clamp,
      problem: "2: fresh set 1 without asking, expected not_cached",
      ids: [
        "freshness-max-age-stale",
        "freshness-max-age-s-maxage-private",
        "freshness-max-age-s-maxage-private-multiple",
        "freshness-max-age-ignore-quoted",
        "freshness-max-age-ignore-quoted-rev",
      ],
    },
    {
      sentence: contract.clamp,
      problem: "2: fresh set 1 without asking, expected etag_validated",
      ids: [
        "cc-resp-immutable-stale",
        "conditional-etag-vary-headers",
        "conditional-etag-strong-generate",
        "conditional-etag-weak-generate-weak",
        "304-etag-update-response-Test-Header",
        "304-etag-update-response-X-Test-Header",
        "304-etag-update-response-Content-Foo",
        "304-etag-update-response-X-Content-Foo",
        "304-etag-update-response-Cache-Control",
        "304-etag-update-response-Content-Length",
      ],
    },
    {
      sentence: contract.clamp,
      problem: "2: a header field was not sent",
      ids: ["cc-resp-immutable-stale", "conditional-etag-strong-generate", "conditional-etag-weak-generate-weak"],
    },
    {
      sentence: contract.clamp,
      problem: "2: fresh set 1 without asking, expected lm_validated",
      ids: ["304-lm-use-stored-Test-Header"],
    },
    {
      sentence: contract.clamp,
      problem: "3: fresh set 1 without asking, expected etag_validated",
      ids: ["cc-resp-must-revalidate-stale"],
    },
    {
      sentence: contract.clamp,
      problem: "3: fresh set 1 without asking, expected set 3",
      ids: ["stale-while-revalidate-window"],
    },
    {
      sentence: contract.clamp,
      problem: "2: fresh set 1 without asking, expected not_served_from_cache (an error is right)",
      ids: ["stale-close-must-revalidate"],
    },
    {
      sentence: contract.expired,
      problem: "2: fresh set 1 without asking, expected not_served_from_cache (an error is right)",
      ids: ["stale-close-no-cache"],
    },
    {
      sentence: contract.expired,
      problem: "2: fresh set 1 without asking, expected etag_validated",
      ids: ["cc-resp-no-cache-revalidate", "cc-resp-no-cache-revalidate-fresh"],
    },
    {
      sentence: contract.expired,
      problem: "2: fresh set 1 without asking, expected not_cached",
      ids: [
        "freshness-max-age-0",
        "freshness-max-age-age",
        "freshness-max-age-0-expires",
        "freshness-max-age-negative",
        "age-parse-suffix",
        "age-parse-suffix-twoline",
        "freshness-expires-past",
        "freshness-expires-present",
        "freshness-expires-old-date",
        "freshness-expires-invalid",
        "freshness-expires-age-slow-date",
        "freshness-expires-age-fast-date",
        "freshness-expires-invalid-utc",
        "freshness-expires-invalid-aest",
        "freshness-expires-invalid-2-digit-year",
        "freshness-expires-invalid-no-comma",
        "freshness-expires-invalid-multiple-spaces",
        "freshness-expires-invalid-date-dashes",
        "freshness-expires-invalid-time-periods",
        "freshness-expires-invalid-1-digit-hour",
        "freshness-expires-invalid-multiple-lines",
        "cc-resp-no-store",
        "cc-resp-no-store-case-insensitive",
        "cc-resp-no-store-fresh",
        "cc-resp-no-cache",
        "cc-resp-no-cache-case-insensitive",
        "status-200-stale",
      ],
    },
  ],
}
