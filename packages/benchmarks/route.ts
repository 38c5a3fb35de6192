/**
 * Requests per second of a protected route, beside the same route with jose's `createRemoteJWKSet` and `jwtVerify`.
 *
 *     node packages/benchmarks/route.ts [--smoke] [--assert] [--out FILE]
 *
 * Both are the same `HttpApi` on `NodeHttpServer`, in processes of their own, and differ in the guard alone; both hold all keys
 * before the first round, and the upstream is asked nothing meanwhile. This process sends the same tokens in turn over
 * the same number of connections, on one core, while one server answers on another. In each round both take their turn, the one
 * that begins begins last in the next; a ratio is one of the same round, and the median of them is what counts.
 *
 * `--smoke` is a small, quick run. `--assert` exits with 1 unless each median is at least 1, but for the noise margin.
 */
import autocannon from "autocannon"
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose"
import { type ChildProcess, fork, spawnSync } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { median } from "./report.ts"
import { readOptions, write } from "./results.ts"
import { audience, type Idp } from "./routes/api.ts"
import { serve } from "./upstream.ts"

const algorithms = ["RS256", "ES256"] as const
const contestants = ["effect-jwks", "jose"] as const
type Contestant = (typeof contestants)[number]

interface Size {
  readonly tenants: number
  readonly keysEach: number
  readonly tokensEach: number
  readonly warmUpRounds: number
  readonly rounds: number
  /** Seconds that a turn takes. */
  readonly turn: number
}

const full: Size = { tenants: 8, keysEach: 2, tokensEach: 16, warmUpRounds: 2, rounds: 15, turn: 2 }
const small: Size = { tenants: 2, keysEach: 1, tokensEach: 2, warmUpRounds: 1, rounds: 3, turn: 1 }

/** Kept busy at the same time. */
const connections = 32

/** What noise may take from a median of paired ratios before it counts as slower. */
const margin = 0.02

// -----------------------------------------------------------------------------
// Tokens
// -----------------------------------------------------------------------------

interface Asked {
  readonly path: string
  readonly authorization: string
  readonly answer: string
}

type Sign = (issuer: string) => Promise<ReadonlyArray<Asked>>

/** A tenant's keys of one algorithm, and what signs with them. */
const makeTenant = async (alg: string, tenant: string, { keysEach, tokensEach }: Size) => {
  const pairs = await Promise.all(
    Array.from({ length: keysEach }, async (_, nth) => {
      const { privateKey, publicKey } = await generateKeyPair(alg)
      const kid = `${tenant}-${alg}-${nth}`
      const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg, use: "sig" }
      return { privateKey, kid, jwk }
    }),
  )
  const sign: Sign = (issuer) =>
    Promise.all(
      pairs.flatMap(({ kid, privateKey }) =>
        Array.from({ length: tokensEach }, async (_, nth): Promise<Asked> => {
          const sub = `${kid}-${nth}`
          const token = await new SignJWT({ sub, email: `${sub}@example.com`, role: "buyer" })
            .setProtectedHeader({ alg, kid, typ: "JWT" })
            .setIssuer(issuer)
            .setAudience(audience)
            .setIssuedAt()
            .setExpirationTime("1 day")
            .sign(privateKey)
          const answer = JSON.stringify({ tenant, sub })
          return { path: `/${tenant}/me`, authorization: `Bearer ${token}`, answer }
        }),
      ),
    )
  return { keys: pairs.map(({ jwk }) => jwk), sign }
}

// -----------------------------------------------------------------------------
// Servers and load
// -----------------------------------------------------------------------------

/** Where processes can be bound to a core: the load to the first, the servers to the second. */
const canBind = spawnSync("taskset", ["-p", "-c", "0", String(process.pid)]).status === 0
const onSecondCore = canBind && spawnSync("taskset", ["-c", "1", "true"]).status === 0

interface Server {
  readonly contestant: Contestant
  readonly url: string
  readonly child: ChildProcess
}

const start = async (contestant: Contestant, idps: ReadonlyArray<Idp>): Promise<Server> => {
  const [execPath, ...execArgv] = onSecondCore ? ["taskset", "-c", "1", process.execPath] : [process.execPath]
  const child = fork(join(import.meta.dirname, "routes/server.ts"), [contestant], { execPath, execArgv })
  await once(child, "message")
  child.send(idps)
  const [port]: ReadonlyArray<unknown> = await once(child, "message")
  return { contestant, url: `http://127.0.0.1:${String(port)}`, child }
}

/** Every token once: right answers, and all keys in the cache. */
const checkAll = async ({ contestant, url }: Server, asked: ReadonlyArray<Asked>): Promise<void> => {
  for (const { answer, authorization, path } of asked) {
    const response = await fetch(url + path, { headers: { authorization } })
    const text = await response.text()
    if (response.status !== 200 || text !== answer) throw new Error(`${contestant}: ${response.status} ${text}`)
  }
  const refused = await fetch(url + (asked[0]?.path ?? ""), { headers: { authorization: "Bearer a.b.c" } })
  if (refused.status !== 401) throw new Error(`${contestant} let a made-up token in: ${refused.status}`)
}

interface Turn {
  readonly perSecond: number
  /** Microseconds of the server's processor time for one request, on all its threads. */
  readonly cpu: number
}

