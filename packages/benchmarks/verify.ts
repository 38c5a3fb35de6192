/**
 * What a verification takes beside jose's `jwtVerify` over a local key set, on the same tokens in one run.
 *
 *     node packages/benchmarks/verify.ts [--smoke] [--assert] [--out FILE]
 *
 * Everybody has the keys of every tenant in memory, verifies the same tokens in turn, and checks issuer, audience and times. In each
 * round everybody takes its turn, beginning one place later; a ratio is one of the same round, and the median of them is what
 * counts. Verifications come one after another, as in a request handler, and 32 at a time, as in a server.
 *
 * `--smoke` is a small, quick run. `--assert` exits with 1 unless the best of three processes keeps to the limits.
 */
import { JwksRegistry } from "@effect-jwks/core"
import { JwksBridge, JwtVerifier, JwtVerifierLive } from "@effect-jwks/jwt"
import { TestRegistry } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as References from "effect/References"
import { createLocalJWKSet, exportJWK, generateKeyPair, type JWK, jwtVerify, SignJWT } from "jose"
import { readFileSync } from "node:fs"
import { median } from "./report.ts"
import { keepTo, readOptions, runThrice, write } from "./results.ts"
import { serve } from "./upstream.ts"

const algorithms = ["RS256", "ES256"] as const
const audience = "orders"
const atATime = 32

interface Size {
  readonly tenants: number
  readonly keysEach: number
  readonly tokensEach: number
  readonly warmUpRounds: number
  readonly rounds: number
}

const full: Size = { tenants: 8, keysEach: 2, tokensEach: 32, warmUpRounds: 40, rounds: 41 }
const small: Size = { tenants: 2, keysEach: 2, tokensEach: 8, warmUpRounds: 1, rounds: 5 }

interface SignedToken {
  readonly tenant: string
  readonly issuer: string
  readonly text: string
  readonly sub: string
}

interface Tenant {
  readonly tenant: string
  readonly issuer: string
  readonly jwks: { readonly keys: Array<JWK> }
  readonly tokens: ReadonlyArray<SignedToken>
}

const makeTenant = async (alg: string, nth: number, { keysEach, tokensEach }: Size): Promise<Tenant> => {
  const tenant = `org_${nth}`
  const issuer = `https://id.example/${tenant}/`
  const pairs = await Promise.all(
    Array.from({ length: keysEach }, async (_, index) => {
      const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
      return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid: `${tenant}-${index}`, alg, use: "sig" } }
    }),
  )
  const tokens = await Promise.all(
    Array.from({ length: tokensEach }, async (_, index): Promise<SignedToken> => {
      const pair = pairs[index % pairs.length]
      if (pair === undefined) throw new RangeError("no keys")
      const sub = `user-${nth}-${index}`
      const claims = { sub, client_id: "web", scope: "openid profile orders:read", email: `${sub}@example.com` }
      const text = await new SignJWT(claims)
        .setProtectedHeader({ alg, kid: pair.jwk.kid, typ: "JWT" })
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime("1 hour")
        .sign(pair.privateKey)
      return { tenant, issuer, text, sub }
    }),
  )
  return { tenant, issuer, jwks: { keys: pairs.map(({ jwk }) => jwk) }, tokens }
}

/** Who verifies: the subject of a token, and loops of its own, so that none runs on what the engine learned from another. */
interface Contestant {
  readonly id: string
  readonly name: string
  readonly subjectOf: (token: SignedToken) => Promise<string | undefined>
  readonly oneByOne: (tokens: ReadonlyArray<SignedToken>) => Promise<unknown>
  readonly together: (tokens: ReadonlyArray<SignedToken>) => Promise<unknown>
}

const inBatches = async (
  tokens: ReadonlyArray<SignedToken>,
  batch: (tokens: ReadonlyArray<SignedToken>) => Promise<unknown>,
): Promise<void> => {
  for (let from = 0; from < tokens.length; from += atATime) await batch(tokens.slice(from, from + atATime))
}

