import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import {
  evaluate,
  type FreshnessSettings,
  type FreshnessVerdict,
  mergeNotModified,
  storedFields,
} from "../../src/http/Freshness.ts"
import { defaultSettings } from "../../src/Provider.ts"

/** Sun, 06 Nov 1994 08:49:37 GMT, the date of the RFCs' examples, and half a second. */
const receivedAt = 784_111_777_500

const at = (seconds: number): string => new Date(784_111_777_000 + seconds * 1_000).toUTCString()

const settings = (options: Partial<FreshnessSettings> = {}): FreshnessSettings => ({
  minTtl: 60_000,
  maxTtl: 86_400_000,
  defaultTtl: 600_000,
  staleWhileError: 3_600_000,
  strictHttp: false,
  ...options,
})

const strict = { strictHttp: true }

const verdict = (headers: Record<string, string>, options: Partial<FreshnessSettings> = {}): FreshnessVerdict =>
  evaluate(headers, receivedAt, settings(options))

/** Remaining lifetime in seconds. */
const lifetime = (headers: Record<string, string>, options: Partial<FreshnessSettings> = {}): number =>
  verdict(headers, options).lifetimeMillis / 1_000

const cacheControl = (value: string, options: Partial<FreshnessSettings> = {}): number =>
  lifetime({ "cache-control": value }, options)

const defaultTtl = 600
const minTtl = 60
const maxTtl = 86_400

