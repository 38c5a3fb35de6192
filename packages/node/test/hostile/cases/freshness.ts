/**
 * A good set under headers that would have it live for ever, not at all, or for no time that one can tell.
 */
import { type Answer, goodKeys, jwks } from "../Answer.ts"
import { about, type CaseOf, type Expected, type HostileCase, lives } from "../HostileCase.ts"

const minTtl = 60
const maxTtl = 86_400
const defaultTtl = 600

/** The moment so many seconds from now, as HTTP writes it (RFC 9110 section 5.6.7). */
const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1_000).toUTCString()

const under = (
  title: string,
  headers: ReadonlyArray<string> | (() => ReadonlyArray<string>),
  expected: number | Expected,
): CaseOf => ({
  title,
  answer: (): Answer => jwks(goodKeys(1, 2), typeof headers === "function" ? headers() : headers),
  expected: typeof expected === "number" ? lives(expected) : expected,
})

export const freshnessCases: ReadonlyArray<HostileCase> = [
  ...about(
    "lifetime_max",
    under("max-age of a year", ["Cache-Control: max-age=31536000, immutable"], maxTtl),
    under("max-age that overflows 32 bits", ["Cache-Control: max-age=4294967296"], maxTtl),
    under("max-age that overflows 64 bits", ["Cache-Control: max-age=18446744073709551616"], maxTtl),
    under("max-age of 400 digits", [`Cache-Control: max-age=${"9".repeat(400)}`], maxTtl),
    under("Expires in the year 9999", ["Expires: Fri, 31 Dec 9999 23:59:59 GMT"], maxTtl),
    under(
      "Expires in a year, by a clock that is years behind",
      () => [`Date: ${inSeconds(-5 * 365 * 86_400)}`, `Expires: ${inSeconds(365 * 86_400)}`],
      maxTtl,
    ),
  ),
  ...about(
    "lifetime_min",
    under("max-age of nothing", ["Cache-Control: max-age=0"], minTtl),
    under("max-age of one second", ["Cache-Control: max-age=1"], minTtl),
    under("max-age that is negative", ["Cache-Control: max-age=-1"], minTtl),
    under("no-store", ["Cache-Control: no-store"], minTtl),
    under("no-cache", ["Cache-Control: no-cache"], minTtl),
    under("Pragma: no-cache alone", ["Pragma: no-cache"], minTtl),
    under("Vary: *", ["Vary: *"], minTtl),
    under("an Age beyond max-age", ["Cache-Control: max-age=600", "Age: 600000"], minTtl),
    under("a Date of a year ago", () => [`Date: ${inSeconds(-365 * 86_400)}`, "Cache-Control: max-age=600"], minTtl),
    under(
      "everything at once",
      ["Cache-Control: no-store, no-cache, must-revalidate, max-age=0", "Pragma: no-cache", "Expires: 0"],
      minTtl,
    ),
  ),
  ...about(
    "age_bounds",
    under("an Age of more than ten years", ["Cache-Control: max-age=600", "Age: 315360001"], 600),
    under("an Age of 400 digits", ["Cache-Control: max-age=600", `Age: ${"9".repeat(400)}`], 600),
    under("a Date in 1970", ["Cache-Control: max-age=600", "Date: Thu, 01 Jan 1970 00:00:00 GMT"], 600),
    under("a Date in 1601", ["Cache-Control: max-age=600", "Date: Mon, 01 Jan 1601 00:00:00 GMT"], 600),
  ),
  ...about(
    "age_form",
    under("an Age that is negative", ["Cache-Control: max-age=600", "Age: -100"], 600),
    under("an Age with an exponent", ["Cache-Control: max-age=600", "Age: 1e2"], 600),
    under("an Age in hexadecimal", ["Cache-Control: max-age=600", "Age: 0x64"], 600),
    under("an Age with a fraction", ["Cache-Control: max-age=600", "Age: 100.5"], 600),
    under("an Age that is no number", ["Cache-Control: max-age=600", "Age: old"], 600),
    under("an Age that is empty", ["Cache-Control: max-age=600", "Age: "], 600),
    under("two Ages, of which the first counts", ["Cache-Control: max-age=600", "Age: 100", "Age: 500"], 500),
  ),
  ...about(
    "date_future",
    under("a Date in a day", () => ["Cache-Control: max-age=600", `Date: ${inSeconds(86_400)}`], 600),
    under("a Date in the year 9999", ["Cache-Control: max-age=600", "Date: Fri, 31 Dec 9999 23:59:59 GMT"], 600),
    under("a Date that is none", ["Cache-Control: max-age=600", "Date: yesterday"], 600),
    under(
      "a Date in a day, and Expires ten minutes after it",
      () => [`Date: ${inSeconds(86_400)}`, `Expires: ${inSeconds(87_000)}`],
      600,
    ),
  ),
  ...about(
    "date_base",
    under(
      "Expires in an hour, by a server whose clock stands at 1970",
      () => ["Date: Thu, 01 Jan 1970 00:00:00 GMT", `Expires: ${inSeconds(3_600)}`],
      3_600,
    ),
  ),
  ...about(
    "expires_invalid",
    under("Expires: 0", ["Expires: 0"], minTtl),
    under("Expires: -1", ["Expires: -1"], minTtl),
    under("Expires as a number of seconds", ["Expires: 3600"], minTtl),
    under("Expires in a format of another protocol", ["Expires: 2099-12-31T23:59:59Z"], minTtl),
    under("Expires twice", () => [`Expires: ${inSeconds(3_600)}`, `Expires: ${inSeconds(7_200)}`], minTtl),
    under("Expires without a zone", ["Expires: Thu, 31 Dec 2099 23:59:59"], minTtl),
    under("Expires that is empty", ["Expires: "], minTtl),
  ),
  ...about(
    "max_age_malformed",
    under("max-age that is no number", ["Cache-Control: max-age=abc"], defaultTtl),
    under("max-age without a value", ["Cache-Control: max-age"], defaultTtl),
    under("max-age with an empty value", ["Cache-Control: max-age="], defaultTtl),
    under("max-age with a unit", ["Cache-Control: max-age=1h"], defaultTtl),
    under("max-age with an exponent", ["Cache-Control: max-age=1e9"], defaultTtl),
    under("max-age in hexadecimal", ["Cache-Control: max-age=0x100"], defaultTtl),
    under("max-age of Infinity", ["Cache-Control: max-age=Infinity"], defaultTtl),
    under("max-age with an endless quoted string", [`Cache-Control: max-age="${"\\".repeat(1_000)}`], defaultTtl),
    under("max-age in quotes", ['Cache-Control: max-age="120"'], 120),
    under("max-age with a fraction", ["Cache-Control: max-age=120.9"], 120),
  ),
  ...about(
    "max_age_shortest",
    under("max-age twice, the second longer", ["Cache-Control: max-age=120, max-age=86400"], 120),
    under(
      "max-age in two fields, the second shorter",
      ["Cache-Control: max-age=86400", "Cache-Control: max-age=120"],
      120,
    ),
    under(
      "max-age ten times",
      [`Cache-Control: ${Array.from({ length: 10 }, (_, i) => `max-age=${1_200 - 100 * i}`).join(", ")}`],
      300,
    ),
  ),
  ...about(
    "directive_names",
    under("no-store in capitals", ["Cache-Control: NO-STORE, MAX-AGE=86400"], minTtl),
    under("max-age in mixed case", ["cAcHe-CoNtRoL: Max-Age=120"], 120),
  ),
  ...about(
    "directive_lists",
    under("a directive inside a quoted string", ['Cache-Control: x="no-store, max-age=0", max-age=120'], 120),
    under("no-cache for a single field", ['Cache-Control: no-cache="set-cookie", max-age=120'], 120),
    under("nothing but commas", [`Cache-Control: ${",".repeat(1_000)}`], defaultTtl),
    under("the name of the field inside its value", ["Cache-Control: Cache-Control: max-age=120"], 120),
  ),
  ...about(
    "field_length",
    under("a Cache-Control of 9 kB", [`Cache-Control: max-age=86400, x=${"a".repeat(9_000)}`], defaultTtl),
    under("an Expires of 9 kB", [`Expires: ${"0".repeat(9_000)}`], defaultTtl),
    under("an Age of 9 kB of digits", ["Cache-Control: max-age=600", `Age: ${"1".repeat(9_000)}`], 600),
    under("a Vary of 9 kB", [`Vary: *, ${"a, ".repeat(3_000)}`], defaultTtl),
  ),
  ...about(
    "stale_window_max",
    under("stale-if-error of years", ["Cache-Control: max-age=600, stale-if-error=999999999"], lives(600, 3_600)),
    under(
      "stale-if-error of 400 digits",
      [`Cache-Control: max-age=600, stale-if-error=${"9".repeat(400)}`],
      lives(600, 3_600),
    ),
    under(
      "stale-while-revalidate of years",
      ["Cache-Control: max-age=600, stale-while-revalidate=999999999"],
      lives(600, 3_600),
    ),
  ),
  ...about(
    "nothing_usable",
    under("s-maxage alone", ["Cache-Control: s-maxage=86400"], defaultTtl),
    under("public and immutable alone", ["Cache-Control: public, immutable"], defaultTtl),
    under(
      "a Last-Modified of ten years ago, from which one could guess",
      ["Last-Modified: Thu, 01 Jan 2015 00:00:00 GMT"],
      defaultTtl,
    ),
    under(
      "Surrogate-Control and CDN-Cache-Control",
      ["Surrogate-Control: max-age=86400", "CDN-Cache-Control: max-age=86400"],
      defaultTtl,
    ),
    under("an empty Cache-Control", ["Cache-Control: "], defaultTtl),
  ),
]
