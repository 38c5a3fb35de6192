/**
 * Debian's Chromium, and pages that may neither complain nor break their policy.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import axe from "axe-core"
import { chromium } from "playwright-core"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"

const executable = "/usr/bin/chromium"

/** Why tests in a browser can not run here; `undefined` where they can. */
export const noChromium: string | undefined = fs.existsSync(executable)
  ? undefined
  : `${executable} is missing (apt-get install chromium)`

if (noChromium !== undefined) console.warn(`tests of the page are skipped: ${noChromium}`)

export interface Chromium {
  readonly browser: Browser
  readonly close: () => Promise<void>
}

/** Never asks anything of the internet: no updates, no components, no sync. */
export const startChromium = async (): Promise<Chromium> => {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "admin-page-"))
  const browser = await chromium.launch({
    executablePath: executable,
    headless: true,
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  })
  return {
    browser,
    close: async () => {
      await browser.close()
      fs.rmSync(home, { recursive: true, force: true })
    },
  }
}

export interface WatchedPage {
  readonly page: Page
  /** Everything that the console held against the page: errors, warnings, exceptions, broken policy. */
  readonly complaints: ReadonlyArray<string>
  readonly close: () => Promise<void>
}

export const openPage = async (
  { browser }: Chromium,
  url: string,
  options: BrowserContextOptions = {},
  prepare: (page: Page) => Promise<void> = () => Promise.resolve(),
): Promise<WatchedPage> => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options })
  const page = await context.newPage()
  const complaints: Array<string> = []
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
  })
  page.on("pageerror", (error) => complaints.push(String(error)))
  await prepare(page)
  await page.goto(url)
  return { page, complaints, close: () => context.close() }
}

/** Puts axe-core into every document of `page` before its policy can object. */
export const withAxe = (page: Page): Promise<void> => page.addInitScript({ content: axe.source }).then(() => undefined)

/** What axe-core holds against the page as it stands, one line each. */
export const accessibilityProblems = (page: Page): Promise<ReadonlyArray<string>> =>
  page.evaluate(async () => {
    const { violations } = await (window as unknown as { readonly axe: typeof axe }).axe.run(document, {
      resultTypes: ["violations"],
    })
    return violations.flatMap(({ id, help, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target.join(" ")}: ${failureSummary ?? ""}`),
    )
  })

const folder = path.resolve(import.meta.dirname, "../../../.cache/screenshots")

/** Writes what is in view for somebody to look at, and prints where. */
export const screenshot = async (page: Page, name: string): Promise<void> => {
  fs.mkdirSync(folder, { recursive: true })
  const file = path.join(folder, `${name}.png`)
  await page.screenshot({ path: file })
  console.log(`screenshot: ${path.relative(process.cwd(), file)}`)
}