const joseOver = (tenants: ReadonlyArray<Tenant>): Contestant => {
  const sets = new Map(tenants.map(({ jwks, tenant }) => [tenant, createLocalJWKSet(jwks)]))
  const verify = ({ issuer, tenant, text }: SignedToken) => {
    const keys = sets.get(tenant)
    if (keys === undefined) throw new Error(`no keys of ${tenant}`)
    return jwtVerify(text, keys, { issuer, audience })
  }
  return {
    id: "jose",
    name: "jose jwtVerify, local key set",
    subjectOf: async (token) => (await verify(token)).payload.sub,
    oneByOne: async (tokens) => {
      for (const token of tokens) await verify(token)
    },
    together: (tokens) => inBatches(tokens, (batch) => Promise.all(batch.map(verify))),
  }
}

type Runtime = ManagedRuntime.ManagedRuntime<JwksRegistry | JwtVerifier, unknown>

const verifierOver = (runtime: Runtime): Contestant => {
  const verify = ({ tenant, text }: SignedToken) => JwtVerifier.verify(tenant, text, { audience })
  return {
    id: "verifier",
    name: "JwtVerifier.verify",
    subjectOf: async (token) => (await runtime.runPromise(verify(token))).claims.sub,
    oneByOne: (tokens) =>
      runtime.runPromise(
        Effect.gen(function* () {
          for (const token of tokens) yield* verify(token)
        }),
      ),
    together: (tokens) =>
      inBatches(tokens, (batch) =>
        runtime.runPromise(Effect.forEach(batch, verify, { concurrency: "unbounded", discard: true })),
      ),
  }
}

const bridgeOver = (runtime: Runtime): Contestant => {
  const bridge = JwksBridge.fromRuntime(runtime, { audience })
  const verify = ({ tenant, text }: SignedToken) => bridge.verify(tenant, text)
  return {
    id: "bridge",
    name: "JwksBridge.verify",
    subjectOf: async (token) => (await verify(token)).claims.sub,
    oneByOne: async (tokens) => {
      for (const token of tokens) await verify(token)
    },
    together: (tokens) => inBatches(tokens, (batch) => Promise.all(batch.map(verify))),
  }
}

const keyFunctionOver = (runtime: Runtime, tenants: ReadonlyArray<Tenant>): Contestant => {
  const bridge = JwksBridge.fromRuntime(runtime)
  const keys = new Map(tenants.map(({ tenant }) => [tenant, bridge.keyFor(tenant)]))
  const verify = ({ issuer, tenant, text }: SignedToken) => {
    const keyFor = keys.get(tenant)
    if (keyFor === undefined) throw new Error(`no keys of ${tenant}`)
    return jwtVerify(text, keyFor, { issuer, audience })
  }
  return {
    id: "keyFor",
    name: "jose jwtVerify, JwksBridge.keyFor",
    subjectOf: async (token) => (await verify(token)).payload.sub,
    oneByOne: async (tokens) => {
      for (const token of tokens) await verify(token)
    },
    together: (tokens) => inBatches(tokens, (batch) => Promise.all(batch.map(verify))),
  }
}

const withRuntime = async <A>(tenants: ReadonlyArray<Tenant>, use: (runtime: Runtime) => Promise<A>): Promise<A> => {
  const upstream = await serve(tenants.map(({ jwks: { keys }, tenant }) => ({ tenant, keys })))
  const runtime = ManagedRuntime.make(
    JwtVerifierLive.pipe(
      Layer.provideMerge(TestRegistry.layer()),
      Layer.provide(Layer.succeed(References.MinimumLogLevel, "Warn")),
    ),
  )
  try {
    for (const { issuer, tenant } of tenants) {
      const jwksUrl = upstream.jwksUrlOf(tenant)
      await runtime.runPromise(JwksRegistry.register({ tenant, provider: "idp", issuer, jwksUrl }))
    }
    await runtime.runPromise(JwksRegistry.warmUp({ timeout: "1 minute" }))
    return await use(runtime)
  } finally {
    await runtime.dispose()
    await upstream.close()
  }
}

/** What a token took in one round, in microseconds: by the clock, and of processors, those of Web Crypto's threads too. */
interface Turn {
  readonly clock: number
  readonly cpu: number
}

/** The turns of each contestant. */
type Times = ReadonlyMap<string, ReadonlyArray<Turn>>

