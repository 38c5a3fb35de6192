import { assert, describe, it } from "@effect/vitest"
import { DialLimit } from "../../src/internal/DialLimit.ts"

const origin = "https://idp.test"

/** A request that waits until it is told what came of it. */
const send = (dials: DialLimit, to = origin) => {
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  return { answered: dials.during(to, () => promise), reject, resolve }
}

/** How many connections may be made now; more than ten are none too few. */
const dial = (dials: DialLimit, to = origin): number => {
  for (let made = 0; made < 10; made++) {
    try {
      dials.take(to)
    } catch (error) {
      assert.deepInclude(error, { code: "ERR_CONNECTIONS_UNUSED" })
      return made
    }
  }
  return 10
}

describe("The limit of dials", () => {
  it("is three for a request, whose answer is passed on", async () => {
    const dials = new DialLimit()
    const { answered, resolve } = send(dials)
    assert.strictEqual(dial(dials), 3)
    resolve("an answer")
    assert.strictEqual(await answered, "an answer")
  })

  it("begins anew with the next request, also after one that failed", async () => {
    const dials = new DialLimit()
    const first = send(dials)
    assert.strictEqual(dial(dials), 3)
    first.reject(new Error("no connection"))
    assert.strictEqual((await Promise.allSettled([first.answered]))[0]?.status, "rejected")
    const second = send(dials)
    assert.strictEqual(dial(dials), 3)
    second.resolve("")
    await second.answered
  })

  it("is none where nobody waits, and counts each origin by itself", async () => {
    const dials = new DialLimit()
    assert.strictEqual(dial(dials), 0)
    const { answered, resolve } = send(dials, "https://other.test")
    assert.strictEqual(dial(dials), 0)
    assert.strictEqual(dial(dials, "https://other.test"), 3)
    resolve("")
    await answered
    assert.strictEqual(dial(dials, "https://other.test"), 0)
  })

  it("is never more than three for each request, however they overlap", async () => {
    const dials = new DialLimit()
    const requests = [send(dials), send(dials)]
    assert.strictEqual(dial(dials), 6)
    let made = 6
    for (let i = 0; i < 20; i++) {
      const oldest = requests.shift()
      oldest?.resolve("")
      await oldest?.answered
      requests.push(send(dials))
      made += dial(dials)
    }
    assert.strictEqual(made, 3 * 22)
    for (const { resolve } of requests) resolve("")
  })
})
