/**
 * What a registry for one request costs over a memory that has the keys: it is built, answers one question from the
 * memory, and is closed. Beside one ES256 verification of the same run, which every such request does as well.
 *
 *     node packages/benchmarks/requests.ts [--smoke]
 */
import { JwksMemory, JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Persistence from "effect/persistence/Persistence"
import * as References from "effect/References"
import { exportJWK, generateKeyPair, jwtVerify, SignJWT } from "jose"
import { createServer } from "node:http"
import { once } from "node:events"
import { parseArgs } from "node:util"
import { median } from "./report.ts"

const { smoke = false } = parseArgs({ options: { smoke: { type: "boolean" } } }).values
const rounds = smoke ? 3 : 15
const perRound = smoke ? 20 : 400

const { privateKey, publicKey } = await generateKeyPair("ES256")
const jwk = { ...(await exportJWK(publicKey)), kid: "one", alg: "ES256", use: "sig" }
const token = await new SignJWT({ sub: "ada" }).setProtectedHeader({ alg: "ES256", kid: "one" }).sign(privateKey)

const upstream = createServer((_, response) => {
  response.setHeader("cache-control", "max-age=3600").end(JSON.stringify({ keys: [jwk] }))
})
upstream.listen(0, "127.0.0.1")
await once(upstream, "listening")
const address = upstream.address()
const port = typeof address === "object" && address !== null ? address.port : 0

const quiet = Layer.succeed(References.MinimumLogLevel, "None")

/** One request over a memory that holds the keys of so many providers; `anew`: each makes its options itself. */
const requestOver = async (providers: number, anew = false): Promise<() => Promise<void>> => {
  const options = {
    memory: JwksMemory.make(),
    requireHttps: false,
    allowPrivateAddresses: ["127.0.0.1"],
    providers: Array.from({ length: providers }, (_, n) => ({
      tenant: `tenant-${n}`,
      provider: "idp",
      jwksUrl: `http://127.0.0.1:${port}/${n}`,
      requireHttps: false,
    })),
  }
  const layerOf = (given: typeof options) =>
    JwksRegistry.layer(given).pipe(
      Layer.provide([FetchHttpClient.layer, Persistence.layerMemory, JwksMetrics.layerNoop, quiet]),
    )
  const layer = layerOf(options)
  const warm = ManagedRuntime.make(layer)
  await warm.runPromise(JwksRegistry.warmUp({ timeout: "1 minute" }))
  await warm.dispose()
  const tenant = `tenant-${providers - 1}`
  return async () => {
    const runtime = ManagedRuntime.make(
      anew ? layerOf({ ...options, providers: options.providers.map((one) => ({ ...one })) }) : layer,
    )
    await runtime.runPromise(JwksRegistry.resolveKey(tenant, "one"))
    await runtime.dispose()
  }
}

const empty = async (): Promise<void> => {
  const runtime = ManagedRuntime.make(Layer.empty)
  await runtime.runPromise(Effect.void)
  await runtime.dispose()
}

const contestants: ReadonlyArray<readonly [string, () => Promise<unknown>]> = [
  ["ES256 verification", () => jwtVerify(token, jwk)],
  ["runtime with an empty layer", empty],
  ["1 provider", await requestOver(1)],
  ["10 providers", await requestOver(10)],
  ["100 providers", await requestOver(100)],
  ["1 provider, options anew", await requestOver(1, true)],
  ["10 providers, options anew", await requestOver(10, true)],
]

const medians = new Map<string, number>()
const times = new Map<string, Array<number>>(contestants.map(([name]) => [name, []]))
for (let round = -2; round < rounds; round += 1) {
  for (const [name, run] of contestants) {
    const begin = performance.now()
    for (let i = 0; i < perRound; i += 1) await run()
    if (round >= 0) times.get(name)?.push(((performance.now() - begin) * 1_000) / perRound)
  }
}
for (const [name, all] of times) medians.set(name, median(all))
const verification = medians.get("ES256 verification") ?? 1
for (const [name, micros] of medians) {
  console.log(
    `${name.padEnd(28)} ${micros.toFixed(1).padStart(8)} µs  ${(micros / verification).toFixed(2)} verifications`,
  )
}
upstream.close()
upstream.closeAllConnections()
