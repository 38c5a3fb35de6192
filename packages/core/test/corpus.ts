/**
 * Judges a folder of real JWK Sets: `node packages/core/test/corpus.ts <folder>`. The headers that were
 * observed with them are beside the folder, in `<folder>-headers.json`.
 *
 * Prints what is kept and what is dropped, how long the set lives, when it is refreshed, and how often in a
 * day. Fails unless all 147 documents are there and parse, every drop has one of the reasons, every kept key
 * is one that jose imports, and there is a fresh set at any time of the day with no request more often than
 * `minTtl` allows: one in `minTtl` less both leads, which are a fifth and a tenth of it at most.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as jose from "jose"
import * as fs from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { DropReason, type ParsedJwks } from "../src/jwk/Jwks.ts"
import { parseDocument } from "../src/jwk/KeyPolicy.ts"
import { defaultSettings } from "../src/Provider.ts"
import { closest, type Day, day } from "./corpusDay.ts"

const documentCount = 147

/** What was observed with each document, by its file. */
const Observed = Schema.Record(
  Schema.String,
  Schema.Struct({ headers: Schema.Record(Schema.String, Schema.String), jwks_uri: Schema.String }),
)

/** What {@link readCorpus} found. */
export interface CorpusReport {
  /** For people: one line per document, and one per reason. */
  readonly lines: ReadonlyArray<string>
  /** What must not be. */
  readonly problems: ReadonlyArray<string>
}

/** Where a kept key is not what jose makes of it. */
const disagreements = async ({ keys }: ParsedJwks): Promise<ReadonlyArray<string>> => {
  const problems: Array<string> = []
  for (const { algorithms, jwk, kid, thumbprint } of keys) {
    const known = jwk as jose.JWK
    if ((await jose.calculateJwkThumbprint(known)) !== thumbprint) problems.push(`${kid}: another thumbprint in jose`)
    for (const alg of algorithms) {
      await jose.importJWK(known, alg).catch((cause: unknown) => problems.push(`${kid} for ${alg}: ${String(cause)}`))
    }
  }
  return problems
}

const dayLine = ({ length, lifetime, notModified, refreshAfter, requests, usable }: Day): string => {
  const hours = length / 3_600_000
  return [
    `${usable} usable, fresh for ${lifetime / 1_000} s, refreshed after ${refreshAfter / 1_000} s`,
    `${requests.length} requests in ${hours} h (${notModified} answered with 304)`,
    ...(requests.length > 1 ? [`at least ${closest(requests) / 1_000} s apart`] : []),
  ].join(", ")
}

/** Judges every document with the default settings; they are in `corpus`, or in its folder `jwks-live`. */
export const readCorpus = async (corpus: string): Promise<CorpusReport> => {
  const live = path.join(corpus, "jwks-live")
  const folder = path.resolve(fs.existsSync(live) ? live : corpus)
  const observed = Schema.decodeUnknownSync(Observed)(JSON.parse(fs.readFileSync(`${folder}-headers.json`, "utf8")))
  const lines: Array<string> = []
  const problems: Array<string> = []
  const reasons = new Map<string, number>()
  let shortest = Infinity
  let kept = 0
  let repeats = 0
  const files = fs
    .readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .toSorted()
  if (files.length !== documentCount) problems.push(`${files.length} documents, not ${documentCount}`)
  for (const file of files) {
    const document = fs.readFileSync(path.join(folder, file))
    const parsed = parseDocument(document, defaultSettings)
    if (Result.isFailure(parsed)) {
      problems.push(`${file}: ${parsed.failure.rule}`)
      continue
    }
    const { dropped, keys, source } = parsed.success
    const repeated = source.length - keys.length - dropped.length
    kept += keys.length
    repeats += repeated
    for (const { reason } of dropped) {
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
      if (!DropReason.literals.includes(reason)) problems.push(`${file}: no reason: ${JSON.stringify(reason)}`)
    }
    problems.push(...(await disagreements(parsed.success)).map((problem) => `${file}: ${problem}`))
    const drops = dropped.map(({ kid, reason }) => `${reason} (${kid ?? "no kid"})`)
    const counts = `${file}: ${keys.length} kept, ${repeated} repeated, ${dropped.length} dropped`
    const said = observed[file]
    if (said === undefined) {
      problems.push(`${file}: no headers were observed`)
      continue
    }
    const lived = await Effect.runPromise(day({ document, headers: said.headers, jwksUrl: said.jwks_uri }))
    shortest = Math.min(shortest, closest(lived.requests))
    problems.push(...lived.problems.map((problem) => `${file}: ${problem}`))
    lines.push([counts, dayLine(lived), ...drops].join("\n  "))
  }
  const summary = [...reasons].toSorted(([, a], [, b]) => b - a).map(([reason, count]) => `  ${count} ${reason}`)
  lines.push(`requests for a document are at least ${shortest / 1_000} s apart`)
  lines.push([`${files.length} documents, ${kept} keys kept, ${repeats} repeated, dropped:`, ...summary].join("\n"))
  return { lines, problems }
}

const [, script, folder] = process.argv
if (script !== undefined && pathToFileURL(fs.realpathSync(script)).href === import.meta.url) {
  if (folder === undefined) throw new Error("usage: node packages/core/test/corpus.ts <folder>")
  const { lines, problems } = await readCorpus(folder)
  for (const line of lines) console.log(line)
  for (const problem of problems) console.error(`problem: ${problem}`)
  process.exitCode = problems.length === 0 ? 0 : 1
}
