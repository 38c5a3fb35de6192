/**
 * The programs of `70_runtimes` where they are meant to run: Bun, Deno and workerd as the npm registry has them, each a process of its own on a
 * free port of this machine.
 */
import { build } from "esbuild"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { JwksRegistryOptions } from "@effect-jwks/core"
import { type RunningExample, startProgram } from "./RunningExample.ts"

const require = createRequire(import.meta.url)

/** Of a program of the example. */
const sourceOf = (file: string): string => fileURLToPath(new URL(`../../70_runtimes/${file}`, import.meta.url))

/** A runtime that serves. */
export interface Served {
  readonly origin: string
  readonly program: RunningExample
}

/** The binary inside the package that npm chose for this machine; nothing is downloaded and no script is run. */
const binaryOf = (wrapper: string, candidates: ReadonlyArray<string>): string => {
  const from = createRequire(require.resolve(`${wrapper}/package.json`))
  for (const candidate of candidates) {
    try {
      return from.resolve(candidate)
    } catch {
      // For another machine.
    }
  }
  throw new Error(`${wrapper} has no binary for ${process.platform} ${process.arch}`)
}

const arch = process.arch === "arm64" ? "aarch64" : process.arch

const serving = async (program: RunningExample, pattern: RegExp): Promise<Served> => {
  const [, port = ""] = await program.written(pattern)
  return { origin: `http://127.0.0.1:${port}`, program }
}

const environmentOf = (options: JwksRegistryOptions) => ({ JWKS_OPTIONS: JSON.stringify(options) })

/** `server.ts` on Bun. */
export const startBun = (options: JwksRegistryOptions): Promise<Served> => {
  const platform = process.platform === "win32" ? "windows" : process.platform
  const named = (ending: string) => `@oven/bun-${platform}-${arch}${ending}/bin/bun`
  const bun = binaryOf("bun", ["", "-musl", "-baseline", "-musl-baseline"].map(named))
  const program = startProgram(bun, [sourceOf("server.ts")], {
    ...environmentOf(options),
    PORT: "0",
    NODE_ENV: "production",
  })
  return serving(program, /http:\/\/[^/\s]*:(\d+)/)
}

/** `server.ts` on Deno, which may do nothing but read its environment, listen, and fetch from this machine. */
export const startDeno = (options: JwksRegistryOptions): Promise<Served> => {
  const deno = binaryOf("deno", [
    `@deno/${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}/deno`,
  ])
  const program = startProgram(
    deno,
    [
      "serve",
      "--no-remote",
      "--allow-env",
      "--allow-net=127.0.0.1",
      "--host=127.0.0.1",
      "--port=0",
      sourceOf("server.ts"),
    ],
    { ...environmentOf(options), NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    // Asked to stop, it waits for connections that are kept alive.
    "SIGKILL",
  )
  return serving(program, /http:\/\/[^/\s]*:(\d+)/)
}

/** What a Worker finds where it begins. */
export interface WorkerOptions {
  /** What `snapshots.ts` holds in the bundle. */
  readonly snapshots?: Readonly<Record<string, string>>
  /** Who answers for its KV namespace: a port of this machine. */
  readonly kvPort?: number
  /** It does not have the platform wait for what goes on after the response. */
  readonly isForgetful?: boolean
  /** Which Worker of the example it is. Default: the one with Effect. */
  readonly entry?: WorkerEntry
}

type WorkerEntry = "worker.ts" | "bridge_worker.ts"

/** A program, and what it imports from outside. */
export interface Bundle {
  readonly text: string
  readonly imports: ReadonlyArray<string>
}

/** A Worker as a bundle. */
export const bundleWorker = async ({ entry = "worker.ts", snapshots = {} }: WorkerOptions = {}): Promise<Bundle> => {
  const { metafile, outputFiles } = await build({
    entryPoints: [sourceOf(entry)],
    bundle: true,
    write: false,
    outdir: tmpdir(),
    metafile: true,
    // What is missing is to be found by its import, not by an error.
    external: ["node:*"],
    format: "esm",
    platform: "neutral",
    conditions: ["workerd", "worker", "browser"],
    mainFields: ["module", "main"],
    plugins: [
      {
        name: "snapshots",
        setup: (bundling) =>
          bundling.onLoad({ filter: /70_runtimes.snapshots\.ts$/ }, () => ({
            contents: `export const snapshots = ${JSON.stringify(snapshots)}`,
            loader: "js",
          })),
      },
    ],
  })
  return {
    text: outputFiles.map(({ text }) => text).join("\n"),
    imports: Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path)),
  }
}

/** A Worker on workerd, without a compatibility flag. */
export const startWorkerd = async (options: JwksRegistryOptions, how: WorkerOptions = {}): Promise<Served> => {
  const { isForgetful = false, kvPort } = how
  const directory = await mkdtemp(path.join(tmpdir(), "workerd-"))
  const bindings = [
    `(name = "JWKS_OPTIONS", text = ${JSON.stringify(JSON.stringify(options))})`,
    ...(kvPort === undefined ? [] : [`(name = "SNAPSHOTS", kvNamespace = "kv")`]),
  ]
  const services = [
    `(name = "main", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-11-01",
      bindings = [${bindings.join(", ")}],
    ))`,
    `(name = "internet", network = (allow = ["public", "private"]))`,
    ...(kvPort === undefined ? [] : [`(name = "kv", external = (address = "127.0.0.1:${kvPort}", http = ()))`]),
  ]
  const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [${services.join(",\n")}],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`
  const { text } = await bundleWorker(how)
  const waiting = /ctx\.waitUntil\(\w+\.(?:dispose|close)\(\)\);/
  if (!waiting.test(text)) throw new Error("the Worker waits for its end in other words")
  await writeFile(path.join(directory, "worker.js"), isForgetful ? text.replace(waiting, "") : text)
  await writeFile(path.join(directory, "config.capnp"), config)
  const cpu = process.arch === "arm64" ? "arm64" : "64"
  const platform = process.platform === "win32" ? "windows" : process.platform
  const workerd = binaryOf("workerd", [`@cloudflare/workerd-${platform}-${cpu}/bin/workerd`])
  const running = startProgram(workerd, ["serve", path.join(directory, "config.capnp"), "--control-fd=1", "--verbose"])
  const program: RunningExample = {
    ...running,
    stop: async () => {
      await running.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
  return serving(program, /"port":\s*(\d+)/)
}
