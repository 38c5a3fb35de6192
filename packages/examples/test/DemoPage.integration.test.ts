/**
 * The operators' page over a real registry and real providers, in Debian's Chromium: what happens to them is seen
 * without a hand being moved. Time is the demo's, which is moved ahead.
 */
import { JwksAdmin } from "@effect-jwks/admin"
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import { JwtVerifierLive } from "@effect-jwks/jwt"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Redacted from "effect/Redacted"
import { createServer } from "node:http"
import { type Browser, chromium } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { existsSync } from "node:fs"
import { DemoClock } from "../10_demo/clock.ts"
import { steps } from "../10_demo/steps.ts"
import { makeWorld } from "../10_demo/world.ts"

const executablePath = "/usr/bin/chromium"
const hasNoChromium = !existsSync(executablePath)
if (hasNoChromium) console.warn(`the demo's page is not looked at: ${executablePath} is missing`)

const token = "the-token-of-this-test-alone"

const JwksLive = JwtVerifierLive.pipe(
  Layer.provideMerge(JwksRegistry.layer({ requireHttps: false, allowPrivateAddresses: ["127.0.0.1"] })),
  Layer.provide([Persistence.layerMemory, JwksMetrics.layer]),
  Layer.provideMerge(FetchHttpClient.layer),
)

describe.skipIf(hasNoChromium)("The page over a registry", () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath,
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"],
    })
  })
  afterAll(() => browser?.close())

  it("shows a provider that is taken down turn stale and then failed, its keys, and its return", async () => {
    const clock = new DemoClock()
    const program = Effect.gen(function* () {
      const world = yield* makeWorld(clock, undefined)
      yield* steps.start.run(world)
      yield* steps.register.run(world)
      const registry = yield* JwksRegistry
      const context = yield* Layer.build(
        JwksAdmin.layer({ token: Redacted.make(token) }).pipe(
          Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { host: "127.0.0.1", port: 0 })),
          Layer.provide(Layer.succeed(JwksRegistry, registry)),
        ),
      )
      const url = yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context)
      const page = yield* Effect.promise(() => browser.newPage({ viewport: { width: 1280, height: 720 } }))
      const complaints: Array<string> = []
      page.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
      })
      page.on("pageerror", (error) => complaints.push(String(error)))
      const row = page.locator(".row", { has: page.locator('a[href="#provider/acme/idp-a"]') })
      const turns = (health: string) => Effect.promise(() => row.locator(`.badge[data-health=${health}]`).waitFor())

      yield* Effect.promise(async () => {
        await page.goto(`${url}/`)
        await page.getByLabel("Token", { exact: true }).fill(token)
        await page.keyboard.press("Enter")
        await page.locator("#live[data-kind=live]").waitFor()
      })
      yield* turns("fresh")

      yield* world.a.goDown
      yield* clock.jump("2 minutes")
      yield* turns("stale")
      yield* clock.jump("2 hours")
      yield* turns("failed")

      yield* world.a.comeUp
      yield* world.a.rotate
      yield* clock.jump("2 minutes")
      yield* turns("fresh")
      yield* Effect.promise(async () => {
        await page.locator('a[href="#provider/acme/idp-a"]').click()
        await page.getByText(world.a.kid).first().waitFor()
      })
      // The shell comes with a 401 until somebody has shown the token.
      expect(complaints.filter((text) => !text.includes("401"))).toEqual([])
      yield* Effect.promise(() => page.close())
    })
    await Effect.runPromise(
      program.pipe(Effect.scoped, Effect.provide(JwksLive), Effect.provideService(Clock.Clock, clock)),
    )
  }, 60_000)
})
