import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Page } from "playwright-core"
import { startAdminStandIn } from "./support/AdminStandIn.ts"
import type { AdminStandIn } from "./support/AdminStandIn.ts"
import { noChromium, openPage, screenshot, startChromium } from "./support/Chromium.ts"
import type { Chromium } from "./support/Chromium.ts"
import { smallFleet, thumbprint } from "./support/FakeFleet.ts"
import type { FakeFleet } from "./support/FakeFleet.ts"

const token = "operators-only"

describe.skipIf(noChromium !== undefined)("one provider and the timeline", () => {
  let chromium: Chromium
  beforeAll(async () => {
    chromium = await startChromium()
  })
  afterAll(() => chromium?.close())

  /** Reading is open, so that only the refresh needs the token. */
  const opened = async (
    fragment: string,
    use: (page: Page, fleet: FakeFleet, server: AdminStandIn, complaints: ReadonlyArray<string>) => Promise<void>,
    expected: ReadonlyArray<RegExp> = [],
  ) => {
    const fleet = smallFleet()
    const server = await startAdminStandIn(fleet, { token, isReadOpen: true })
    const { page, complaints, close } = await openPage(chromium, server.url + fragment)
    try {
      await page.locator("#live[data-kind=live]").waitFor()
      await use(page, fleet, server, complaints)
      expect(complaints.filter((complaint) => !expected.some((pattern) => pattern.test(complaint)))).toEqual([])
    } finally {
      await close()
      await server.close()
    }
  }

  const signIn = async (page: Page) => {
    await page.getByLabel("Token", { exact: true }).fill(token)
    await page.getByRole("button", { name: "Continue" }).click()
  }

  it("shows keys, dropped keys, errors and events, and follows them", () =>
    opened("#provider/acme/entra", async (page, fleet) => {
      const panel = page.getByRole("dialog", { name: "acme / entra" })
      await panel.getByRole("heading", { name: "Keys (2)" }).waitFor()
      const summary = panel.getByText(/^Public JWK of/).first()
      await summary.click()
      expect(await panel.locator("pre").first().innerText()).toContain('"kty": "RSA"')
      fleet.turnStale("acme", "entra")
      fleet.drop("acme", "entra")
      await panel.getByRole("heading", { name: "Dropped keys (1)" }).waitFor()
      await panel.locator("#detail-state", { hasText: "Stale" }).waitFor()
      await panel.getByText("3 failures in a row").waitFor()
      expect(await panel.locator("#detail-events li.event").count()).toBe(5)
      // What somebody opened stays open while the rest moves.
      expect(await panel.locator("details[open]").count()).toBe(1)
      await screenshot(page, "detail")
    }))

  it("forces a refresh and tells what came of it", () =>
    opened(
      "#provider/acme/okta",
      async (page, fleet, server) => {
        const panel = page.getByRole("dialog", { name: "acme / okta" })
        const button = panel.getByRole("button", { name: "Refresh now" })
        await button.click()
        // Reading is open here; this is the first thing that needs the token.
        await signIn(page)
        await panel.getByText("Refreshed: the provider confirmed the set").waitFor()
        expect(await button.evaluate((node) => node === document.activeElement)).toBe(true)
        fleet.refreshAnswer = {
          status: 200,
          body: {
            _tag: "Updated",
            added: [thumbprint(1)],
            removed: [thumbprint(2)],
            changed: [{ kid: "signing", from: thumbprint(2), to: thumbprint(1) }],
            expiresAt: 0,
          },
        }
        await button.click()
        await panel.getByText("Refreshed: the keys changed.").waitFor()
        expect(await panel.locator("#detail-outcome .change").innerText()).toMatch(/Changed under kid signing from/)
        fleet.refreshAnswer = { status: 503, body: { _tag: "JwksUnavailable", message: "no response (ECONNREFUSED)" } }
        await button.click()
        await panel.getByText("Not refreshed. no response (ECONNREFUSED)").waitFor()
        expect(server.requests.filter((request) => request.startsWith("POST"))).toEqual(
          Array.from({ length: 3 }, () => "POST /api/providers/acme/okta/refresh"),
        )
      },
      [/status of 503/],
    ))

  it("asks again where the token for a refresh is wrong", () =>
    opened(
      "#provider/acme/okta",
      async (page) => {
        await page.getByRole("button", { name: "Refresh now" }).click()
        await page.getByLabel("Token", { exact: true }).fill("wrong")
        // Reading is open, so only the refresh itself can find out.
        await page.getByRole("button", { name: "Continue" }).click()
        await page.getByRole("alert").getByText("This token is not accepted.").waitFor()
        await signIn(page)
        await page.getByText("Refreshed: the provider confirmed the set").waitFor()
      },
      [/status of 401/],
    ))

  it("says that a provider is not there", () =>
    opened(
      "#provider/acme/gone",
      async (page) => {
        await page.getByRole("dialog").getByText("Nobody registered it.").waitFor()
      },
      [/status of 404/],
    ))

  it("gives the focus back to the row that it was opened from", () =>
    opened("", async (page) => {
      const link = page.locator('a[href="#provider/globex/google"]')
      await link.focus()
      await page.keyboard.press("Enter")
      const panel = page.getByRole("dialog", { name: "globex / google" })
      await panel.getByRole("heading", { name: /^Keys/ }).waitFor()
      // Tab goes round in the panel.
      for (let index = 0; index < 12; index++) {
        await page.keyboard.press("Tab")
        expect(
          await page.evaluate(
            () => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null,
          ),
        ).toBe(true)
      }
      await page.keyboard.press("Escape")
      await panel.waitFor({ state: "hidden" })
      expect(await link.evaluate((node) => node === document.activeElement)).toBe(true)
      expect(new URL(page.url()).hash).toBe("#fleet")
      await link.click()
      await panel.waitFor()
      await page.goBack()
      await panel.waitFor({ state: "hidden" })
    }))

  it("keeps a timeline in which key changes stand out", () =>
    opened("#timeline", async (page, fleet) => {
      const events = page.locator("#events > li")
      await page.locator("#events-found", { hasText: "4 events" }).waitFor()
      fleet.turnStale("umbrella", "okta")
      fleet.rotate("acme", "okta")
      await page.locator("#events-found", { hasText: "7 events" }).waitFor()
      const newest = events.first()
      expect(await newest.getAttribute("data-keys")).toBe("yes")
      expect(await newest.locator(".change").allInnerTexts()).toEqual([
        expect.stringMatching(/^\u2260\s*Changed under kid signing from \S{43} to \S{43}$/),
        expect.stringMatching(/^\+\s*Added kid 2026-12-next \S{43}$/),
        expect.stringMatching(/^\u2212\s*Removed kid 2026-09-last \S{43}$/),
      ])
      await screenshot(page, "timeline")
      await page.getByRole("radio", { name: "Keys" }).check()
      await page.locator("#events-found", { hasText: "3 events" }).waitFor()
      await page.getByRole("radio", { name: "Problems" }).check()
      await page.getByRole("searchbox", { name: "Search events" }).fill("503")
      await page.locator("#events-found", { hasText: /^1 event$/ }).waitFor()
      await events.first().getByRole("link", { name: "umbrella / okta" }).click()
      await page.getByRole("dialog", { name: "umbrella / okta" }).waitFor()
      await page.keyboard.press("Escape")
      expect(await page.locator("#timeline").isVisible()).toBe(true)
    }))

  it("reaches back to older events", () =>
    opened("#timeline", async (page, fleet) => {
      for (let index = 0; index < 350; index++) fleet.tell("acme", "okta", "RefreshSucceeded", `refresh ${index}`)
      await page.reload()
      await page.locator("#events-found", { hasText: "200 events" }).waitFor()
      const more = page.getByRole("button", { name: "Show older events" })
      for (let index = 0; index < 3; index++) await more.click()
      await page.locator("#events-found", { hasText: "354 events" }).waitFor()
      await page.locator("#events > li", { hasText: "the first set" }).waitFor()
      expect(await more.isHidden()).toBe(true)
    }))
})
