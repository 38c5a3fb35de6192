/**
 * Core as an edge platform loads it: bundled for no runtime in particular, and evaluated where nothing may begin.
 */
import { assert, describe, it } from "@effect/vitest"
import { build } from "esbuild"
import { fileURLToPath } from "node:url"
import { createContext, runInContext } from "node:vm"

const bundle = async () => {
  const { metafile, outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("../../src/index.ts", import.meta.url))],
    bundle: true,
    write: false,
    outdir: "out",
    metafile: true,
    format: "iife",
    globalName: "core",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "browser"],
    external: ["node:*"],
  })
  return {
    text: outputFiles.map(({ text }) => text).join("\n"),
    imports: Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path)),
    inputs: Object.keys(metafile.inputs),
  }
}

/** What Workers offer in global scope and forbid to be used there. */
const forbidden = ["setTimeout", "setInterval", "setImmediate", "fetch", "queueMicrotask"]

describe("core in a bundle", () => {
  it("imports nothing from outside: no built-in of Node, and no shim for one", async () => {
    const { imports, inputs } = await bundle()
    assert.deepStrictEqual(imports, [])
    assert.isAbove(inputs.length, 100)
    assert.deepStrictEqual(
      inputs.filter((file) => /polyfill|shim|node-std/i.test(file)),
      [],
    )
  })

  it("begins nothing when it is loaded, nor when a memory is made: no timer, fetch or random number", async () => {
    const { text } = await bundle()
    const begun: Array<string> = []
    const begin = (what: string) => () => {
      begun.push(what)
      throw new Error(`${what} in global scope`)
    }
    const crypto = new Proxy({}, { get: (_, name) => begin(`crypto.${String(name)}`)() })
    const math = Object.create(Math, { random: { value: begin("Math.random") } }) as typeof Math
    const context = createContext({
      URL,
      URLSearchParams,
      TextEncoder,
      TextDecoder,
      AbortController,
      performance,
      console,
      crypto,
      ...Object.fromEntries(forbidden.map((name) => [name, begin(name)])),
    })
    context["Math"] = math
    assert.doesNotThrow(() => void runInContext(`${text}\nglobalThis.core = core`, context))
    assert.deepStrictEqual(begun, [])
    assert.strictEqual(runInContext("core.JwksMemory.make() instanceof core.JwksMemory", context), true)
    assert.strictEqual(
      runInContext("typeof core.JwksRegistry.layer({ memory: core.JwksMemory.make() })", context),
      "object",
    )
    assert.deepStrictEqual(begun, [])
  })
})