const measure = async (
  contestants: ReadonlyArray<Contestant>,
  way: "oneByOne" | "together",
  tokens: ReadonlyArray<SignedToken>,
  { rounds, warmUpRounds }: Size,
): Promise<Times> => {
  const times = new Map(contestants.map(({ id }) => [id, Array.of<Turn>()]))
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    const first = (round + warmUpRounds) % contestants.length
    for (const contestant of [...contestants.slice(first), ...contestants.slice(0, first)]) {
      const cpuBefore = process.cpuUsage()
      const begin = process.hrtime.bigint()
      await contestant[way](tokens)
      const clock = Number(process.hrtime.bigint() - begin) / 1_000 / tokens.length
      const { system, user } = process.cpuUsage(cpuBefore)
      if (round >= 0) times.get(contestant.id)?.push({ clock, cpu: (system + user) / tokens.length })
    }
  }
  return times
}

interface Row {
  readonly alg: string
  readonly way: "oneByOne" | "together"
  readonly id: string
  readonly name: string
  /** Median by the clock, in microseconds. */
  readonly micros: number
  /** Median of the ratios to jose in the same round. */
  readonly toJose: number
  /** The same of processor time. */
  readonly cpuToJose: number
}

const rowsOf = (
  alg: string,
  way: Row["way"],
  contestants: ReadonlyArray<Contestant>,
  times: Times,
): ReadonlyArray<Row> => {
  const jose = times.get("jose") ?? []
  return contestants.map(({ id, name }) => {
    const own = times.get(id) ?? []
    const ratio = (figure: keyof Turn) =>
      median(own.map((turn, round) => turn[figure] / (jose[round]?.[figure] ?? Number.NaN)))
    const micros = median(own.map(({ clock }) => clock))
    return { alg, way, id, name, micros, toJose: ratio("clock"), cpuToJose: ratio("cpu") }
  })
}

const run = async (size: Size): Promise<ReadonlyArray<Row>> => {
  const rows: Array<Row> = []
  for (const alg of algorithms) {
    const tenants = await Promise.all(Array.from({ length: size.tenants }, (_, nth) => makeTenant(alg, nth, size)))
    // Neighbours are of different tenants, as in a server.
    const tokens = Array.from({ length: size.tokensEach }, (_, nth) =>
      tenants.flatMap(({ tokens }) => tokens[nth] ?? []),
    ).flat()
    await withRuntime(tenants, async (runtime) => {
      const contestants = [
        joseOver(tenants),
        verifierOver(runtime),
        bridgeOver(runtime),
        keyFunctionOver(runtime, tenants),
      ]
      for (const { name, subjectOf } of contestants) {
        for (const token of tokens) {
          if ((await subjectOf(token)) !== token.sub) throw new Error(`${name} has another subject for ${token.sub}`)
        }
      }
      for (const way of ["oneByOne", "together"] as const) {
        rows.push(...rowsOf(alg, way, contestants, await measure(contestants, way, tokens, size)))
      }
    })
  }
  return rows
}

const ways = { oneByOne: "one by one", together: `${atATime} at a time` }

const print = (rows: ReadonlyArray<Row>): void => {
  for (const { alg, cpuToJose, micros, name, toJose, way } of rows) {
    const ratios = `${toJose.toFixed(3)} x jose, ${cpuToJose.toFixed(3)} of its processor time`
    console.log(`${alg}  ${ways[way].padEnd(13)}  ${name.padEnd(34)}  ${micros.toFixed(1).padStart(6)} us  ${ratios}`)
  }
}

/** What a verification may take at most, as a multiple of jose's. */
const limits = [{ id: "verifier", way: "oneByOne", atMost: 1.05 }] as const

/** Whether the best of three processes keeps to the limits. */
const assertLimits = (out: string, options: ReadonlyArray<string>): boolean => {
  const files = runThrice(import.meta.filename, out, options)
  const reports = files.map((file): ReadonlyArray<Row> => JSON.parse(readFileSync(file, "utf8")))
  const ratios = limits.flatMap(({ atMost, id, way }) =>
    algorithms.map((alg) => ({
      what: `${alg} ${id} / jose, ${ways[way]}`,
      atMost,
      all: reports.map(
        (rows) => rows.find((row) => row.alg === alg && row.id === id && row.way === way)?.toJose ?? Number.NaN,
      ),
    })),
  )
  write(out, { ratios, reports })
  return keepTo(ratios)
}

const values = readOptions("verify")

if (values.assert) {
  if (!assertLimits(values.out, values.smoke ? ["--smoke"] : [])) process.exitCode = 1
} else {
  const rows = await run(values.smoke ? small : full)
  print(rows)
  write(values.out, rows)
}
