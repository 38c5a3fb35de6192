import { assert, describe, it } from "@effect/vitest"
import { Oracle } from "./Oracle.ts"
import type { Answer, Happening, Labels, PublishedKey, Question, Settings, Status, TraceEvent } from "./Trace.ts"

const settings: Settings = {
  minTtl: 60_000,
  maxTtl: 86_400_000,
  defaultTtl: 600_000,
  refreshEarly: 30_000,
  prefetchJitter: 5_000,
  staleWhileError: 3_600_000,
  negativeCacheTtl: 30_000,
  removedKeyGrace: 0,
  kidRefresh: { burst: 1, every: 30_000 },
  maxRetries: 0,
  attemptTimeout: 3_000,
  deadline: 8_000,
  maxRedirects: 3,
}

const acme = { tenant: "acme", provider: "one" }
const url = "https://one.test/jwks"
const one: PublishedKey = { kid: "1", thumbprint: "one" }
const two: PublishedKey = { kid: "2", thumbprint: "two" }

const registered = (changes: Partial<Settings> = {}, at = url): Happening => ({
  _tag: "Registered",
  ...acme,
  url: at,
  settings: { ...settings, ...changes },
})
const sent = (
  request: number,
  changes: { readonly noCache?: boolean; readonly url?: string; readonly flight?: number } = {},
): Happening => ({
  _tag: "Requested",
  request,
  url,
  flight: request,
  noCache: false,
  conditional: false,
  ...changes,
})
const brought = (request: number, keys: ReadonlyArray<PublishedKey>, status = 200, retryAfter?: number): Happening => ({
  _tag: "Responded",
  request,
  outcome: { _tag: "Response", status, maxAge: 600, age: undefined, retryAfter, keys },
})
const failed = (request: number, retryAfter?: number) => brought(request, [], 503, retryAfter)
const abandoned = (request: number): Happening => ({ _tag: "Responded", request, outcome: { _tag: "Abandoned" } })
const asks = (
  kid: string | undefined,
  changes: Partial<Extract<Question, { _tag: "ResolveKey" }>> = {},
): Happening => ({
  _tag: "Asked",
  caller: 1,
  question: { _tag: "ResolveKey", ...acme, kid, allowStale: true, ...changes },
})
const gets = (answer: Answer): Happening => ({ _tag: "Answered", caller: 1, answer })
/** The labels of a set that came at 1. */
const fresh: Labels = { freshness: "fresh", fetchedAt: 1, expiresAt: 600_001 }
const stale: Labels = { ...fresh, freshness: "stale" }
const key = (published: PublishedKey, labels: Labels, of = acme) =>
  gets({ _tag: "Key", ...of, ...published, ...labels })
const notFound = (confirmed: boolean) => gets({ _tag: "KeyNotFound", confirmed })
const unavailable = (reason: string) => gets({ _tag: "JwksUnavailable", reason })
const unregistered: Happening = { _tag: "Unregistered", ...acme }
const settled = (status: Partial<Status> = {}): Happening => ({
  _tag: "Settled",
  statuses: { "acme/one": { usable: true, keys: [one], staleUntil: 4_200_001, ...stale, ...status } },
})
const settledEmpty = settled({ usable: false })

type Steps = ReadonlyArray<readonly [at: number, happening: Happening]>

/** A provider that has brought key 1 at 1, for ten minutes. */
const loaded: Steps = [
  [1, registered()],
  [1, sent(1)],
  [1, brought(1, [one])],
]
/** ... and has failed since it expired. */
const failing: Steps = [...loaded, [570_000, sent(2)], [570_000, failed(2)]]

const objectionsTo = (steps: Steps): ReadonlyArray<string> => {
  const oracle = new Oracle()
  for (const [at, happening] of steps) {
    const event: TraceEvent = { ...happening, at }
    oracle.observe(event)
  }
  return oracle.objections.map((objection) => objection.replace(/^at \d+: /, ""))
}

