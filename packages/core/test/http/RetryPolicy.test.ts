import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { type FetchFailure, retryAfterMillis, retrySchedule } from "../../src/http/RetryPolicy.ts"
import type { UnavailableReason } from "../../src/JwksError.ts"
import { defaultSettings, type ResolvedSettings } from "../../src/Provider.ts"

type RetryPolicy = ResolvedSettings["retryPolicy"]

const policy = (options: Partial<RetryPolicy> = {}): RetryPolicy => ({
  ...defaultSettings.retryPolicy,
  jitter: "none",
  ...options,
})

const url = "https://idp.example.com/jwks"

const status = (code: number): UnavailableReason => ({ _tag: "HttpStatus", url, status: code })

const failing = (reason: UnavailableReason, wait?: number): FetchFailure => ({
  reason,
  ...(wait !== undefined && { retryAfterMillis: wait }),
})

/** Random numbers that are always the same one. */
const always = (value: number): Random.Random => ({ nextIntUnsafe: () => 0, nextDoubleUnsafe: () => value })

/** Fails `failures` in turn (the last one again and again); the times of the attempts, and how it ended. */
const attemptTimes = (
  failures: readonly [FetchFailure, ...ReadonlyArray<FetchFailure>],
  options: { readonly policy?: Partial<RetryPolicy>; readonly deadline?: number; readonly random?: number } = {},
) =>
  Effect.gen(function* () {
    const times: Array<number> = []
    const start = yield* Clock.currentTimeMillis
    const clock = yield* Clock.Clock
    const timeLeft = () => start + (options.deadline ?? 60_000) - clock.currentTimeMillisUnsafe()
    const fiber = yield* Effect.suspend(() => {
      const failure = failures[times.length] ?? failures[failures.length - 1] ?? failures[0]
      times.push(clock.currentTimeMillisUnsafe() - start)
      return Effect.fail(failure)
    }).pipe(
      Effect.retry(retrySchedule(policy(options.policy), timeLeft)),
      Effect.flip,
      Effect.provideService(Random.Random, always(options.random ?? 0.5)),
      Effect.forkChild,
    )
    yield* TestClock.adjust("10 minutes")
    const failure = yield* Fiber.join(fiber)
    const endedAt = yield* Clock.currentTimeMillis
    return { times, failure, endedAt }
  })

