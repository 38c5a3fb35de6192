import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { startAdminStandIn } from "./support/AdminStandIn.ts"
import type { AdminStandIn } from "./support/AdminStandIn.ts"
import { noChromium, openPage, screenshot, startChromium } from "./support/Chromium.ts"
import type { Chromium, WatchedPage } from "./support/Chromium.ts"
import { largeFleet } from "./support/FakeFleet.ts"

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN

describe.skipIf(noChromium !== undefined)("10,000 providers", () => {
  let chromium: Chromium
  let server: AdminStandIn
  let opened: WatchedPage
  beforeAll(async () => {
    chromium = await startChromium()
    server = await startAdminStandIn(largeFleet())
    opened = await openPage(chromium, server.url)
    await opened.page.locator(".row .provider-name").first().waitFor()
  })
  afterAll(async () => {
    await opened?.close()
    await server?.close()
    await chromium?.close()
  })

  it("are searched within 100 ms from the key press to the painted rows", async () => {
    const { page } = opened
    const search = page.getByRole("searchbox", { name: "Search tenant" })
    const times: Array<number> = []
    for (const name of ["idp-04217", "idp-09999", "idp-00001", "idp-07311", "idp-02718", "idp-05555", "idp-08192"]) {
      // All but the last key; the last one narrows ten rows down to one.
      await search.fill(name.slice(0, -1))
      await page.locator("#found", { hasText: /^10 providers$/ }).waitFor({ state: "attached" })
      const painted = page.evaluate(
        (wanted) =>
          new Promise<number>((resolve) => {
            const input = document.querySelector("#search")
            input?.addEventListener(
              "input",
              (event) => {
                const look = () => {
                  const shown = [...document.querySelectorAll(".row .provider-name")].map((link) => link.textContent)
                  if (shown.length !== 1 || shown[0] !== wanted) return void requestAnimationFrame(look)
                  // A task after the frame runs when it is painted.
                  const { port1, port2 } = new MessageChannel()
                  port1.addEventListener("message", () => resolve(performance.now() - event.timeStamp))
                  port1.start()
                  port2.postMessage(0)
                }
                requestAnimationFrame(look)
              },
              { capture: true, once: true },
            )
          }),
        name,
      )
      await search.press(name.slice(-1))
      times.push(await painted)
    }
    console.log(
      `search over 10,000 providers: median ${median(times).toFixed(1)} ms, each ${times.map((time) => time.toFixed(1)).join(" ")}`,
    )
    expect(median(times)).toBeLessThan(100)
    await search.fill("")
    await page.locator("#found", { hasText: /^10.000 providers$/ }).waitFor({ state: "attached" })
  })

  it("are scrolled through with few elements and few requests", async () => {
    const { page } = opened
    await screenshot(page, "large")
    const before = server.requests.length
    for (const share of [0.25, 0.5, 0.75]) {
      await page.evaluate((share) => scrollTo(0, document.documentElement.scrollHeight * share), share)
    }
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight))
    await page.locator('.row[aria-rowindex="10001"] .provider-name').waitFor()
    expect(await page.locator(".row").count()).toBeLessThan(60)
    expect(server.requests.length - before).toBeLessThan(12)
    await screenshot(page, "large-end")
  })

  it("are walked from the first to the last by keyboard", async () => {
    const { page } = opened
    await page.evaluate(() => scrollTo(0, 0))
    await page.locator('.row[aria-rowindex="2"] .provider-name').focus()
    await page.keyboard.press("End")
    await page.locator('.row[aria-rowindex="10001"]:focus-within').waitFor()
    await page.keyboard.press("ArrowUp")
    await page.locator('.row[aria-rowindex="10000"]:focus-within').waitFor()
    await page.keyboard.press("Home")
    await page.locator('.row[aria-rowindex="2"]:focus-within').waitFor()
    for (let index = 0; index < 30; index++) await page.keyboard.press("ArrowDown")
    const focused = page.locator('.row[aria-rowindex="32"]:focus-within')
    await focused.waitFor()
    const box = await focused.boundingBox()
    expect(box?.y).toBeGreaterThan(80)
    expect((box?.y ?? 0) + (box?.height ?? 0)).toBeLessThanOrEqual(900)
  })

  it("leave the console empty", () => {
    expect(opened.complaints).toEqual([])
  })
})