const sound: Readonly<Record<string, Steps>> = {
  "a fresh answer": [...loaded, [5, asks("1")], [5, key(one, fresh)]],
  "a stale answer while refreshes fail": [...failing, [600_002, asks("1")], [600_002, key(one, stale)]],
  "a stale answer from a flight that takes a second": [
    ...loaded,
    [599_900, sent(2)],
    [600_100, asks("1")],
    [600_900, key(one, stale)],
  ],
  "an absence that a forced request proves, and its memory": [
    ...loaded,
    [5, asks("2")],
    [5, sent(2, { noCache: true })],
    [5, brought(2, [one])],
    [5, notFound(true)],
    [9, asks("2")],
    [9, notFound(true)],
  ],
  "the new key that a forced request brings": [
    ...loaded,
    [5, asks("2")],
    [5, sent(2, { noCache: true })],
    [6, brought(2, [one, two])],
    [6, key(two, { ...fresh, fetchedAt: 6, expiresAt: 600_006 })],
  ],
  "a vanished key in its grace": [
    [0, registered({ removedKeyGrace: 60_000 })],
    [1, sent(1)],
    [1, brought(1, [one, two])],
    [570_000, sent(2)],
    [570_000, brought(2, [one])],
    [600_000, asks("2")],
    [600_000, key(two, stale)],
  ],
  "the status of a stale set": [...failing, [600_002, settled()]],
  "a waiter that moves to the flight of the next registration": [
    [1, registered()],
    [1, sent(1)],
    [2, asks("1")],
    [3, registered({ maxRedirects: 2 })],
    [3, abandoned(1)],
    [3, sent(2)],
    [4, brought(2, [one])],
    [4, key(one, { ...fresh, fetchedAt: 4, expiresAt: 600_004 })],
  ],
}