describe("evaluate", () => {
  it("takes its settings from a provider's", () => {
    assert.deepStrictEqual(evaluate({}, receivedAt, defaultSettings), {
      lifetimeMillis: 600_000,
      staleMillis: 3_600_000,
      keep: true,
    })
  })

  describe("lifetime", () => {
    it.each([
      ["max-age=3600", 3600],
      ["public, max-age=18000, must-revalidate", 18_000],
      ["max-age=86400, private", 86_400],
      ["public, max-age=900, stale-while-revalidate=15, stale-if-error=86400", 900],
      ["max-age=0900", 900],
    ])("follows '%s'", (value, seconds) => assert.strictEqual(cacheControl(value), seconds))

    it("is clamped up to minTtl and down to maxTtl", () => {
      assert.strictEqual(cacheControl("max-age=15, stale-while-revalidate=15, stale-if-error=86400"), minTtl)
      assert.strictEqual(cacheControl("max-age=60"), minTtl)
      assert.strictEqual(cacheControl("max-age=61"), 61)
      assert.strictEqual(cacheControl("max-age=0"), minTtl)
      assert.strictEqual(cacheControl("max-age=31104000"), maxTtl)
      assert.strictEqual(cacheControl("max-age=86401"), maxTtl)
    })

    it("is minTtl for no-store, no-cache and expired responses", () => {
      assert.strictEqual(cacheControl("no-store"), minTtl)
      assert.strictEqual(cacheControl("no-store, max-age=3600"), minTtl)
      assert.strictEqual(cacheControl("no-cache"), minTtl)
      assert.strictEqual(cacheControl("no-cache, no-store, max-age=0, must-revalidate"), minTtl)
      assert.strictEqual(lifetime({ expires: at(-10), date: at(0) }), minTtl)
      assert.strictEqual(lifetime({ "cache-control": "max-age=100", age: "5000" }), minTtl)
    })

    it("reads directive names in any case", () => {
      assert.strictEqual(cacheControl("Max-Age=3600"), 3600)
      assert.strictEqual(cacheControl("Public, MAX-AGE=3600"), 3600)
      assert.strictEqual(cacheControl("No-Cache, max-age=3600"), minTtl)
      assert.strictEqual(cacheControl("NO-STORE, max-age=3600"), minTtl)
    })

    it("drops qualified no-cache and private", () => {
      assert.strictEqual(cacheControl('no-cache="set-cookie", max-age=3600'), 3600)
      assert.strictEqual(cacheControl('no-cache="set-cookie, set-cookie2", max-age=3600'), 3600)
      assert.strictEqual(cacheControl("no-cache=set-cookie, max-age=3600"), 3600)
      assert.strictEqual(cacheControl('private="x-token", max-age=3600'), 3600)
      assert.strictEqual(cacheControl('max-age=3600, private="a, no-store, max-age=1"'), 3600)
      assert.strictEqual(cacheControl('no-cache="set-cookie"'), defaultTtl)
    })

    it("keeps an unqualified no-cache beside a qualified one", () => {
      assert.strictEqual(cacheControl('no-cache="set-cookie", no-cache, max-age=3600'), minTtl)
      assert.strictEqual(cacheControl("no-cache=, max-age=3600"), minTtl)
    })

    it("takes the smallest of several max-age", () => {
      assert.strictEqual(cacheControl("max-age=3600, max-age=600"), 600)
      assert.strictEqual(cacheControl("max-age=600, public, max-age=3600"), 600)
      assert.strictEqual(cacheControl("max-age=3600, max-age=abc"), 3600)
    })

    it("takes the name of the field before its value for what it is", () => {
      assert.strictEqual(cacheControl("Cache-Control: max-age=3600"), 3600)
      assert.strictEqual(cacheControl("Cache-Control: no-store, max-age=3600"), minTtl)
    })

    it.each([
      ['max-age="3600"', 3600],
      ["max-age = 3600", 3600],
      ["max-age=3600.9", 3600],
      ["max-age=3600.", 3600],
      ["max-age=-1", minTtl],
      ['max-age="-1"', minTtl],
    ])("reads %s, which the grammar does not allow", (value, seconds) => {
      assert.strictEqual(cacheControl(value), seconds)
    })

    it.each(["max-age", "max-age=", "max-age=abc", "max-age=1h", "max-age=1e3", "max-age=0x10", "max-age=3600;public"])(
      "takes %s for nothing said, or for expired with strictHttp",
      (value) => {
        assert.strictEqual(cacheControl(value), defaultTtl)
        assert.strictEqual(lifetime({ "cache-control": value, expires: at(7200), date: at(0) }), 7200)
        assert.strictEqual(cacheControl(value, strict), 0)
      },
    )

    it("counts an overflowing max-age as 2^31 seconds", () => {
      const forever = { maxTtl: Number.MAX_SAFE_INTEGER }
      assert.strictEqual(cacheControl("max-age=2147483647", forever), 2 ** 31 - 1)
      assert.strictEqual(cacheControl("max-age=2147483649", forever), 2 ** 31)
      assert.strictEqual(cacheControl(`max-age=${"9".repeat(400)}`, forever), 2 ** 31)
    })

    it("is defaultTtl when nothing usable is said", () => {
      for (const headers of [
        {},
        { "cache-control": "" },
        { "cache-control": "public" },
        { "cache-control": "private" },
        { "cache-control": "immutable" },
        { "cache-control": "must-revalidate" },
        { "cache-control": "s-maxage=3600" },
        { "cache-control": "stale-while-revalidate=3600, stale-if-error=3600" },
        { "cache-control": "garbage" },
        { "last-modified": at(-10_000_000) },
        { "last-modified": at(-10_000_000), "cache-control": "public", date: at(0) },
        { etag: '"1"' },
        { pragma: "cache" },
        { vary: "accept, accept-encoding" },
      ]) {
        assert.strictEqual(lifetime(headers), defaultTtl, JSON.stringify(headers))
        assert.strictEqual(lifetime(headers, strict), defaultTtl, JSON.stringify(headers))
      }
    })

    it("clamps defaultTtl too", () => {
      assert.strictEqual(lifetime({}, { defaultTtl: 1_000 }), minTtl)
      assert.strictEqual(lifetime({}, { defaultTtl: 90_000_000 }), maxTtl)
    })

    it("counts Pragma: no-cache only without Cache-Control", () => {
      assert.strictEqual(lifetime({ pragma: "no-cache" }), minTtl)
      assert.strictEqual(lifetime({ pragma: "No-Cache" }), minTtl)
      assert.strictEqual(lifetime({ pragma: "no-cache", expires: at(3600), date: at(0) }), minTtl)
      assert.strictEqual(lifetime({ pragma: "no-cache", "cache-control": "max-age=3600" }), 3600)
      assert.strictEqual(lifetime({ pragma: "no-cache", "cache-control": "public" }), defaultTtl)
    })

    it("ignores header values over 8 KiB", () => {
      const long = (value: string) => value + " ".repeat(8_193 - value.length)
      assert.strictEqual(cacheControl(long("max-age=3600").slice(0, 8_192)), 3600)
      assert.strictEqual(cacheControl(long("max-age=3600")), defaultTtl)
      assert.strictEqual(lifetime({ expires: long(at(3600)) }), defaultTtl)
      assert.strictEqual(lifetime({ "cache-control": "max-age=3600", age: long("600") }), 3600)
      assert.strictEqual(lifetime({ "cache-control": "max-age=3600", date: long(at(-600)) }), 3600)
      assert.strictEqual(lifetime({ "cache-control": long("public"), pragma: "no-cache" }), minTtl)
      assert.strictEqual(lifetime({ pragma: long("no-cache") }), defaultTtl)
    })

    it("takes a response that varies on everything for expired", () => {
      assert.strictEqual(lifetime({ "cache-control": "max-age=3600", vary: "*" }), minTtl)
      assert.strictEqual(lifetime({ "cache-control": "max-age=3600", vary: "accept, *" }), minTtl)
      assert.strictEqual(lifetime({ vary: "*" }), minTtl)
      assert.strictEqual(lifetime({ "cache-control": "max-age=3600", vary: "origin" }), 3600)
    })

    it("does not mind cookies and an Authorization that a shared cache would mind", () => {
      assert.strictEqual(lifetime({ "cache-control": "private, max-age=3600", "set-cookie": "fpc=1" }), 3600)
    })
  })

  describe("Expires", () => {
    it("counts from Date, or from the time of receipt without one", () => {
      assert.strictEqual(lifetime({ expires: at(7200), date: at(0) }), 7200)
      assert.strictEqual(lifetime({ expires: at(7200) }), 7199.5)
    })

    it("counts by the server's clock where that runs ahead", () => {
      assert.strictEqual(lifetime({ expires: at(7200), date: at(3600) }), 3600)
    })

    it("yields to max-age", () => {
      assert.strictEqual(lifetime({ expires: at(7200), "cache-control": "max-age=300" }), 300)
      assert.strictEqual(lifetime({ expires: "0", "cache-control": "max-age=300" }), 300)
      assert.strictEqual(lifetime({ expires: at(-100), "cache-control": "max-age=300" }), 300)
    })

    it.each([
      ["IMF-fixdate", "Sun, 06 Nov 1994 10:49:37 GMT"],
      ["RFC 850", "Sunday, 06-Nov-94 10:49:37 GMT"],
      ["asctime", "Sun Nov  6 10:49:37 1994"],
    ])("is read as %s", (_, expires) => assert.strictEqual(lifetime({ expires, date: at(0) }), 7200))

    it.each(["0", "-1", "1", "3600", "9999", "never", "", "Sun, 32 Nov 2094 10:49:37 GMT", "2094-11-06T10:49:37Z"])(
      "that is no HTTP date ('%s') means expired",
      (expires) => assert.strictEqual(lifetime({ expires, date: at(0) }), minTtl),
    )

    it("given twice means expired", () => {
      assert.strictEqual(lifetime({ expires: `${at(7200)}, ${at(3600)}`, date: at(0) }), minTtl)
    })
  })

  describe("age", () => {
    const hour = { "cache-control": "max-age=3600" }

    it("is taken off the lifetime", () => {
      assert.strictEqual(lifetime({ ...hour, age: "600" }), 3000)
      assert.strictEqual(lifetime({ ...hour, date: at(-600) }), 3000)
      assert.strictEqual(lifetime({ expires: at(3600), date: at(0), age: "600" }), 3000)
      assert.strictEqual(lifetime({ age: "100" }), 500)
    })

    it("is taken off before the clamp", () => {
      assert.strictEqual(lifetime({ "cache-control": "max-age=172800", age: "3600" }), maxTtl)
      assert.strictEqual(lifetime({ "cache-control": "max-age=172800", age: "90000" }), 82_800)
    })

    it("is the larger of Age and the time since Date", () => {
      assert.strictEqual(lifetime({ ...hour, age: "600", date: at(-1200) }), 2400)
      assert.strictEqual(lifetime({ ...hour, age: "1200", date: at(-600) }), 2400)
    })

    it("counts Date in whole seconds, as it is written", () => {
      assert.strictEqual(lifetime({ ...hour, date: at(0) }), 3600)
      assert.strictEqual(lifetime({ ...hour, date: at(-1) }), 3599)
    })

    it.each(["-5", "-600", "abc", "1.5", "", "0x10", "+5", "1e2", '"600"', "315360001", "9".repeat(30)])(
      "ignores the negative or absurd Age '%s'",
      (age) => assert.strictEqual(lifetime({ ...hour, age }), 3600),
    )

    it("follows an Age of up to ten years", () => {
      assert.strictEqual(lifetime({ ...hour, age: "315360000" }), minTtl)
    })

    it("takes the first of several Age values", () => {
      assert.strictEqual(lifetime({ ...hour, age: "600, 700" }), 3000)
    })

    it.each([at(60), at(1), "garbage", "", "Thu, 01 Jan 1970 00:00:00 GMT"])("ignores the Date '%s'", (date) => {
      assert.strictEqual(lifetime({ ...hour, date }), 3600)
    })

    it("counts Expires from the time of receipt where Date is absurd", () => {
      assert.strictEqual(lifetime({ expires: at(7200), date: "Thu, 01 Jan 1970 00:00:00 GMT" }), 7199.5)
      assert.strictEqual(lifetime({ expires: at(7200), date: "garbage" }), 7199.5)
    })
  })

  describe("stale window", () => {
    const stale = (value: string, options: Partial<FreshnessSettings> = {}): number =>
      verdict({ "cache-control": value }, options).staleMillis / 1_000

    it("is staleWhileError", () => {
      assert.strictEqual(stale("max-age=3600"), 3600)
      assert.strictEqual(stale("max-age=3600", { staleWhileError: 0 }), 0)
    })

    it("is shortened by stale-if-error, never lengthened", () => {
      assert.strictEqual(stale("max-age=3600, stale-if-error=600"), 600)
      assert.strictEqual(stale("stale-if-error=0"), 0)
      assert.strictEqual(stale("Stale-If-Error=600"), 600)
      assert.strictEqual(stale("max-age=15, stale-if-error=86400"), 3600)
      assert.strictEqual(stale("stale-if-error=600", { staleWhileError: 0 }), 0)
    })

    it("takes the smallest stale-if-error, and ignores garbage", () => {
      assert.strictEqual(stale("stale-if-error=600, stale-if-error=300"), 300)
      assert.strictEqual(stale("stale-if-error=-1"), 0)
      assert.strictEqual(stale("stale-if-error=abc"), 3600)
      assert.strictEqual(stale("stale-if-error"), 3600)
    })

    it("is not touched by must-revalidate, no-cache, no-store or stale-while-revalidate", () => {
      for (const value of ["must-revalidate", "no-cache", "no-store", "stale-while-revalidate=1"]) {
        assert.strictEqual(stale(value), 3600, value)
      }
    })

    it("is none with strictHttp and must-revalidate, no-cache or no-store", () => {
      for (const value of ["max-age=3600, must-revalidate", "Must-Revalidate", "no-cache", "no-store"]) {
        assert.strictEqual(stale(value, strict), 0, value)
      }
      assert.strictEqual(stale("max-age=3600", strict), 3600)
      assert.strictEqual(stale('no-cache="set-cookie"', strict), 3600)
    })
  })

  describe("strictHttp", () => {
    it("lifts nothing to minTtl", () => {
      assert.strictEqual(cacheControl("max-age=15", strict), 15)
      assert.strictEqual(cacheControl("max-age=0", strict), 0)
      assert.strictEqual(lifetime({ expires: "0" }, strict), 0)
      assert.strictEqual(lifetime({ "cache-control": "max-age=100", age: "5000" }, strict), 0)
      assert.strictEqual(lifetime({ "cache-control": "max-age=3600", vary: "*" }, strict), 0)
    })

    it("still clamps down to maxTtl", () => assert.strictEqual(cacheControl("max-age=31104000", strict), maxTtl))

    it("does not keep no-store", () => {
      assert.deepStrictEqual(verdict({ "cache-control": "no-store, max-age=3600" }, strict), {
        lifetimeMillis: 0,
        staleMillis: 0,
        keep: false,
      })
      assert.isTrue(verdict({ "cache-control": "no-store" }).keep)
    })

    it("validates no-cache before use", () => {
      assert.deepStrictEqual(verdict({ "cache-control": "no-cache, max-age=3600" }, strict), {
        lifetimeMillis: 0,
        staleMillis: 0,
        keep: true,
      })
      assert.strictEqual(cacheControl("no-cache, max-age=3600"), minTtl)
      assert.strictEqual(cacheControl('no-cache="set-cookie", max-age=3600', strict), 3600)
    })
  })

  describe("whatever the headers are", () => {
    const names = [
      "max-age",
      "Max-Age",
      "no-cache",
      "no-store",
      "must-revalidate",
      "stale-if-error",
      "private",
      "public",
    ]
    const directive = Schema.Struct({
      name: Schema.Literals(names),
      argument: Schema.Union([
        Schema.Literals(["", '"', "=", '="', '="a, b"', "=-1", "=1.5", "=99999999999999999999"]),
        Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200_000 })),
        Schema.String,
      ]),
    })
    const seconds = Schema.Int.check(Schema.isBetween({ minimum: -200_000, maximum: 200_000 }))
    const date = Schema.Union([seconds, Schema.String])
    const arbitraries = {
      directives: Schema.Array(directive),
      age: Schema.Union([Schema.Int, Schema.String]),
      date,
      expires: date,
      only: Schema.Array(Schema.Literals(["cache-control", "age", "date", "expires", "vary", "pragma"])),
      text: Schema.String,
      strictHttp: Schema.Boolean,
    }

    it.prop(
      "the lifetime stays within the clamps and the stale window within staleWhileError",
      arbitraries,
      ({ age, date, directives, expires, only, strictHttp, text }) => {
        const all: Record<string, string> = {
          "cache-control": directives
            .map(({ argument, name }) => name + (typeof argument === "number" ? `=${argument}` : argument))
            .join(", "),
          age: String(age),
          date: typeof date === "number" ? at(date) : date,
          expires: typeof expires === "number" ? at(expires) : expires,
          vary: text,
          pragma: text,
        }
        const headers = Object.fromEntries(Object.entries(all).filter(([name]) => only.some((kept) => kept === name)))
        const { keep, lifetimeMillis, staleMillis } = verdict(headers, { strictHttp })
        assert.isAtLeast(lifetimeMillis, strictHttp ? 0 : minTtl * 1_000)
        assert.isAtMost(lifetimeMillis, maxTtl * 1_000)
        assert.isAtLeast(staleMillis, 0)
        assert.isAtMost(staleMillis, 3_600_000)
        if (!strictHttp) assert.isTrue(keep)
        if (!keep) assert.deepStrictEqual({ lifetimeMillis, staleMillis }, { lifetimeMillis: 0, staleMillis: 0 })
      },
      { arbitrary: { runs: 500 } },
    )

    it.prop("more age never means a longer lifetime", { age: seconds, more: seconds }, ({ age, more }) => {
      const of = (value: number) => lifetime({ "cache-control": "max-age=100000", age: String(Math.abs(value)) })
      assert.isAtMost(of(Math.abs(age) + Math.abs(more)), of(age))
    })
  })
})

