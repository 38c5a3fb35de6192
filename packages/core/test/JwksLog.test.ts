import { assert, describe, it } from "@effect/vitest"
import type { JwksEvent, JwksEventBody } from "@effect-jwks/core"
import { describeEvent, logLine } from "../src/JwksLog.ts"

const eventOf = (body: JwksEventBody): JwksEvent => ({ ...body, tenant: "acme", provider: "idp", time: 0 })

/** Events that happen too often, or say too little, for a line in the log. */
const quiet: ReadonlyArray<readonly [JwksEventBody, string]> = [
  [
    { _tag: "RefreshSucceeded", notModified: true, keys: 2, durationMillis: 12.4, expiresAt: 60_000 },
    "JWKS confirmed in 12 ms, fresh until 1970-01-01T00:01:00.000Z; usable keys: 2",
  ],
  [
    { _tag: "RefreshSucceeded", notModified: false, keys: 1, durationMillis: 0.6, expiresAt: 60_000 },
    "JWKS fetched in 1 ms, fresh until 1970-01-01T00:01:00.000Z; usable keys: 1",
  ],
  [
    { _tag: "SnapshotRestored", keys: 3, fetchedAt: 0, expiresAt: 1, staleUntil: 2 },
    "JWKS restored from its snapshot, fetched at 1970-01-01T00:00:00.000Z; usable keys: 3",
  ],
  [{ _tag: "UnknownKid", kid: "\u009bk", confirmed: true }, 'somebody asked for kid "\\u009bk", which the set lacks'],
  [
    { _tag: "UnknownKid", confirmed: false },
    "somebody asked for a key without kid, which the set lacks; not confirmed by the provider",
  ],
]

describe("An event", () => {
  it.each(quiet)("%j can be told, and is not logged", (body, message) => {
    assert.strictEqual(describeEvent(eventOf(body)).message, message)
    assert.isUndefined(logLine(eventOf(body)))
  })

  it("that is logged is told in the same words", () => {
    const event = eventOf({ _tag: "RefreshRecovered", failures: 3 })
    assert.deepStrictEqual(logLine(event), { level: "Info", message: "JWKS refresh recovered after 3 failed" })
    assert.deepStrictEqual(describeEvent(event), logLine(event))
  })
})
