/**
 * A real Prometheus on a free loopback port, with its own configuration and data, and its `promtool`. The
 * server that Debian's package starts by itself is never touched.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { text } from "node:stream/consumers"
import { setTimeout as pause } from "node:timers/promises"
import { freePort } from "./PostgresServer.ts"

const binary = (name: string): string | undefined =>
  (process.env["PATH"] ?? "")
    .split(path.delimiter)
    .map((folder) => path.join(folder, name))
    .find((file) => fs.existsSync(file))

/** For `describe.skipIf`. */
export const hasNoPrometheus = binary("prometheus") === undefined || binary("promtool") === undefined

/** Runs `promtool`, which reads `input` if there is some. */
export const promtool = async (args: ReadonlyArray<string>, input = "") => {
  const child = spawn(binary("promtool") ?? "", args, { stdio: ["pipe", "pipe", "pipe"] })
  child.stdin.end(input)
  const [[code], stdout, stderr] = await Promise.all([once(child, "close"), text(child.stdout), text(child.stderr)])
  return { code: code as unknown, output: stdout + stderr }
}

/** A sample as the query API gives it. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface PrometheusServer {
  readonly url: string
  /** The answer to an instant query; throws where Prometheus refuses it. */
  readonly query: (expression: string) => Promise<ReadonlyArray<Sample>>
  /** Asks again and again until the answer is as wanted. */
  readonly queryUntil: (
    expression: string,
    isWanted: (samples: ReadonlyArray<Sample>) => boolean,
  ) => Promise<ReadonlyArray<Sample>>
  readonly stop: () => Promise<void>
}

export interface PrometheusOptions {
  /** What is scraped, as `host:port`. */
  readonly target: string
  /** What the target wants to see. */
  readonly bearer?: string
  readonly intervalMillis: number
  /** A file with rules, evaluated as often as the target is scraped. */
  readonly rules?: string
}

interface QueryAnswer {
  readonly status: string
  readonly error?: string
  readonly data?: {
    readonly result: ReadonlyArray<{
      readonly metric: Readonly<Record<string, string>>
      readonly value: readonly [number, string]
    }>
  }
}

/** Between two looks at a server that has no events to offer. */
const lookAgainMillis = 25

const exitOf = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
}

/** Starts one, and waits until it answers. */
export const startPrometheus = async ({
  bearer,
  intervalMillis,
  rules,
  target,
}: PrometheusOptions): Promise<PrometheusServer> => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect-jwks-prometheus-"))
  const configuration = path.join(folder, "prometheus.yml")
  // JSON is YAML.
  fs.writeFileSync(
    configuration,
    JSON.stringify({
      global: { scrape_interval: `${intervalMillis}ms`, evaluation_interval: `${intervalMillis}ms` },
      rule_files: rules === undefined ? [] : [rules],
      scrape_configs: [
        {
          job_name: "shop",
          scrape_timeout: `${intervalMillis}ms`,
          static_configs: [{ targets: [target] }],
          ...(bearer !== undefined && { authorization: { credentials: bearer } }),
        },
      ],
    }),
  )
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = spawn(
    binary("prometheus") ?? "",
    [
      `--config.file=${configuration}`,
      `--storage.tsdb.path=${path.join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=warn",
    ],
    { cwd: folder, stdio: ["ignore", "ignore", "pipe"] },
  )
  let log = ""
  child.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()))

  const isReady = () =>
    fetch(`${url}/-/ready`).then(
      ({ status }) => status === 200,
      () => false,
    )
  while (!(await isReady())) {
    if (child.exitCode !== null) throw new Error(`Prometheus did not start:\n${log}`)
    await pause(lookAgainMillis)
  }

  const query: PrometheusServer["query"] = async (expression) => {
    const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`)
    const { data, error, status } = (await response.json()) as QueryAnswer
    if (status !== "success" || data === undefined) throw new Error(`${expression}: ${error}`)
    return data.result.map(({ metric, value: [, value] }) => ({ labels: metric, value: Number(value) }))
  }

  return {
    url,
    query,
    queryUntil: async (expression, isWanted) => {
      for (;;) {
        const samples = await query(expression)
        if (isWanted(samples)) return samples
        await pause(lookAgainMillis)
      }
    },
    stop: async () => {
      child.kill("SIGTERM")
      await exitOf(child)
      fs.rmSync(folder, { recursive: true, force: true })
    },
  }
}
