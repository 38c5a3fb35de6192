import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Socket } from "node:net"
import { makeCertificate } from "./support/Certificates.ts"
import { serveHttps, serveRaw, serveRawTls } from "./support/Listening.ts"
import { onLoopback } from "./support/Names.ts"
import {
  answerJwks,
  idle,
  jwksBody,
  openRegistry,
  type Outcome,
  outcomeOf,
  provider,
  quietly,
  served,
} from "./support/Registry.ts"
import type { NodeJwksHttpOptions } from "../src/index.ts"

const root = makeCertificate({ commonName: "Test root" })
const identity = { certificate: makeCertificate({ commonName: "idp.test", issuer: root, hosts: ["idp.test"] }) }

const attemptTimeout = 400

/** undici looks at its timers every half a second. */
const patient = 2_500

const open = (http: NodeJwksHttpOptions = {}, attempt = attemptTimeout) =>
  openRegistry({
    allowPrivateAddresses: ["idp.test"],
    defaults: { retryPolicy: { maxRetries: 0, attemptTimeout: attempt }, maxResponseBytes: 65_536 },
    http: { ca: root.pem, lookup: onLoopback("idp.test").lookup, ...http },
  })

/** Once the request is there. */
const onRequest = (talk: (socket: Socket) => void) => (socket: Socket) => void socket.once("data", () => talk(socket))

/** Writes one piece after another, slowly, until nobody listens any more. */
const dribble = (socket: Socket, piece: string): void => {
  const timer = setInterval(() => socket.write(piece), 20)
  socket.once("close", () => clearInterval(timer))
}

const head = (...fields: ReadonlyArray<string>): string => ["HTTP/1.1 200 OK", ...fields, "", ""].join("\r\n")

const timedOut = (url: string): Outcome => ({
  _tag: "TimedOut",
  url,
  limit: "attemptTimeout",
  afterMillis: attemptTimeout,
})
const failed = (detail: string) => (url: string) => ({ _tag: "TransportFailed", url, detail }) as const

interface Case {
  readonly title: string
  /** Without it the server does not even finish TLS. */
  readonly talk?: (socket: Socket) => void
  readonly http?: NodeJwksHttpOptions
  readonly attempt?: number
  readonly expected: (url: string) => Outcome
}