const cpuOf = async (child: ChildProcess): Promise<number> => {
  child.send("cpu")
  const [usage]: ReadonlyArray<NodeJS.CpuUsage> = await once(child, "message")
  return usage === undefined ? Number.NaN : usage.system + usage.user
}

/** One turn; throws when a request was answered with anything but 200. */
const load = async (
  { child, contestant, url }: Server,
  asked: ReadonlyArray<Asked>,
  seconds: number,
): Promise<Turn> => {
  const before = await cpuOf(child)
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    requests: asked.map(({ authorization, path }) => ({ method: "GET", path, headers: { authorization } })),
  })
  const wrong = result.non2xx + result.errors + result.timeouts
  if (wrong > 0) throw new Error(`${contestant}: ${wrong} requests went wrong`)
  return { perSecond: result["2xx"] / result.duration, cpu: ((await cpuOf(child)) - before) / result["2xx"] }
}

// -----------------------------------------------------------------------------
// Rounds
// -----------------------------------------------------------------------------

interface Row {
  readonly algorithm: string
  readonly turns: Readonly<Record<Contestant, ReadonlyArray<Turn>>>
  /** Requests per second, ours as a multiple of jose's, of each round. */
  readonly ratios: ReadonlyArray<number>
  readonly ratio: number
  /** The same for the processor time of a request, which other programs on the machine disturb less. */
  readonly cpuRatio: number
}

const measure = async (
  algorithm: string,
  servers: ReadonlyArray<Server>,
  asked: ReadonlyArray<Asked>,
  { rounds, turn, warmUpRounds }: Size,
): Promise<Row> => {
  const turns: Record<Contestant, Array<Turn>> = { "effect-jwks": [], jose: [] }
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
      const taken = await load(server, asked, turn)
      if (round >= 0) turns[server.contestant].push(taken)
    }
  }
  const ratiosOf = (figure: keyof Turn) =>
    turns["effect-jwks"].map((ours, round) => ours[figure] / (turns.jose[round]?.[figure] ?? Number.NaN))
  const ratios = ratiosOf("perSecond")
  return { algorithm, turns, ratios, ratio: median(ratios), cpuRatio: median(ratiosOf("cpu")) }
}

const run = async (size: Size): Promise<ReadonlyArray<Row>> => {
  const rows: Array<Row> = []
  for (const algorithm of algorithms) {
    const names = Array.from({ length: size.tenants }, (_, nth) => `org-${nth + 1}`)
    const tenants = await Promise.all(
      names.map(async (tenant) => ({ tenant, ...(await makeTenant(algorithm, tenant, size)) })),
    )
    const upstream = await serve(tenants)
    const idps = names.map((tenant) => ({
      tenant,
      issuer: upstream.issuerOf(tenant),
      jwksUrl: upstream.jwksUrlOf(tenant),
    }))
    // Tenants in turn, as requests come in.
    const byTenant = await Promise.all(tenants.map(({ sign, tenant }) => sign(upstream.issuerOf(tenant))))
    const asked = (byTenant[0] ?? []).flatMap((_, nth) => byTenant.flatMap((tokens) => tokens.slice(nth, nth + 1)))

    const servers = await Promise.all(contestants.map((contestant) => start(contestant, idps)))
    for (const server of servers) await checkAll(server, asked)
    const requests = upstream.requests
    rows.push(await measure(algorithm, servers, asked, size))
    if (upstream.requests !== requests) throw new Error("the upstream was asked while measuring")
    for (const { child } of servers) {
      child.disconnect()
      await once(child, "exit")
    }
    await upstream.close()
  }
  return rows
}

const column = (turns: ReadonlyArray<Turn>, figure: keyof Turn, width: number): string =>
  median(turns.map((turn) => turn[figure]))
    .toFixed(0)
    .padStart(width)

const tableOf = (rows: ReadonlyArray<Row>, { keysEach, rounds, tenants, turn }: Size): string =>
  [
    `${tenants} tenants with ${keysEach} keys each; ${connections} connections; medians of ${rounds} rounds of ${turn} s; Node ${process.versions.node}` +
      (onSecondCore ? "; load and server on a core each" : ""),
    "",
    "             requests/s                           processor us/request",
    "             effect-jwks    jose  ratio (rounds)        effect-jwks  jose  ratio",
    ...rows.map(({ algorithm, cpuRatio, ratio, ratios, turns: { "effect-jwks": ours, jose } }) =>
      [
        algorithm.padEnd(13),
        column(ours, "perSecond", 11),
        column(jose, "perSecond", 8),
        `  ${ratio.toFixed(3)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
        column(ours, "cpu", 13),
        column(jose, "cpu", 6),
        `  ${cpuRatio.toFixed(3)}`,
      ].join(""),
    ),
  ].join("\n")

const values = readOptions("route")

const size = values.smoke ? small : full
const rows = await run(size)
console.log(tableOf(rows, size))
write(values.out, { node: process.versions.node, ...size, margin, rows })

if (values.assert) {
  for (const { algorithm, ratio } of rows) {
    const isKept = ratio >= 1 - margin
    console.log(`${algorithm}: ${ratio.toFixed(3)}, at least 1 with a margin of ${margin}: ${isKept ? "ok" : "FAILED"}`)
    if (!isKept) process.exitCode = 1
  }
}
