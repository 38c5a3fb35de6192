import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Page } from "playwright-core"
import { startAdminStandIn } from "./support/AdminStandIn.ts"
import type { AdminStandIn } from "./support/AdminStandIn.ts"
import { noChromium, openPage, screenshot, startChromium } from "./support/Chromium.ts"
import type { Chromium } from "./support/Chromium.ts"
import { smallFleet } from "./support/FakeFleet.ts"
import type { FakeFleet } from "./support/FakeFleet.ts"

const minute = 60_000

const row = (page: Page, tenant: string, provider: string) =>
  page.locator(".row", { has: page.locator(`a[href="#provider/${tenant}/${provider}"]`) })

const names = (page: Page) => page.locator(".row .provider-name").allTextContents()

const filter = (page: Page, name: RegExp) =>
  page.getByRole("group", { name: "Filter by state" }).getByRole("button", { name })

describe.skipIf(noChromium !== undefined)("the fleet", () => {
  let chromium: Chromium
  beforeAll(async () => {
    chromium = await startChromium()
  })
  afterAll(() => chromium?.close())

  const opened = async (
    use: (page: Page, fleet: FakeFleet, server: AdminStandIn) => Promise<void>,
    { fleet = smallFleet(), time }: { readonly fleet?: FakeFleet; readonly time?: number } = {},
  ) => {
    const server = await startAdminStandIn(fleet)
    const { page, complaints, close } = await openPage(chromium, server.url, {}, async (page) => {
      if (time !== undefined) await page.clock.install({ time })
    })
    try {
      await row(page, "acme", "okta").waitFor()
      await page.locator("#live[data-kind=live]").waitFor()
      await use(page, fleet, server)
      expect(complaints).toEqual([])
    } finally {
      await close()
      await server.close()
    }
  }

  it("shows a row for each provider, with all that an operator asks first", () =>
    opened(async (page, fleet) => {
      fleet.turnStale("umbrella", "okta")
      await row(page, "umbrella", "okta").locator(".badge[data-health=stale]").waitFor()
      expect(await page.locator(".row").count()).toBe(12)
      const text = await row(page, "umbrella", "okta").innerText()
      for (const part of ["okta", "umbrella", "Stale", "left", "99.9 %", "HttpStatus \u00d73", "status 503", "in 2"]) {
        expect(text).toContain(part)
      }
      const bar = await row(page, "acme", "okta").getByRole("img").getAttribute("aria-label")
      expect(bar).toMatch(/^Fetched .* ago, refresh due in .*, expires in .*, stale limit in /)
    }))

  it("turns a provider that is taken down to stale and then to failed before the viewer's eyes", () =>
    opened(async (page, fleet, server) => {
      const watched = row(page, "globex", "auth0")
      await watched.locator(".badge[data-health=fresh]").waitFor()
      const asked = server.requests.length
      fleet.turnStale("globex", "auth0")
      await watched.locator(".badge[data-health=stale]").waitFor()
      await filter(page, /^Stale 1$/).waitFor()
      await screenshot(page, "turned-stale")
      fleet.turnFailed("globex", "auth0")
      await watched.locator(".badge[data-health=failed]").waitFor()
      await filter(page, /^Failed 1$/).waitFor()
      await screenshot(page, "turned-failed")
      expect(await page.title()).toBe("(1 failed) JWKS providers")
      expect((await names(page))[0]).toBe("auth0") // the worst first
      // It was not reloaded, and two breaths of events cost no more than a few requests.
      expect(server.requests.filter((request) => request === "GET /")).toHaveLength(1)
      expect(server.requests.length - asked).toBeLessThan(8)
    }))

  // Once in some hundred runs the browser's installed clock does not come back from a jump.
  it("lets time alone turn a row, by the server's clock", { retry: 1 }, () => {
    const time = Date.now()
    // The server is an hour ahead of this machine; its times are what counts.
    let passed = 60 * minute
    const fleet = smallFleet(() => time + passed)
    const now = fleet.now()
    const failure = { reason: "TimedOut", message: "no answer", at: now, count: 2, nextAttemptAt: now + 90 * minute }
    fleet.change("acme", "okta", { expiresAt: now + 5 * minute, staleUntil: now + 20 * minute, failure })
    return opened(
      async (page) => {
        const watched = row(page, "acme", "okta")
        await watched.locator(".badge[data-health=fresh]").waitFor()
        const before = await watched.locator(".bar-now").getAttribute("style")
        passed += 6 * minute
        await page.clock.fastForward(6 * minute)
        await watched.locator(".badge[data-health=stale]").waitFor()
        expect(await watched.locator(".bar-now").getAttribute("style")).not.toBe(before)
        passed += 15 * minute
        await page.clock.fastForward(15 * minute)
        await watched.locator(".badge[data-health=failed]").waitFor()
      },
      { fleet, time },
    )
  })

  it("filters by state and by tenant", () =>
    opened(async (page, fleet) => {
      fleet.turnFailed("globex", "entra")
      await filter(page, /^Failed 1$/).click()
      await page.locator("#found", { hasText: /^1 provider$/ }).waitFor({ state: "attached" })
      expect(await names(page)).toEqual(["entra"])
      expect(await filter(page, /^Failed/).getAttribute("aria-pressed")).toBe("true")
      await filter(page, /^Waiting 1$/).click()
      await row(page, "hooli", "google").waitFor()
      await filter(page, /^All 12$/).click()
      await row(page, "initech", "keycloak").click()
      await page.getByRole("button", { name: "Only tenant initech" }).click()
      await page.locator("#found", { hasText: /^2 providers$/ }).waitFor({ state: "attached" })
      expect((await names(page)).toSorted()).toEqual(["github-actions", "keycloak"])
      await page.getByRole("button", { name: "Show every tenant, not only initech" }).click()
      await page.locator("#found", { hasText: /^12 providers$/ }).waitFor({ state: "attached" })
    }))

  it("sorts by a column, and the other way round", () =>
    opened(async (page, _, server) => {
      const head = page.getByRole("columnheader", { name: "Provider" })
      await head.getByRole("button").click()
      await page.locator("#grid[aria-busy=false]").waitFor()
      expect(await head.getAttribute("aria-sort")).toBe("ascending")
      expect((await names(page)).slice(0, 4)).toEqual(["entra", "keycloak", "okta", "auth0"])
      await head.getByRole("button").click()
      await page.locator("#grid[aria-busy=false]").waitFor()
      expect(await head.getAttribute("aria-sort")).toBe("descending")
      expect((await names(page))[0]).toBe("partner-federation-gateway-eu-central")
      await page.getByLabel("Sort").selectOption("requests")
      await page.locator("#grid[aria-busy=false]").waitFor()
      expect(server.requests.at(-1)).toContain("sort=requests&order=desc")
    }))

  it("says so where nothing is found", () =>
    opened(async (page) => {
      await page.getByRole("searchbox", { name: "Search tenant" }).fill("nobody")
      await page.getByText("No provider matches.").waitFor()
      expect(await page.locator(".row").count()).toBe(0)
    }))

  it("works wherever the application mounts it", async () => {
    const server = await startAdminStandIn(smallFleet())
    for (const mount of ["admin", "admin/"]) {
      const { page, complaints, close } = await openPage(chromium, server.url + mount)
      await row(page, "acme", "okta").waitFor()
      await page.locator("#live[data-kind=live]").waitFor()
      expect(complaints).toEqual([])
      await close()
    }
    await server.close()
  })

  it("writes data as text, whatever it says", () => {
    const fleet = smallFleet()
    fleet.add("<img src=x onerror=alert(1)>", "\"'&</script><script>")
    return opened(
      async (page) => {
        await page.getByText("\"'&</script><script>").waitFor()
        await page.getByText("<img src=x onerror=alert(1)>").click()
        await page.getByRole("dialog").getByRole("heading", { name: "<img src=x onerror=alert(1)>" }).waitFor()
        expect(await page.locator("img").count()).toBe(0)
      },
      { fleet },
    )
  })
})