const violations: Readonly<Record<string, readonly [invariant: number, steps: Steps]>> = {
  "an answer past the stale window": [1, [...failing, [4_300_000, asks("1")], [4_300_000, key(one, stale)]]],
  "an answer past the window of no length": [
    1,
    [...loaded, [2, registered({ staleWhileError: 0 })], [600_002, asks("1")], [600_002, key(one, stale)]],
  ],
  "a stale answer that is labelled fresh": [1, [...failing, [600_002, asks("1")], [600_002, key(one, fresh)]]],
  "a set that lives longer than its max-age": [
    1,
    [...loaded, [5, asks("1")], [5, key(one, { ...fresh, expiresAt: 600_002 })]],
  ],
  "a stale answer before anything failed": [
    1,
    [...loaded, [599_900, sent(2)], [600_100, asks("1")], [600_100, key(one, stale)]],
  ],
  "a stale answer to a caller that refuses it": [
    1,
    [...failing, [600_002, asks("1", { allowStale: false })], [600_002, key(one, stale)]],
  ],
  "a status that is usable for too long": [1, [...failing, [600_002, settled({ staleUntil: 4_300_000 })]]],
  "a status of another document": [2, [...failing, [600_002, settled({ keys: [one, two] })]]],
  "a status without the good set": [5, [...failing, [600_002, settled({ usable: false })]]],
  "a key that the provider never published": [
    2,
    [...loaded, [5, asks("1")], [5, key({ ...one, thumbprint: "?" }, fresh)]],
  ],
  "a key of another tenant": [2, [...loaded, [5, asks("1")], [5, key(one, fresh, { ...acme, tenant: "umbrella" })]]],
  "a key under another kid": [2, [...loaded, [5, asks("2")], [5, key(one, fresh)]]],
  "a key that the next document lacks": [
    2,
    [
      ...loaded,
      [570_000, sent(2)],
      [570_000, brought(2, [two])],
      [570_001, asks("1")],
      [570_001, key(one, { ...fresh, fetchedAt: 570_000, expiresAt: 1_170_000 })],
    ],
  ],
  "a set that two documents were merged into": [
    2,
    [
      ...loaded,
      [570_000, sent(2)],
      [570_000, brought(2, [two])],
      [570_001, { _tag: "Asked", caller: 1, question: { _tag: "Resolve", ...acme } }],
      [570_001, gets({ _tag: "Set", ...acme, keys: [one, two], ...fresh, fetchedAt: 570_000, expiresAt: 1_170_000 })],
    ],
  ],
  "a key of the URL before": [
    2,
    [...loaded, [2, registered({}, "https://two.test/jwks")], [3, asks("1")], [3, key(one, fresh)]],
  ],
  "a key of a registration that is gone": [2, [...loaded, [2, unregistered], [3, asks("1")], [3, key(one, fresh)]]],
  "a late answer of the generation before": [
    2,
    [
      [1, registered()],
      [1, sent(1)],
      [2, unregistered],
      [3, registered()],
      [3, sent(2)],
      [4, brought(1, [one])],
      [4, asks("1")],
      [4, key(one, { ...fresh, fetchedAt: 4, expiresAt: 600_004 })],
    ],
  ],
  "the key that a caller refused": [2, [...loaded, [5, asks("1", { notThumbprint: "one" })], [5, key(one, fresh)]]],
  "a request to a URL of nobody": [2, [...loaded, [2, sent(2, { url: "https://two.test/jwks" })]]],
  "two requests at a time": [3, [...loaded, [570_000, sent(2)], [570_001, sent(3)]]],
  "a defect": [4, [...loaded, [5, asks("1")], [5, gets({ _tag: "Broken", what: "a defect" })]]],
  "a caller that waits for ever": [
    4,
    [
      [1, registered()],
      [1, sent(1)],
      [2, asks("1")],
      [20_000, settledEmpty],
    ],
  ],
  "a caller that waits on in a stale window": [4, [...failing, [600_002, asks("1")], [600_900, key(one, stale)]]],
  "NotRegistered for a provider that is": [4, [...loaded, [5, asks("1")], [5, gets({ _tag: "NotRegistered" })]]],
  "RegistryClosed in an open layer": [4, [...loaded, [5, asks("2")], [5, unavailable("RegistryClosed")]]],
  "a good set that a failure removes": [5, [...failing, [600_002, asks("1")], [600_002, unavailable("HttpStatus")]]],
  "a known kid that is not found": [5, [...loaded, [5, asks("1")], [5, notFound(false)]]],
  "a forced request without a token": [
    6,
    [
      ...loaded,
      [5, asks("2")],
      [5, sent(2, { noCache: true })],
      [5, brought(2, [one])],
      [5, notFound(true)],
      [9, asks("3")],
      [9, sent(3, { noCache: true })],
    ],
  ],
  "a forced request that nobody asked for": [6, [...loaded, [5, sent(2, { noCache: true })]]],
  "a fresh set that is refreshed too early": [6, [...loaded, [565_000, sent(2)]]],
  "a set that is not refreshed": [6, [...loaded, [600_100, settled()]]],
  "a failure that nothing follows": [6, [...failing, [700_000, settled()]]],
  "one retry too many": [
    6,
    [
      [1, registered()],
      [1, sent(1)],
      [1, failed(1)],
      [2, sent(2, { flight: 1 })],
    ],
  ],
  "a request before Retry-After is over": [
    6,
    [
      [1, registered()],
      [1, sent(1)],
      [1, failed(1, 30)],
      [30_000, sent(2)],
    ],
  ],
  "an absence that nothing proves": [6, [...loaded, [5, asks("2")], [5, notFound(true)]]],
  "an absence that is not looked for": [6, [...loaded, [5, asks("2")], [5, notFound(false)]]],
  "an attempt without an end": [
    6,
    [
      [1, registered()],
      [1, sent(1)],
      [3_100, settledEmpty],
    ],
  ],
  "a request on the way to a key that is there": [
    7,
    [...loaded, [565_500, asks("1")], [565_500, sent(2)], [565_500, key(one, fresh)]],
  ],
  "a fresh answer that is late": [7, [...loaded, [5, asks("1")], [6, key(one, fresh)]]],
  "a flight that a caller takes along": [
    7,
    [
      [1, registered()],
      [1, sent(1)],
      [2, asks("1")],
      [3, { _tag: "Left", caller: 1 }],
      [3, abandoned(1)],
    ],
  ],
  "a request of a closed layer": [7, [...loaded, [5, { _tag: "Closed" }], [570_000, sent(2)]]],
}

describe("the oracle", () => {
  for (const [name, steps] of Object.entries(sound)) {
    it(`accepts ${name}`, () => assert.deepStrictEqual(objectionsTo(steps), []))
  }
  for (const [name, [invariant, steps]] of Object.entries(violations)) {
    it(`objects to ${name}`, () => {
      const objections = objectionsTo(steps)
      assert.isTrue(objections[0]?.startsWith(`(${invariant})`) ?? false, JSON.stringify(objections))
    })
  }

  it("objects to a caller and a request that outlive the layer", () => {
    const oracle = new Oracle()
    const steps: Steps = [
      [1, registered()],
      [1, sent(1)],
      [2, asks("1")],
      [3, { _tag: "Closed" }],
    ]
    for (const [at, happening] of steps) oracle.observe({ ...happening, at })
    oracle.end()
    assert.deepStrictEqual(
      oracle.objections.map((objection) => /\((\d)\)/.exec(objection)?.[1]),
      ["4", "7"],
    )
  })
})
