import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import { plans } from "./Commands.ts"
import { run } from "./Run.ts"
import type { TraceEvent } from "./Trace.ts"

/** `MODEL_RUNS` and `MODEL_SEED` make it look further. */
const runs = Number(process.env["MODEL_RUNS"] ?? 1_000)
const seed = process.env["MODEL_SEED"] ?? "model"

/** What a run of 1,000 plans must meet, for its silence to mean something. */
const situations = [
  "Left",
  "Key fresh",
  "Key stale",
  "Set fresh",
  "Set stale",
  "Refreshed by 200",
  "Refreshed by 304",
  "KeyNotFound, confirmed",
  "KeyNotFound, not confirmed",
  "KeyAmbiguous",
  "NotRegistered",
  "a key in its grace",
  "a waiter that the end of the layer answers",
  "an answer of a later generation",
  ...["TransportFailed", "TimedOut", "HttpStatus", "BodyInvalid", "NoUsableKeys"],
  ...["200", "304", "404", "500", "503", "Refused", "Abandoned"],
]

const answerName = (event: Extract<TraceEvent, { _tag: "Answered" }>): string => {
  const { answer } = event
  switch (answer._tag) {
    case "Key":
    case "Set":
      if (answer.freshness === "stale" && event.at < answer.expiresAt) return "a key in its grace"
      return `${answer._tag} ${answer.freshness}`
    case "Refreshed":
      return `Refreshed by ${answer.notModified ? 304 : 200}`
    case "KeyNotFound":
      return `KeyNotFound, ${answer.confirmed ? "confirmed" : "not confirmed"}`
    case "JwksUnavailable":
      return answer.reason
    case "Broken":
    case "KeyAmbiguous":
    case "NotRegistered":
      return answer._tag
  }
}

/** The situations that a trace met. */
const situationsIn = (trace: ReadonlyArray<TraceEvent>): ReadonlySet<string> => {
  const met = new Set<string>()
  const waiting = new Set<number>()
  const disturbed = new Set<number>()
  let closedAt: number | undefined
  for (const event of trace) {
    if (event._tag === "Asked") waiting.add(event.caller)
    else if (event._tag === "Registered") for (const caller of waiting) disturbed.add(caller)
    else if (event._tag === "Closed") closedAt = event.at
    else if (event._tag === "Left") met.add("Left")
    else if (event._tag === "Responded")
      met.add("status" in event.outcome ? `${event.outcome.status}` : event.outcome._tag)
    else if (event._tag === "Answered") {
      met.add(answerName(event))
      if (disturbed.has(event.caller) && event.answer._tag === "Key") met.add("an answer of a later generation")
      if (event.at === closedAt) met.add("a waiter that the end of the layer answers")
      waiting.delete(event.caller)
    }
  }
  return met
}

describe("the registry under random use", () => {
  it.live(
    "does what the contract says",
    () =>
      Effect.gen(function* () {
        const met = new Map<string, number>()
        const result = yield* Arbitrary.checkEffect(
          plans(40),
          (plan) =>
            Effect.flatMap(run(plan), ({ objections, trace }) => {
              for (const situation of situationsIn(trace)) met.set(situation, (met.get(situation) ?? 0) + 1)
              return objections.length === 0 ? Effect.succeed(true) : Effect.fail(objections)
            }),
          { runs, seed, size: 400, maxShrinks: 500 },
        )
        assert.strictEqual(Arbitrary.formatCheckFailure(result), undefined)
        assert.deepStrictEqual(
          situations.filter((situation) => (met.get(situation) ?? 0) < 5),
          [],
        )
      }),
    120_000,
  )
})