describe("mergeNotModified", () => {
  it("replaces the fields that the 304 brings and keeps the others", () => {
    assert.deepStrictEqual(
      mergeNotModified(
        { "cache-control": "max-age=60", expires: at(60), vary: "accept" },
        { "cache-control": "max-age=120", vary: "origin" },
      ),
      { "cache-control": "max-age=120", expires: at(60), vary: "origin" },
    )
  })

  it("drops the stored Age and Date, and takes the new ones", () => {
    const stored = { age: "3000", date: at(-3000), "cache-control": "max-age=3600" }
    assert.deepStrictEqual(mergeNotModified(stored, {}), { "cache-control": "max-age=3600" })
    assert.deepStrictEqual(mergeNotModified(stored, { age: "5", date: at(0) }), {
      "cache-control": "max-age=3600",
      age: "5",
      date: at(0),
    })
  })

  it("gives a full lifetime again to a set that was old when it was stored", () => {
    const stored = { age: "3000", date: at(-3000), "cache-control": "max-age=3600" }
    assert.strictEqual(lifetime(mergeNotModified(stored, { date: at(0) })), 3600)
  })

  it("leaves what is of the connection alone, and what says nothing about the lifetime", () => {
    const stored = { "cache-control": "max-age=60" }
    const received = { "cache-control": "max-age=120", connection: "close, Cache-Control", etag: '"2"', "x-b": "2" }
    assert.deepStrictEqual(mergeNotModified(stored, received), stored)
  })

  it("changes neither of its arguments", () => {
    const stored = Object.freeze({ age: "1", vary: "a" })
    const received = Object.freeze({ vary: "b" })
    assert.deepStrictEqual(mergeNotModified(stored, received), { vary: "b" })
  })
})

describe("storedFields", () => {
  it("keeps what the lifetime is read from, and nothing else", () => {
    const read = { age: "1", "cache-control": "max-age=60", date: at(0), expires: at(60), vary: "accept" }
    assert.deepStrictEqual(storedFields({ ...read, "set-cookie": "session=1", etag: '"1"' }), read)
  })

  it("keeps no field over 8 KiB", () => {
    assert.deepStrictEqual(storedFields({ vary: "a".repeat(8_193), age: "1" }), { age: "1" })
  })
})
