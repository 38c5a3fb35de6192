import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { BrowserContextOptions } from "playwright-core"
import { startAdminStandIn } from "./support/AdminStandIn.ts"
import type { AdminStandIn } from "./support/AdminStandIn.ts"
import { accessibilityProblems, noChromium, openPage, screenshot, startChromium, withAxe } from "./support/Chromium.ts"
import type { Chromium } from "./support/Chromium.ts"
import { smallFleet } from "./support/FakeFleet.ts"

const looks: ReadonlyArray<readonly [name: string, options: BrowserContextOptions]> = [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }],
  ["phone-dark", { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, colorScheme: "dark" }],
  ["tablet", { viewport: { width: 820, height: 1100 } }],
  ["small-desktop", { viewport: { width: 1100, height: 700 } }],
]

const views = [
  ["fleet", ""],
  ["detail", "#provider/globex/entra"],
  ["timeline", "#timeline"],
] as const

describe.skipIf(noChromium !== undefined)("the page for everybody", () => {
  let chromium: Chromium
  let server: AdminStandIn
  let locked: AdminStandIn
  beforeAll(async () => {
    chromium = await startChromium()
    const fleet = smallFleet()
    fleet.turnStale("umbrella", "okta")
    fleet.turnFailed("globex", "entra")
    fleet.rotate("acme", "okta")
    fleet.drop("globex", "entra")
    server = await startAdminStandIn(fleet)
    locked = await startAdminStandIn(fleet, { token: "operators-only" })
  })
  afterAll(async () => {
    await server?.close()
    await locked?.close()
    await chromium?.close()
  })

  it.each(
    looks.flatMap(([look, options]) => views.map(([view, fragment]) => [look, view, options, fragment] as const)),
  )("has nothing that axe-core objects to: %s, %s", async (look, view, options, fragment) => {
    const { page, complaints, close } = await openPage(chromium, server.url + fragment, options, withAxe)
    await page.locator("#live[data-kind=live]").waitFor({ state: "attached" })
    if (view === "detail") {
      await page
        .getByText(/^Public JWK of/)
        .first()
        .click()
    }
    if (view === "fleet") await page.locator(".row").first().waitFor()
    await screenshot(page, `${view}-${look}`)
    expect(await accessibilityProblems(page)).toEqual([])
    // Nothing is cut off at the side, and nobody has to scroll sideways.
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
    expect(complaints).toEqual([])
    await close()
  })

  it.each(["light", "dark"] as const)(
    "has nothing that axe-core objects to: the form for the token, %s",
    async (look) => {
      const { page, close } = await openPage(chromium, locked.url, { colorScheme: look }, withAxe)
      await page.getByRole("dialog").waitFor()
      await page.keyboard.press("Enter")
      expect(await accessibilityProblems(page)).toEqual([])
      await page.keyboard.press("Escape")
      expect(await accessibilityProblems(page)).toEqual([])
      await close()
    },
  )

  it("is walked by keyboard alone", async () => {
    const { page, complaints, close } = await openPage(chromium, server.url)
    await page.locator("#live[data-kind=live]").waitFor()
    await page.locator(".row").first().waitFor()
    const focused = () =>
      page.evaluate(() => {
        const { activeElement } = document
        return activeElement?.getAttribute("id") ?? activeElement?.textContent ?? ""
      })
    const walked: Array<string> = []
    for (let index = 0; index < 30; index++) {
      await page.keyboard.press("Tab")
      walked.push(await focused())
      if (await page.evaluate(() => document.activeElement?.closest(".row") !== null)) break
    }
    expect(walked.map((text) => text.replace(/\s*\d+$/, ""))).toEqual([
      ...["skip", "Fleet", "Timeline", "theme"],
      ...["All", "Fresh", "Stale", "Failed", "Waiting", "search", "sort", "order"],
      ...["Provider", "State", "Freshness", "Hits", "", "Last error"],
      "entra",
    ])
    await page.keyboard.press("ArrowDown")
    expect(await focused()).toBe("okta")
    await page.keyboard.press("Enter")
    const panel = page.getByRole("dialog", { name: "umbrella / okta" })
    await panel.waitFor()
    expect(await focused()).toBe("detail-title")
    await page.keyboard.press("Tab")
    expect(await focused()).toBe("detail-close")
    await page.keyboard.press("Enter")
    await panel.waitFor({ state: "hidden" })
    expect(await focused()).toBe("okta")

    await page.locator("#skip").focus()
    await page.keyboard.press("Enter")
    expect(await focused()).toBe("main")
    expect(complaints).toEqual([])
    await close()
  })

  it("keeps the theme that somebody chose", async () => {
    const { page, complaints, close } = await openPage(chromium, server.url, { colorScheme: "light" })
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const light = await ground()
    const button = page.getByRole("button", { name: /^Theme/ })
    await button.click()
    await button.click()
    await page.getByRole("button", { name: "Theme: dark" }).waitFor()
    const dark = await ground()
    expect(dark).not.toBe(light)
    await page.reload()
    expect(await ground()).toBe(dark)
    expect(complaints).toEqual([])
    await close()
  })

  it("moves nothing for those who asked for that", async () => {
    const { page, close } = await openPage(chromium, server.url, { reducedMotion: "reduce" })
    await page.locator(".row").first().waitFor()
    const animation = await page
      .locator(".row")
      .first()
      .evaluate((row) => {
        row.classList.add("is-changed")
        return getComputedStyle(row).animationName
      })
    expect(animation).toBe("none")
    await close()
  })

  it("tells a screen reader of changes in one sentence", async () => {
    const fleet = smallFleet()
    const own = await startAdminStandIn(fleet)
    const { page, complaints, close } = await openPage(chromium, own.url)
    await page.locator("#live[data-kind=live]").waitFor()
    await page.locator(".row").first().waitFor()
    fleet.turnStale("acme", "okta")
    fleet.turnStale("acme", "entra")
    fleet.turnStale("globex", "entra")
    await page.locator("#news", { hasText: /^\w+ of \w+ is now stale\. 2 more changed\.$/ }).waitFor({
      state: "attached",
    })
    expect(complaints).toEqual([])
    await close()
    await own.close()
  })
})
