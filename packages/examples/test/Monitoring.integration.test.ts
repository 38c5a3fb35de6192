/**
 * The alert rules and the dashboard of the guide, held to a Prometheus that scrapes a registry: they parse,
 * they name metrics that are there, and the rules' own tests turn red where a rule is missing.
 */
import { JwksRegistry } from "@effect-jwks/core"
import { FakeProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { hasNoPrometheus, type PrometheusServer, promtool, startPrometheus } from "./support/PrometheusServer.ts"
import { withWatchedRegistry } from "./support/WatchedRegistry.ts"

const folder = path.join(import.meta.dirname, "../../../docs/guide/monitoring")
const rulesFile = path.join(folder, "alerts.yml")
const rulesText = fs.readFileSync(rulesFile, "utf8")
const alertNames = Array.from(rulesText.matchAll(/- alert: (\w+)/g), ([, name]) => name ?? "")

/** A rule as Prometheus has read it. */
interface Rule {
  readonly name: string
  readonly query: string
  readonly health: string
  readonly duration: number
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

interface Panel {
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly targets?: ReadonlyArray<{ readonly expr: string }>
}

interface Dashboard {
  readonly panels: ReadonlyArray<Panel>
  readonly templating: { readonly list: ReadonlyArray<{ readonly name: string; readonly definition?: string }> }
}

const dashboard = JSON.parse(fs.readFileSync(path.join(folder, "dashboard.json"), "utf8")) as Dashboard
const panels = dashboard.panels.filter(({ type }) => type !== "row")

/** An expression as Grafana sends it, with all values of every variable. */
const asSent = (expression: string): string => {
  const sent = expression.replaceAll("$__rate_interval", "1m")
  return dashboard.templating.list.reduce((text, { name }) => text.replaceAll(`$${name}`, ".*"), sent)
}

const metricsIn = (expression: string): ReadonlyArray<string> =>
  Array.from(expression.matchAll(/jwks_cache_[a-z_]+/g), ([name]) => name)

describe.skipIf(hasNoPrometheus)("the monitoring of the guide", () => {
  let prometheus: PrometheusServer
  let names: ReadonlySet<string>
  let rules: ReadonlyArray<Rule>
  const end = Promise.withResolvers<void>()
  let ended: Promise<void>

  const api = async <A>(question: string): Promise<A> => {
    const response = await fetch(`${prometheus.url}/api/v1/${question}`)
    return ((await response.json()) as { readonly data: A }).data
  }

  // A registry with some of everything, as long as the tests run.
  beforeAll(async () => {
    const target = Promise.withResolvers<string>()
    ended = Effect.runPromise(
      withWatchedRegistry((watched) =>
        Effect.gen(function* () {
          const idp = yield* FakeProvider.make({ response: { date: undefined } })
          yield* JwksRegistry.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
          yield* JwksRegistry.resolve("acme", "idp")
          yield* idp.faults.status(404, { next: 1 })
          yield* Effect.flip(JwksRegistry.refresh("acme", "idp"))
          yield* JwksRegistry.refresh("acme", "idp")
          target.resolve(watched.target)
          yield* Effect.promise(() => end.promise)
        }).pipe(Effect.scoped),
      ),
    )
    const isScraped = ([sample]: ReadonlyArray<{ readonly value: number }>) => (sample?.value ?? 0) >= 3
    prometheus = await startPrometheus({ target: await target.promise, intervalMillis: 200, rules: rulesFile })
    await prometheus.queryUntil("count_over_time(jwks_cache_keys[1m])", isScraped)
    names = new Set(await api<ReadonlyArray<string>>("label/__name__/values"))
    const { groups } = await api<{ readonly groups: ReadonlyArray<{ readonly rules: ReadonlyArray<Rule> }> }>("rules")
    rules = groups.flatMap((group) => group.rules)
  })

  afterAll(async () => {
    await prometheus.stop()
    end.resolve()
    await ended
  })

  describe("the alert rules", () => {
    it("are rules", async () => {
      expect(await promtool(["check", "rules", rulesFile])).toMatchObject({ code: 0 })
      expect(rules.map(({ name }) => name)).toEqual(alertNames)
      expect(rules.filter(({ health }) => health !== "ok")).toEqual([])
    })

    it("fire and keep silent as their tests say", async () => {
      const { code, output } = await promtool(["test", "rules", path.join(folder, "alerts_test.yml")])
      expect(code, output).toBe(0)
    })

    it.concurrent.each(alertNames)("%s is missed by those tests when it is not there", async (name) => {
      const copy = fs.mkdtempSync(path.join(os.tmpdir(), "effect-jwks-rules-"))
      fs.cpSync(folder, copy, { recursive: true })
      fs.writeFileSync(path.join(copy, "alerts.yml"), rulesText.replace(`- alert: ${name}\n`, "- alert: Renamed\n"))
      const { code, output } = await promtool(["test", "rules", path.join(copy, "alerts_test.yml")])
      fs.rmSync(copy, { recursive: true })
      expect([code, output]).toEqual([1, expect.stringContaining(name)])
    })

    it("say how bad it is, what it is and what to do", () => {
      for (const { annotations, labels, name } of rules) {
        expect(labels, name).toEqual({ severity: expect.stringMatching(/^(warning|critical)$/) })
        expect(Object.keys(annotations).toSorted(), name).toEqual(["description", "runbook", "summary"])
        expect(annotations["runbook"]?.length, name).toBeGreaterThan(100)
      }
      // One speaks at once.
      expect(rules.filter(({ duration }) => duration === 0).map(({ name }) => name)).toEqual(["JwksProviderRefused"])
    })

    it("name metrics that there are", () => {
      for (const { name, query } of rules) {
        expect(
          metricsIn(query).filter((metric) => !names.has(metric)),
          name,
        ).toEqual([])
      }
    })

    it("are each in the guide", () => {
      const guide = fs.readFileSync(path.join(folder, "../monitoring.md"), "utf8")
      expect(alertNames.filter((name) => !guide.includes(`\`${name}\``))).toEqual([])
    })
  })

  describe("the dashboard", () => {
    it("has panels that say what they show", () => {
      expect(panels.length).toBeGreaterThan(0)
      expect(panels.filter(({ description = "", targets = [] }) => description === "" || targets.length === 0)).toEqual(
        [],
      )
    })

    it.each(panels.map((panel) => [panel.title, panel] as const))(
      "%s: parses, and finds its metrics",
      async (_, panel) => {
        for (const { expr } of panel.targets ?? []) {
          expect(metricsIn(expr).filter((metric) => !names.has(metric))).toEqual([])
          expect(metricsIn(expr)).not.toEqual([])
          // Throws where Prometheus does not take it. Some are empty as long as nothing is wrong.
          await prometheus.query(asSent(expr))
        }
      },
    )

    it("has nothing to show only where nothing is wrong", async () => {
      const empty: Array<string> = []
      for (const { targets = [], title } of panels) {
        for (const { expr } of targets) if ((await prometheus.query(asSent(expr))).length === 0) empty.push(title)
      }
      // The one failure of this registry was the first of its reason, and no increase.
      expect(empty).toEqual([
        "Stale answers a second",
        "Unknown kids a second",
        "Providers with failures in the last hour",
      ])
    })

    it("shows every metric but those whose sums it shows", () => {
      const shown = new Set(panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => metricsIn(expr))))
      const ours = Array.from(names).filter((name) => name.startsWith("jwks_cache_"))
      expect(ours.filter((name) => !shown.has(name)).toSorted()).toEqual([
        "jwks_cache_refresh_duration_seconds_count",
        "jwks_cache_refresh_duration_seconds_sum",
      ])
    })

    it("fills its variables from metrics that there are", async () => {
      const queries = dashboard.templating.list.flatMap(({ definition = "" }) =>
        definition === "" ? [] : [definition],
      )
      const values = await Promise.all(
        queries.map(async (query) => {
          const [, selector = "", label = ""] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? []
          return (await prometheus.query(asSent(selector)))[0]?.labels[label]
        }),
      )
      expect(values).toEqual(["shop", "acme", "idp"])
    })
  })
})
