import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { backoff, earlyRefresh, stepper } from "../../src/cache/RefreshDelay.ts"

const drawing = (value: number) =>
  Effect.provideService(Random.Random, { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => value })

const delayOf = (lifetime: number, draw: number, settings = { refreshEarly: 30_000, prefetchJitter: 5_000 }) =>
  stepper(earlyRefresh(settings)).pipe(
    Effect.flatMap((step) => step(0, lifetime)),
    drawing(draw),
  )

describe("earlyRefresh", () => {
  it.effect("leads by refreshEarly and a random part of prefetchJitter", () =>
    Effect.gen(function* () {
      expect(yield* delayOf(600_000, 0)).toBe(570_000)
      expect(yield* delayOf(600_000, 0.5)).toBe(567_500)
    }),
  )

  it.effect("never leads by more than a fifth and a tenth of the lifetime", () =>
    Effect.gen(function* () {
      expect(yield* delayOf(60_000, 0)).toBe(48_000)
      expect(yield* delayOf(60_000, 1, { refreshEarly: 3_600_000, prefetchJitter: 3_600_000 })).toBe(42_000)
    }),
  )
})

describe("backoff", () => {
  const delays = (draw: number, inputs: ReadonlyArray<number>) =>
    stepper(backoff).pipe(
      Effect.flatMap((step) => Effect.forEach(inputs, (retryAfterMillis, i) => step(i, { retryAfterMillis }))),
      drawing(draw),
    )

  it.effect("doubles from 1 s to 60 s", () =>
    Effect.gen(function* () {
      expect(
        yield* delays(
          1,
          Array.from({ length: 9 }, () => 0),
        ),
      ).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
    }),
  )

  it.effect("spreads each delay over the whole range from 0", () =>
    Effect.gen(function* () {
      expect(yield* delays(0, [0, 0])).toEqual([0, 0])
      expect(yield* delays(0.5, [0, 0])).toEqual([500, 1_000])
    }),
  )

  it.effect("never comes before a Retry-After", () =>
    Effect.gen(function* () {
      expect(yield* delays(0.5, [120_000, 0, 700])).toEqual([120_000, 1_000, 2_000])
    }),
  )
})