const cases: ReadonlyArray<Case> = [
  {
    title: "a server that accepts and says nothing, ended by connectTimeout",
    http: { connectTimeout: 100 },
    expected: failed("UND_ERR_CONNECT_TIMEOUT"),
  },
  { title: "a server that accepts and says nothing, ended by the attempt", expected: timedOut },
  {
    title: "a name that is never resolved, ended by connectTimeout",
    http: { connectTimeout: 100, lookup: () => {} },
    expected: failed("UND_ERR_CONNECT_TIMEOUT"),
  },
  {
    title: "a header section that trickles in, ended by headersTimeout",
    http: { headersTimeout: 100 },
    attempt: patient,
    talk: onRequest((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nx: ")
      dribble(socket, "a")
    }),
    expected: failed("UND_ERR_HEADERS_TIMEOUT"),
  },
  {
    title: "a header section that trickles in, ended by the attempt",
    talk: onRequest((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n")
      dribble(socket, "x: a\r\n")
    }),
    expected: timedOut,
  },
  {
    title: "interim responses without end",
    talk: onRequest((socket) => dribble(socket, "HTTP/1.1 103 Early Hints\r\nlink: </jwks>\r\n\r\n")),
    expected: timedOut,
  },
  {
    title: "a body that stops, ended by bodyTimeout",
    http: { bodyTimeout: 100 },
    attempt: patient,
    talk: onRequest((socket) => socket.write(`${head("content-length: 1000")}{"keys"`)),
    expected: failed("UND_ERR_BODY_TIMEOUT"),
  },
  {
    title: "a body that trickles in, ended by the attempt",
    talk: onRequest((socket) => {
      socket.write(head("content-length: 1000"))
      dribble(socket, " ")
    }),
    expected: timedOut,
  },
  {
    title: "chunks that trickle in without end, ended by the attempt",
    talk: onRequest((socket) => {
      socket.write(head("transfer-encoding: chunked"))
      dribble(socket, "1\r\n \r\n")
    }),
    expected: timedOut,
  },
  {
    title: "chunks without end, as fast as they come",
    talk: onRequest((socket) => {
      const chunk = `4000\r\n${" ".repeat(0x4000)}\r\n`
      const flood = (): void => {
        while (!socket.destroyed && socket.write(chunk));
      }
      socket.write(head("transfer-encoding: chunked"))
      socket.on("drain", flood)
      flood()
    }),
    expected: (url) => ({ _tag: "BodyTooLarge", url, limitBytes: 65_536 }),
  },
  {
    title: "a reset before the response",
    talk: onRequest((socket) => socket.destroy()),
    expected: failed("UND_ERR_SOCKET"),
  },
  {
    title: "a reset midway",
    talk: onRequest((socket) => socket.write(`${head("content-length: 1000")}{"keys"`, () => socket.destroy())),
    expected: failed("UND_ERR_SOCKET"),
  },
  {
    title: "a chunked body that ends midway",
    talk: onRequest((socket) => socket.end(`${head("transfer-encoding: chunked")}7\r\n{"keys"\r\n`)),
    expected: failed("UND_ERR_SOCKET"),
  },
  {
    title: "a Content-Length that promises more than comes",
    talk: onRequest((socket) => socket.end(`${head(`content-length: ${jwksBody.length + 1}`)}${jwksBody}`)),
    expected: failed("UND_ERR_SOCKET"),
  },
  {
    title: "a Content-Length that promises more than is allowed",
    talk: onRequest((socket) => socket.write(`${head("content-length: 65537")}${jwksBody}`)),
    expected: (url) => ({ _tag: "BodyTooLarge", url, limitBytes: 65_536 }),
  },
  {
    title: "two Content-Lengths",
    talk: onRequest((socket) => socket.write(`${head("content-length: 11", "content-length: 12")}{"keys":[]}`)),
    expected: failed("UND_ERR_RES_CONTENT_LENGTH_MISMATCH"),
  },
  {
    title: "100 kB of header fields",
    talk: onRequest((socket) => socket.write(head(...Array.from({ length: 100 }, () => `x: ${"a".repeat(1_000)}`)))),
    expected: failed("UND_ERR_HEADERS_OVERFLOW"),
  },
  {
    title: "something that is not HTTP",
    talk: onRequest((socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n\r\n")),
    expected: failed("HPE_ERROR"),
  },
]

describe("A server that misbehaves is a typed reason, within the attempt's time, and leaves no socket:", () => {
  for (const { attempt = attemptTimeout, expected, http, talk, title } of cases) {
    it.live(title, () =>
      Effect.gen(function* () {
        const { connections, port } = yield* talk === undefined
          ? serveRaw((socket) => socket.resume())
          : serveRawTls(identity, talk)
        const registry = yield* open(http, attempt)
        const url = `https://idp.test:${port}/jwks`
        const before = yield* Clock.currentTimeMillis
        assert.deepStrictEqual(yield* outcomeOf(registry, url), expected(url))
        assert.isBelow((yield* Clock.currentTimeMillis) - before, attempt + 300)
        yield* registry.unregisterTenant("acme")
        yield* connections.allClosed
      }).pipe(quietly),
    )
  }

  it.live("all of them at once, and another provider is served meanwhile", () =>
    Effect.gen(function* () {
      const good = yield* serveHttps(identity, answerJwks)
      const registry = yield* open()
      const bad = yield* Effect.forEach(cases, ({ talk }) =>
        Effect.gen(function* () {
          const server = yield* talk === undefined ? serveRaw((socket) => socket.resume()) : serveRawTls(identity, talk)
          yield* registry.register({
            tenant: `bad-${server.port}`,
            provider: "idp",
            jwksUrl: `https://idp.test:${server.port}/jwks`,
            warm: true,
          })
          return server
        }),
      )
      for (const { connections } of bad) yield* connections.awaitOpened(1)
      const before = yield* Clock.currentTimeMillis
      assert.deepStrictEqual(yield* outcomeOf(registry, `https://idp.test:${good.port}/jwks`), served)
      assert.isBelow((yield* Clock.currentTimeMillis) - before, attemptTimeout)
      for (const { connections, port } of bad) {
        assert.strictEqual((yield* Effect.flip(registry.resolve(`bad-${port}`, "idp")))._tag, "JwksUnavailable")
        yield* registry.unregisterTenant(`bad-${port}`)
        yield* connections.allClosed
      }
    }).pipe(quietly),
  )
})

describe("A Content-Length that promises less than comes", () => {
  it.live("cuts the body, and what follows is not taken for the next response", () =>
    Effect.gen(function* () {
      const smuggled = '{"keys":[]}'
      const { connections, port } = yield* serveRawTls(
        identity,
        onRequest((socket) =>
          socket.write(
            `${head(`content-length: ${jwksBody.length}`)}${jwksBody}${head(`content-length: ${smuggled.length}`)}${smuggled}`,
          ),
        ),
      )
      const registry = yield* open()
      const { outcome, refresh } = yield* provider(registry, `https://idp.test:${port}/jwks`)
      assert.deepStrictEqual(yield* outcome, served)
      yield* idle
      assert.strictEqual((yield* Effect.orDie(refresh))._tag, "Updated")
      assert.strictEqual(connections.opened, 2)
      yield* connections.allClosed
    }).pipe(quietly),
  )
})

describe("A caller who gives up", () => {
  it.live("before the connection stands closes what there is of it", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serveRaw((socket) => socket.resume())
      const registry = yield* open({ connectTimeout: "5 minutes" })
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: `https://idp.test:${port}/`, warm: true })
      yield* connections.awaitOpened(1)
      yield* registry.unregister("acme", "idp")
      yield* connections.allClosed
    }).pipe(quietly),
  )

  it.live("before the response closes the connection", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* serveRawTls(identity, (socket) => socket.resume())
      const registry = yield* open()
      yield* registry.register({ tenant: "acme", provider: "idp", jwksUrl: `https://idp.test:${port}/`, warm: true })
      yield* connections.awaitOpened(1)
      yield* registry.unregister("acme", "idp")
      yield* connections.allClosed
    }).pipe(quietly),
  )
})
