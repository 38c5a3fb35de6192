import { assert, describe, it } from "@effect/vitest"
import { FakeProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import type { ServerResponse } from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import { fileURLToPath } from "node:url"
import { NodeJwksHttp } from "../src/index.ts"
import { AgentPool } from "../src/internal/AgentPool.ts"
import { transportLayer } from "../src/internal/TransportLayer.ts"
import { resolveSettings } from "../src/internal/TransportSettings.ts"
import { makeCertificate, makeKey, pinOf } from "./support/Certificates.ts"
import { ask } from "./support/Direct.ts"
import { listen, serveHttp, serveHttps, serveRaw, serveRawTls } from "./support/Listening.ts"
import { onLoopback } from "./support/Names.ts"
import { answerJwks, idle, jwksBody, openRegistry, provider, quietly, served } from "./support/Registry.ts"

const root = makeCertificate({ commonName: "Test root" })
const identity = { certificate: makeCertificate({ commonName: "idp.test", issuer: root, hosts: ["idp.test"] }) }
const http = { ca: root.pem, lookup: onLoopback("idp.test", "other.test").lookup }
const exempt = { allowPrivateAddresses: ["idp.test", "other.test"] }

describe("Connections", () => {
  it.live("are kept: two refreshes are one connection", () =>
    Effect.gen(function* () {
      const { connections, port, requests } = yield* serveHttps(identity, answerJwks)
      const registry = yield* openRegistry({ ...exempt, http })
      const { outcome, refresh } = yield* provider(registry, `https://idp.test:${port}/`)
      assert.deepStrictEqual(yield* outcome, served)
      yield* idle
      yield* Effect.orDie(refresh)
      assert.deepStrictEqual([connections.opened, requests.length], [1, 2])
      assert.strictEqual(requests[0]?.socket, requests[1]?.socket)
    }),
  )

  it.live("are kept over a 304", () =>
    Effect.gen(function* () {
      const { connections, port, requests } = yield* serveHttps(identity, (request, response) => {
        response.setHeader("etag", '"1"')
        if (request.headers["if-none-match"] === '"1"') response.writeHead(304).end()
        else response.end(jwksBody)
      })
      const registry = yield* openRegistry({ ...exempt, http })
      const { outcome, refresh } = yield* provider(registry, `https://idp.test:${port}/`)
      assert.deepStrictEqual(yield* outcome, served)
      for (let turn = 0; turn < 3; turn++) {
        yield* idle
        assert.strictEqual((yield* Effect.orDie(refresh))._tag, "NotModified")
      }
      assert.deepStrictEqual([connections.opened, requests.length], [1, 4])
    }),
  )

  it.live("are closed once they were idle for long enough, whatever the server offers", () =>
    Effect.gen(function* () {
      const registry = yield* openRegistry({ ...exempt, http: { ...http, keepAlive: "20 millis" } })
      const said = `HTTP/1.1 200 OK\r\ncontent-length: ${jwksBody.length}\r\n`
      for (const hint of ["", "keep-alive: timeout=600\r\n"]) {
        const { connections, port } = yield* serveRawTls(identity, (socket) =>
          socket.once("data", () => socket.write(`${said}${hint}\r\n${jwksBody}`)),
        )
        const { outcome } = yield* provider(registry, `https://idp.test:${port}/`)
        assert.deepStrictEqual(yield* outcome, served)
        yield* connections.allClosed
      }
    }),
  )

  it.live("are bounded for each origin: further requests wait for one of them", () =>
    Effect.gen(function* () {
      const held = yield* Queue.unbounded<ServerResponse>()
      const { connections, port, requests } = yield* serveHttp((_, response) => Queue.offerUnsafe(held, response))
      const elsewhere = yield* serveHttp(answerJwks)
      const count = 10
      const maxConnectionsPerOrigin = 3
      yield* Effect.gen(function* () {
        const asked = yield* Effect.forkChild(
          Effect.all(
            Array.from({ length: count }, () => ask(`http://idp.test:${port}/`, exempt)),
            { concurrency: "unbounded" },
          ),
        )
        const first = yield* Queue.takeN(held, maxConnectionsPerOrigin)
        // A full origin keeps nobody from another.
        assert.strictEqual((yield* ask(`http://idp.test:${elsewhere.port}/`, exempt)).status, 200)
        assert.lengthOf(requests, maxConnectionsPerOrigin)
        for (const response of first) response.end(jwksBody)
        for (let rest = count - first.length; rest > 0; rest--) (yield* Queue.take(held)).end(jwksBody)
        for (const { status } of yield* Fiber.join(asked)) assert.strictEqual(status, 200)
      }).pipe(Effect.provide(NodeJwksHttp.layer({ ...http, maxConnectionsPerOrigin })))
      assert.strictEqual(connections.opened, maxConnectionsPerOrigin)
    }),
  )

  it.live("are one at a time where there may be one alone", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serveHttps(identity, answerJwks)
      yield* Effect.gen(function* () {
        const answers = yield* Effect.all(
          Array.from({ length: 20 }, () => ask(`https://idp.test:${port}/`, exempt)),
          { concurrency: "unbounded" },
        )
        for (const { status } of answers) assert.strictEqual(status, 200)
      }).pipe(Effect.provide(NodeJwksHttp.layer({ ...http, maxConnectionsPerOrigin: 1 })))
      assert.strictEqual(connections.opened, 1)
    }),
  )

  it.live("of a request that gave up make room for the next", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serveRaw((socket) => socket.resume())
      const url = `https://idp.test:${port}/`
      const options = { ...http, maxConnectionsPerOrigin: 1, connectTimeout: "5 minutes" } as const
      yield* Effect.gen(function* () {
        for (let turn = 1; turn <= 3; turn++) {
          const asked = yield* Effect.forkChild(ask(url, exempt))
          yield* connections.awaitOpened(turn)
          yield* Fiber.interrupt(asked)
          yield* connections.allClosed
        }
      }).pipe(Effect.provide(NodeJwksHttp.layer(options)))
    }),
  )
})

