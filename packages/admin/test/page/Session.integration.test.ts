import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Page } from "playwright-core"
import { startAdminStandIn } from "./support/AdminStandIn.ts"
import { noChromium, openPage, screenshot, startChromium } from "./support/Chromium.ts"
import type { Chromium } from "./support/Chromium.ts"
import { smallFleet } from "./support/FakeFleet.ts"

const token = "operators-only"

describe.skipIf(noChromium !== undefined)("a session", () => {
  let chromium: Chromium
  beforeAll(async () => {
    chromium = await startChromium()
  })
  afterAll(() => chromium?.close())

  const unexpected = (complaints: ReadonlyArray<string>, pattern: RegExp) =>
    complaints.filter((complaint) => !pattern.test(complaint))

  const enter = async (page: Page, text: string) => {
    await page.getByLabel("Token", { exact: true }).fill(text)
    await page.keyboard.press("Enter")
  }

  it("begins with the token, says when it is wrong, and ends with a log out", async () => {
    const server = await startAdminStandIn(smallFleet(), { token })
    const { page, complaints, close } = await openPage(chromium, server.url)
    const form = page.getByRole("dialog", { name: "Token of the admin API" })
    await form.waitFor()
    await screenshot(page, "token")
    // The shell asks for nothing that it could only be refused.
    expect(server.requests).toEqual(["GET /"])
    await page.keyboard.press("Enter")
    await form.getByText("Enter the token.").waitFor()
    await enter(page, "wrong")
    await form.getByText("This token is not accepted.").waitFor()
    expect(await form.getByLabel("Token", { exact: true }).getAttribute("aria-invalid")).toBe("true")
    await enter(page, "no header takes \u2028 this")
    await form.getByText("This token is not accepted.").waitFor()
    expect(await page.locator(".row").count()).toBe(0)
    await enter(page, ` ${token} `)
    await form.waitFor({ state: "hidden" })
    await page.locator(".row").first().waitFor()
    await page.locator("#live[data-kind=live]").waitFor()

    const stored = await page.evaluate(() => [
      Object.values(sessionStorage),
      Object.values(localStorage),
      document.cookie,
    ])
    expect(stored).toEqual([[token], [], ""])
    await page.reload()
    await page.locator(".row").first().waitFor()
    await page.getByRole("button", { name: "Log out" }).click()
    await form.waitFor()
    expect(await page.evaluate(() => Object.values(sessionStorage))).toEqual([])
    expect(await page.locator(".row").count()).toBe(0)

    await page.keyboard.press("Escape")
    await form.waitFor({ state: "hidden" })
    await page.getByRole("button", { name: "Enter the token" }).click()
    await form.waitFor()
    expect(unexpected(complaints, /status of 401/)).toEqual([])
    await close()
    await server.close()
  })

  it("asks again when the token is changed on the server, and hides what was shown", async () => {
    const fleet = smallFleet()
    const server = await startAdminStandIn(fleet, { token })
    const { page, complaints, close } = await openPage(chromium, server.url)
    await enter(page, token)
    await page.locator("#live[data-kind=live]").waitFor()
    await server.goDown()
    server.useToken("another")
    await server.comeBack()
    await page.getByRole("dialog").getByText("This token is not accepted.").waitFor()
    expect(await page.locator(".row").count()).toBe(0)
    await enter(page, "another")
    await page.locator(".row").first().waitFor()
    expect(unexpected(complaints, /status of 401|ERR_/)).toEqual([])
    await close()
    await server.close()
  })

  it("shows no form where reading is open", async () => {
    const server = await startAdminStandIn(smallFleet(), { token, isReadOpen: true })
    const { page, complaints, close } = await openPage(chromium, server.url)
    await page.locator("#live[data-kind=live]").waitFor()
    expect(await page.getByRole("dialog").count()).toBe(0)
    expect(await page.getByRole("button", { name: "Log out" }).count()).toBe(0)
    expect(complaints).toEqual([])
    await close()
    await server.close()
  })

  it("shows that the stream is lost, and resumes after the last event when it is back", async () => {
    const fleet = smallFleet()
    const server = await startAdminStandIn(fleet)
    const { page, complaints, close } = await openPage(chromium, server.url)
    await page.locator("#live[data-kind=live]").waitFor()
    fleet.turnStale("acme", "okta")
    await page.locator(".badge[data-health=stale]").waitFor()
    const last = fleet.events.at(-1)?.id

    await server.goDown()
    await page.locator("#lost[data-shown=yes]").waitFor()
    await page.getByRole("status").getByText("Live updates are lost.").waitFor()
    await screenshot(page, "stream-lost")
    fleet.turnFailed("acme", "okta")
    fleet.rotate("globex", "google")
    await server.comeBack()
    await page.locator("#live[data-kind=live]").waitFor()
    await page.locator(".badge[data-health=failed]").waitFor()
    expect(await page.locator("#lost").getAttribute("data-shown")).toBe("no")
    expect(server.resumedAfter.at(-1)).toBe(String(last))
    await page.getByRole("link", { name: "Timeline" }).click()
    await page.locator("#events-found", { hasText: `${fleet.events.length} events` }).waitFor()

    expect(unexpected(complaints, /ERR_/)).toEqual([])
    await close()
    await server.close()
  })

  it("finds what was searched for while the server was away", async () => {
    const server = await startAdminStandIn(smallFleet())
    const { page, complaints, close } = await openPage(chromium, server.url)
    await page.locator("#live[data-kind=live]").waitFor()
    await server.goDown()
    await page.locator("#lost[data-shown=yes]").waitFor()
    await page.getByRole("searchbox", { name: "Search tenant" }).fill("cognito")
    await server.comeBack()
    await page.locator("#live[data-kind=live]").waitFor()
    await page.locator("#found", { hasText: /^1 provider$/ }).waitFor({ state: "attached" })
    expect(await page.locator(".row .provider-name").allTextContents()).toEqual(["cognito"])
    expect(unexpected(complaints, /ERR_/)).toEqual([])
    await close()
    await server.close()
  })

  it("says how many events did not reach it, and takes ten thousand at once", async () => {
    const fleet = smallFleet()
    const server = await startAdminStandIn(fleet)
    const { page, complaints, close } = await openPage(chromium, `${server.url}#timeline`)
    await page.locator("#live[data-kind=live]").waitFor()
    for (let index = 0; index < 10_000; index++) fleet.tell("acme", "okta", "RefreshSucceeded", `refresh ${index}`)
    await page.getByText("refresh 9999", { exact: true }).waitFor()
    await page.locator("#events-found", { hasText: /^1.000 events$/ }).waitFor()
    server.dropOnTheWay(37)
    await page.getByText("37 events did not reach this page.").waitFor()
    expect(complaints).toEqual([])
    await close()
    await server.close()
  })

  it("makes the next attempt at once for those who do not want to wait", async () => {
    const server = await startAdminStandIn(smallFleet())
    const { page, complaints, close } = await openPage(chromium, server.url, {}, async (page) => {
      await page.clock.install()
    })
    await page.locator("#live[data-kind=live]").waitFor()
    // From here on no timer of the page fires.
    await page.clock.pauseAt(Date.now() + 1_000)
    await server.goDown()
    await page.getByText(/^Next attempt in/).waitFor()
    await server.comeBack()
    await page.getByRole("button", { name: "Try now" }).click()
    await page.locator("#live[data-kind=live]").waitFor()
    expect(server.resumedAfter).toHaveLength(2)
    expect(unexpected(complaints, /ERR_/)).toEqual([])
    await close()
    await server.close()
  })

  it("notices a server that began to count its events anew", async () => {
    const fleet = smallFleet()
    const server = await startAdminStandIn(fleet)
    const { page, close } = await openPage(chromium, `${server.url}#timeline`)
    await page.locator("#events-found", { hasText: "4 events" }).waitFor()
    await server.goDown()
    await page.locator("#live[data-kind=lost]").waitFor()
    fleet.events.length = 0
    fleet.tell("acme", "okta", "ProviderRegistered", "registered again")
    await server.comeBack()
    await page.locator("#events-found", { hasText: /^1 event$/ }).waitFor()
    fleet.rotate("acme", "okta")
    await page.locator("#events-found", { hasText: "2 events" }).waitFor()
    await close()
    await server.close()
  })

  it("gives up a stream that has gone silent", async () => {
    const server = await startAdminStandIn(smallFleet())
    const { page, complaints, close } = await openPage(chromium, server.url, {}, async (page) => {
      await page.clock.install()
    })
    await page.locator("#live[data-kind=live]").waitFor()
    await page.clock.fastForward(41_000)
    await page.locator("#lost[data-shown=yes]").waitFor()
    await page.clock.fastForward(2_000)
    await page.locator("#live[data-kind=live]").waitFor()
    expect(server.resumedAfter).toHaveLength(2)
    expect(complaints).toEqual([])
    await close()
    await server.close()
  })
})