describe("retrySchedule", () => {
  it.effect("tries maxRetries times more, with a back-off that doubles up to maxBackoff", () =>
    Effect.gen(function* () {
      const { times } = yield* attemptTimes([failing(status(503))], { policy: { maxRetries: 6 } })
      assert.deepStrictEqual(times, [0, 250, 750, 1750, 3750, 5750, 7750])
    }),
  )

  it.effect("does not retry with maxRetries 0", () =>
    Effect.gen(function* () {
      const { times } = yield* attemptTimes([failing(status(503))], { policy: { maxRetries: 0 } })
      assert.deepStrictEqual(times, [0])
    }),
  )

  it.effect("fails with the last failure", () =>
    Effect.gen(function* () {
      const { failure, times } = yield* attemptTimes([failing(status(500)), failing(status(502)), failing(status(503))])
      assert.deepStrictEqual(times, [0, 250, 750])
      assert.deepStrictEqual(failure, failing(status(503)))
    }),
  )

  it.effect.each<readonly [string, UnavailableReason]>([
    ["a transport failure", { _tag: "TransportFailed", url, detail: "ECONNRESET" }],
    ["a timeout", { _tag: "TimedOut", url, limit: "attemptTimeout", afterMillis: 3000 }],
    ["status 408", status(408)],
    ["status 425", status(425)],
    ["status 429", status(429)],
    ["status 500", status(500)],
    ["status 503", status(503)],
    ["status 520", status(520)],
  ])("retries %s", ([_, reason]) =>
    Effect.gen(function* () {
      const { times } = yield* attemptTimes([failing(reason)])
      assert.deepStrictEqual(times, [0, 250, 750])
    }),
  )

  it.effect.each<readonly [string, UnavailableReason]>([
    ["status 400", status(400)],
    ["status 403", status(403)],
    ["status 404", status(404)],
    ["a refused redirect", { _tag: "RedirectRefused", url, rule: "" }],
    ["a refused URL", { _tag: "UrlRefused", url, rule: "" }],
    ["a refused address", { _tag: "AddressRefused", host: "localhost", rule: "" }],
    ["a pin mismatch", { _tag: "PinMismatch", url }],
    ["a body that is too large", { _tag: "BodyTooLarge", url, limitBytes: 1 }],
    ["a body that is invalid", { _tag: "BodyInvalid", url, rule: "" }],
    ["a set without usable keys", { _tag: "NoUsableKeys", url, dropped: 1 }],
  ])("does not retry %s", ([_, reason]) =>
    Effect.gen(function* () {
      const { failure, times } = yield* attemptTimes([failing(reason)])
      assert.deepStrictEqual(times, [0])
      assert.deepStrictEqual(failure.reason, reason)
    }),
  )

  it.effect("stops at the first failure that is not transient", () =>
    Effect.gen(function* () {
      const { times } = yield* attemptTimes([failing(status(503)), failing(status(404))])
      assert.deepStrictEqual(times, [0, 250])
    }),
  )

  describe("Retry-After", () => {
    it.effect("is a floor for the delay", () =>
      Effect.gen(function* () {
        const { times } = yield* attemptTimes([failing(status(503), 5_000), failing(status(503), 100)])
        assert.deepStrictEqual(times, [0, 5_000, 5_500])
      }),
    )

    it.effect("ends the flight at once when it reaches to the deadline", () =>
      Effect.gen(function* () {
        const { failure, times } = yield* attemptTimes([failing(status(429), 8_000)], { deadline: 8_000 })
        assert.deepStrictEqual(times, [0])
        assert.strictEqual(failure.retryAfterMillis, 8_000)
      }),
    )
  })

  it.effect("starts no retry at or past the deadline", () =>
    Effect.gen(function* () {
      const at = (deadline: number) => attemptTimes([failing(status(503))], { deadline })
      assert.deepStrictEqual((yield* at(750)).times, [0, 250])
      assert.deepStrictEqual((yield* at(751)).times, [0, 250, 750])
      assert.deepStrictEqual((yield* at(250)).times, [0])
      assert.deepStrictEqual((yield* at(0)).times, [0])
      assert.deepStrictEqual((yield* at(-1)).times, [0])
    }),
  )

  describe("jitter", () => {
    it.effect.each([
      [0, [0, 0, 0, 0]],
      [0.5, [0, 125, 375, 875]],
      [0.999999, [0, 250, 750, 1750]],
    ] as const)("full spreads from 0 to the back-off (random %s)", ([random, expected]) =>
      Effect.gen(function* () {
        const { times } = yield* attemptTimes([failing(status(503))], {
          policy: { jitter: "full", maxRetries: 3 },
          random,
        })
        assert.deepStrictEqual(times, [...expected])
      }),
    )

    it.effect.each([
      [0, [0, 250, 500, 750]],
      // 250 + 0.5 * (3 * 250 - 250) = 500, 250 + 0.5 * (1500 - 250) = 875, 250 + 0.5 * (2625 - 250) = 1437.5
      [0.5, [0, 500, 1375, 2813]],
      [0.999999, [0, 750, 2750, 4750]],
    ] as const)("decorrelated spreads from the first to three times the previous (random %s)", ([random, expected]) =>
      Effect.gen(function* () {
        const { times } = yield* attemptTimes([failing(status(503))], {
          policy: { jitter: "decorrelated", maxRetries: 3 },
          random,
        })
        assert.deepStrictEqual(times, [...expected])
      }),
    )

    it.effect("decorrelated does not grow from a Retry-After", () =>
      Effect.gen(function* () {
        const { times } = yield* attemptTimes([failing(status(503), 10_000), failing(status(503))], {
          policy: { jitter: "decorrelated" },
          random: 0.5,
        })
        assert.deepStrictEqual(times, [0, 10_000, 10_875])
      }),
    )

    it.effect.prop(
      "never waits longer than maxBackoff",
      {
        jitter: Schema.Literals(["none", "full", "decorrelated"]),
        initialBackoff: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 })),
        maxBackoff: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 })),
        random: Schema.Literals([0, 0.1, 0.5, 0.9, 0.999999]),
      },
      ({ random, ...options }) =>
        Effect.gen(function* () {
          const { times } = yield* attemptTimes([failing(status(503))], {
            policy: { ...options, maxRetries: 10 },
            random,
          })
          assert.lengthOf(times, 11)
          for (const [index, time] of times.entries()) {
            assert.isAtMost(time - (times[index - 1] ?? 0), options.maxBackoff)
          }
        }),
      { arbitrary: { runs: 50 } },
    )
  })

  it.effect("keeps no state between two flights", () =>
    Effect.gen(function* () {
      const schedule = retrySchedule(policy(), () => 60_000)
      let attempts = 0
      const flight = Effect.suspend(() => {
        attempts += 1
        return Effect.fail(failing(status(503)))
      }).pipe(Effect.retry(schedule), Effect.flip)
      for (const expected of [3, 6]) {
        const fiber = yield* Effect.forkChild(flight)
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(fiber)
        assert.strictEqual(attempts, expected)
      }
    }),
  )
})

describe("retryAfterMillis", () => {
  /** Sun, 06 Nov 1994 08:49:37 GMT */
  const now = 784_111_777_000

  it.each([
    ["0", 0],
    ["120", 120_000],
    [" 120 ", 120_000],
    ["600", 600_000],
    ["601", 600_000],
    ["99999999999999999999", 600_000],
    ["-1", 0],
    ["Sun, 06 Nov 1994 08:50:37 GMT", 60_000],
    ["Sunday, 06-Nov-94 08:50:37 GMT", 60_000],
    ["Sun Nov  6 08:50:37 1994", 60_000],
    ["Sun, 06 Nov 1994 08:49:37 GMT", 0],
    ["Sun, 06 Nov 1994 08:48:37 GMT", 0],
    ["Mon, 06 Nov 2034 08:49:37 GMT", 600_000],
  ])("reads '%s' as %s ms", (header, millis) => assert.strictEqual(retryAfterMillis(header, now), millis))

  it.each([undefined, "", "soon", "1.5", "1e3", "0x10", "120 s", "120, 120", "1994-11-06T08:50:37Z", "9".repeat(65)])(
    "ignores '%s'",
    (header) => assert.isUndefined(retryAfterMillis(header, now)),
  )

  it.prop("is never negative and never over ten minutes", { header: Schema.String }, ({ header }) => {
    const millis = retryAfterMillis(header, now)
    assert.isTrue(millis === undefined || (millis >= 0 && millis <= 600_000))
  })
})