describe("A request that gives up", () => {
  it.live("ends no connection but its own: whoever waited behind it gets another", () =>
    Effect.gen(function* () {
      // The first connection never finishes TLS, those after it do.
      const behind = Https.createServer(
        { cert: identity.certificate.pem, key: identity.certificate.keyPem },
        answerJwks,
      )
      const { connections, port } = yield* listen(
        Net.createServer((socket) => {
          // Counted after this.
          if (connections.opened === 0) socket.resume()
          else behind.emit("connection", socket)
        }),
      )
      yield* Effect.gen(function* () {
        const url = `https://idp.test:${port}/`
        const first = yield* Effect.forkChild(ask(url, exempt))
        yield* connections.awaitOpened(1)
        const second = yield* Effect.forkChild(ask(url, exempt), { startImmediately: true })
        yield* Fiber.interrupt(first)
        assert.strictEqual((yield* Fiber.join(second)).status, 200)
      }).pipe(Effect.provide(NodeJwksHttp.layer({ ...http, maxConnectionsPerOrigin: 1, connectTimeout: "5 minutes" })))
      assert.strictEqual(connections.opened, 2)
    }),
  )
})

describe("Agents", () => {
  it.live("are one for 10,000 registrations without pins, on as many origins", () =>
    Effect.gen(function* () {
      let pool: AgentPool | undefined
      const transport = transportLayer(http, "", { onPool: (made) => void (pool = made) })
      const outcomes = Effect.forEach(
        Array.from({ length: 10_000 }, (_, index) => `https://idp-${index}.test/`),
        (url) => Effect.flip(ask(url)),
        { concurrency: 16 },
      )
      const errors = yield* outcomes.pipe(Effect.provide(transport))
      for (const error of errors) assert.deepInclude(error, { code: "ENOTFOUND" })
      assert.strictEqual(pool?.size, 1)
    }),
  )

  it("are one for each list of pins, in whatever order, and one more for exempt hosts", () => {
    const pool = openPool()
    const [a, b] = [pinOf(makeKey()), pinOf(makeKey())]
    const agents = [pool.get([], false), pool.get([], true), pool.get([a], false), pool.get([a, b], false)]
    assert.strictEqual(new Set(agents.map(({ agent }) => agent)).size, 4)
    assert.strictEqual(pool.get([b, a, b], false).agent, pool.get([a, b], false).agent)
    assert.deepStrictEqual(pool.get([b, a, b], false).terms, { pins: [a, b].toSorted(), isExempt: false })
    assert.strictEqual(pool.size, 4)
  })

  it("are bounded: lists of pins that nobody uses make room", () => {
    const pool = openPool()
    const first = pool.get(["pin 0"], false)
    for (let n = 1; n < 256; n++) pool.get([`pin ${n}`], false)
    // Used again, so the second is the eldest.
    assert.strictEqual(pool.get(["pin 0"], false).agent, first.agent)
    pool.get(["pin 256"], false)
    assert.strictEqual(pool.size, 256)
    assert.strictEqual(pool.get(["pin 0"], false).agent, first.agent)
  })

  it.live("that make room finish the requests that they have", () =>
    Effect.gen(function* () {
      let pool: AgentPool | undefined
      const held = yield* Queue.unbounded<ServerResponse>()
      const { connections, port } = yield* serveHttps(identity, (_, response) => Queue.offerUnsafe(held, response))
      const pins = [root.pin]
      yield* Effect.gen(function* () {
        const asked = yield* Effect.forkChild(ask(`https://idp.test:${port}/`, { ...exempt, pins }))
        const response = yield* Queue.take(held)
        for (let n = 0; n < 256; n++) pool?.get([`pin ${n}`], false)
        response.end(jwksBody)
        assert.deepInclude(yield* Fiber.join(asked), { status: 200, body: jwksBody, attested: pins })
        yield* connections.allClosed
      }).pipe(Effect.provide(transportLayer(http, "", { onPool: (made) => void (pool = made) })))
    }),
  )

  const openPool = (): AgentPool => new AgentPool(Result.getOrThrow(resolveSettings({}, "")))
})

