/**
 * How long a hit takes, beside the libraries that Node applications use for it.
 *
 *     node packages/benchmarks/hit.ts [--smoke] [--assert] [--out FILE]
 *
 * Everybody caches the same keys of the same tenants with room and time for all of them, answers the same
 * random look-ups in turn, and asks the upstream nothing meanwhile. Numbers of different runs do not
 * compare; the ratios of one run do.
 *
 * `--smoke` is a small, quick run that checks all of this. `--assert` runs three processes and exits with
 * 1 unless the best of their ratios to jose keep to the limits.
 */
import { readFileSync } from "node:fs"
import * as awsJwtVerify from "./contestants/aws_jwt_verify.ts"
import type { Contestant, Enter } from "./contestants/contestant.ts"
import * as effectJwks from "./contestants/effect_jwks.ts"
import * as getJwks from "./contestants/get_jwks.ts"
import * as jose from "./contestants/jose.ts"
import * as jwksRsa from "./contestants/jwks_rsa.ts"
import * as plainMap from "./contestants/plain_map.ts"
import { type Report, ratioToJose, rowsOf, tableOf } from "./report.ts"
import { keepTo, readOptions, runThrice, write } from "./results.ts"
import { measure } from "./rounds.ts"
import { makeLookups, makeTenants, makeTokens, type Token } from "./tokens.ts"
import { serve } from "./upstream.ts"

const entries: ReadonlyArray<Enter> = [effectJwks, jose, awsJwtVerify, getJwks, jwksRsa, plainMap].map(
  ({ enter }) => enter,
)

interface Size {
  readonly tenants: number
  readonly keysEach: number
  readonly lookups: number
  readonly warmUpRounds: number
  readonly rounds: number
}

const full: Size = { tenants: 1_000, keysEach: 4, lookups: 50_000, warmUpRounds: 9, rounds: 27 }
const small: Size = { tenants: 20, keysEach: 4, lookups: 2_000, warmUpRounds: 2, rounds: 9 }

/** Fills every cache, and throws unless all answer every token with the same key. */
const fillAndCompare = async (
  contestants: ReadonlyArray<Contestant>,
  tokens: ReadonlyArray<Token>,
  published: ReadonlyMap<string, string>,
): Promise<void> => {
  for (const { modulusOf, name } of contestants) {
    for (const token of tokens) {
      const modulus = await modulusOf(token)
      if (modulus === undefined || modulus !== published.get(token.kid)) {
        throw new Error(`${name} has another key for ${token.tenant} ${token.kid}`)
      }
    }
  }
}

const run = async ({ keysEach, lookups, rounds, tenants, warmUpRounds }: Size): Promise<Report> => {
  const keySets = makeTenants(tenants, keysEach)
  const published = new Map(keySets.flatMap(({ keys }) => keys.map(({ kid, n }) => [kid, n])))
  if (new Set(published.values()).size !== tenants * keysEach) throw new Error("the keys are not distinct")

  const upstream = await serve(keySets)
  const entrants = await Promise.all(entries.map((enter) => enter(upstream, keySets)))
  const contestants = entrants.flatMap((entrant) => entrant.contestants)
  const tokens = makeTokens(keySets, upstream.issuerOf)
  await fillAndCompare(contestants, tokens, published)

  const requests = upstream.requests
  const times = await measure(contestants, makeLookups(tokens, lookups), {
    warmUpRounds,
    rounds,
    afterTurn: ({ name }) => {
      if (upstream.requests !== requests) throw new Error(`a request came in by the end of the turn of ${name}`)
    },
  })
  // Whatever was sent before this request has arrived before its answer.
  await fetch(upstream.issuerOf("end"))
  if (upstream.requests !== requests + 1) throw new Error("a request came in after the last turn")

  for (const { close } of entrants) await close?.()
  await upstream.close()
  return { node: process.versions.node, tenants, keysEach, lookups, requests, rows: rowsOf(times) }
}

/** What a hit may take at most, as a multiple of jose's. */
const limits = [
  { id: "fiber", atMost: 0.45 },
  { id: "promise", atMost: 0.8 },
]

/** Whether the best of three processes keeps to the limits. */
const assertLimits = (out: string, options: ReadonlyArray<string>): boolean => {
  const files = runThrice(import.meta.filename, out, options)
  const reports = files.map((file): Report => JSON.parse(readFileSync(file, "utf8")))
  const ratios = limits.map(({ atMost, id }) => ({
    what: `${id} / jose`,
    atMost,
    all: reports.map((report) => ratioToJose(report, id)),
  }))
  write(out, { ratios, reports })
  return keepTo(ratios)
}

const values = readOptions("hit")

if (values.assert) {
  if (!assertLimits(values.out, values.smoke ? ["--smoke"] : [])) process.exitCode = 1
} else {
  const report = await run(values.smoke ? small : full)
  console.log(tableOf(report))
  write(values.out, report)
}