describe("The end of the layer", () => {
  it.live("closes connections that are idle, in use and in the making", () =>
    Effect.gen(function* () {
      const good = yield* serveHttps(identity, answerJwks)
      const hanging = yield* serveHttps(identity, () => {})
      const silent = yield* serveRaw((socket) => socket.resume())
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        NodeJwksHttp.layer({ ...http, connectTimeout: "5 minutes", keepAlive: "10 minutes" }),
        scope,
      )
      yield* ask(`https://idp.test:${good.port}/`, exempt).pipe(Effect.provide(context))
      const waiting = yield* Effect.forEach([hanging, silent], ({ connections, port }) =>
        ask(`https://idp.test:${port}/`, exempt).pipe(
          Effect.flip,
          Effect.provide(context),
          Effect.forkChild({ startImmediately: true }),
          Effect.tap(() => connections.awaitOpened(1)),
        ),
      )
      assert.deepStrictEqual([good.connections.open, hanging.connections.open, silent.connections.open], [1, 1, 1])
      yield* Scope.close(scope, Exit.void)
      for (const { connections } of [good, hanging, silent]) yield* connections.allClosed
      for (const error of yield* Fiber.joinAll(waiting)) assert.deepInclude(error, { code: "UND_ERR_DESTROYED" })
      // And nothing is opened after it, under other terms neither.
      for (const pins of [[], [root.pin]]) {
        const late = yield* Effect.flip(ask(`https://idp.test:${good.port}/`, { ...exempt, pins })).pipe(
          Effect.provide(context),
        )
        assert.deepInclude(late, { code: "UND_ERR_DESTROYED" })
      }
    }),
  )

  it.live("closes connections in the making whose requests nobody aborts", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serveRaw((socket) => socket.resume())
      const pool = new AgentPool(Result.getOrThrow(resolveSettings({ connectTimeout: "5 minutes" }, "")))
      const { agent, dials } = pool.get([], true)
      const origin = `https://127.0.0.1:${port}`
      const request = dials
        .during(origin, () => agent.request({ origin, path: "/", method: "GET" }))
        .then(
          () => "answered",
          (error: unknown) => error,
        )
      yield* connections.awaitOpened(1)
      yield* Effect.promise(() => pool.close())
      assert.deepInclude(yield* Effect.promise(() => request), { code: "UND_ERR_DESTROYED" })
      yield* connections.allClosed
    }),
  )

  it.live("is the end of a process that has nothing else to do", () =>
    Effect.gen(function* () {
      const good = yield* FakeProvider.make()
      const hanging = yield* serveHttp(() => {})
      const silent = yield* serveRaw((socket) => socket.resume())
      const child = spawn(
        process.execPath,
        [
          fileURLToPath(new URL("closeAndExit.program.ts", import.meta.url)),
          good.jwksUrl,
          `https://127.0.0.1:${silent.port}/`,
          `http://127.0.0.1:${hanging.port}/`,
        ],
        { stdio: ["pipe", "pipe", "inherit"] },
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
      let output = ""
      child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
      const exited = yield* Effect.forkChild(
        Effect.callback<number | null>((resume) => void child.once("close", (code) => resume(Effect.succeed(code)))),
        { startImmediately: true },
      )
      yield* hanging.connections.awaitOpened(1)
      yield* silent.connections.awaitOpened(1)
      child.stdin.end()
      assert.strictEqual(yield* Fiber.join(exited).pipe(Effect.timeout("10 seconds")), 0)
      assert.strictEqual(output, "resolved 1\nclosed\n")
    }).pipe(quietly),
  )
})
