import { assert, describe, it } from "@effect/vitest"
import { JwksMetrics, JwksRegistry, TransportDemand } from "@effect-jwks/core"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import { pipeline, Readable, type Transform } from "node:stream"
import * as Zlib from "node:zlib"
import { transportLayer } from "../src/internal/TransportLayer.ts"
import { type Handler, serveHttp } from "./support/Listening.ts"
import { onLoopback } from "./support/Names.ts"
import { idle, jwksBody, once, openRegistry, outcomeOf, provider, quietly, served } from "./support/Registry.ts"

const http = { lookup: onLoopback("idp.test").lookup }
const local = { requireHttps: false, allowPrivateAddresses: ["idp.test"], defaults: { requireHttps: false } }

/** Exempts the one host of these tests, as a registry does. */
const exempted = Effect.provideService(TransportDemand, {
  pins: [],
  allowPrivateAddresses: ["idp.test"],
  attest: () => {},
})

const encoded = {
  gzip: Zlib.gzipSync(jwksBody),
  "x-gzip": Zlib.gzipSync(jwksBody),
  deflate: Zlib.deflateSync(jwksBody),
  br: Zlib.brotliCompressSync(jwksBody),
  zstd: Zlib.zstdCompressSync(jwksBody),
}

/** Answers with a body under a `Content-Encoding`. */
const answer =
  (coding: string, body: Uint8Array): Handler =>
  (_, response) => {
    response.writeHead(200, { "content-encoding": coding, "content-length": body.length }).end(body)
  }

const outcomeWith = Effect.fnUntraced(function* (coding: string, body: Uint8Array) {
  const { connections, port, requests } = yield* serveHttp(answer(coding, body))
  const registry = yield* openRegistry({ ...local, http })
  const outcome = yield* outcomeOf(registry, `http://idp.test:${port}/`, { requireHttps: false })
  return { outcome, connections, requests }
})

describe("A content coding", () => {
  it.live("is asked for, of the kinds that are undone", () =>
    Effect.gen(function* () {
      const { requests } = yield* outcomeWith("identity", Buffer.from(jwksBody))
      assert.strictEqual(requests[0]?.headers["accept-encoding"], "gzip, deflate, br, zstd")
    }),
  )

  for (const [coding, body] of [...Object.entries(encoded), ["deflate", Zlib.deflateRawSync(jwksBody)] as const]) {
    it.live(`is undone: ${coding}${body[0] === 0x78 || coding !== "deflate" ? "" : ", without the zlib header"}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual((yield* outcomeWith(coding, body)).outcome, served)
        assert.deepStrictEqual((yield* outcomeWith(` ${coding.toUpperCase()} `, body)).outcome, served)
      }),
    )

    it.live(`is no excuse for a body that is cut short: ${coding}`, () =>
      Effect.gen(function* () {
        // At every length: a body that merely lacks its check sum is not whole either.
        for (const length of [0, 1, body.length >> 1, body.length - 4, body.length - 1]) {
          const { connections, outcome } = yield* outcomeWith(coding, body.subarray(0, length))
          // zstd of Node 22 does not mind; what is left is no JSON then.
          if (coding === "zstd" && outcome._tag === "BodyInvalid") assert.match(process.version, /^v22/)
          else assert.deepInclude(outcome, { _tag: "TransportFailed", detail: "Z_BUF_ERROR" }, `${length} bytes`)
          assert.isAtMost(connections.open, 1)
        }
      }).pipe(quietly),
    )
  }

  for (const [coding, detail] of [
    ["gzip", "Z_DATA_ERROR"],
    ["deflate", "Z_DATA_ERROR"],
    ["br", "ERR__ERROR_FORMAT_PADDING_1"],
    ["zstd", "ZSTD_ERROR_PREFIX_UNKNOWN"],
  ] as const) {
    it.live(`is no excuse for a body that is something else: ${coding}`, () =>
      Effect.gen(function* () {
        const { outcome } = yield* outcomeWith(coding, Buffer.from("this is no such thing"))
        assert.deepInclude(outcome, { _tag: "TransportFailed", detail })
      }).pipe(quietly),
    )
  }

  it.live("that is applied twice, or not known, is left to the cache, which refuses it", () =>
    Effect.gen(function* () {
      const twice = yield* outcomeWith("gzip, gzip", Zlib.gzipSync(encoded.gzip))
      assert.deepInclude(twice.outcome, { _tag: "BodyInvalid", rule: "it has more than one content coding" })
      const unknown = yield* outcomeWith("compress", Buffer.from(jwksBody))
      assert.deepInclude(unknown.outcome, { _tag: "BodyInvalid", rule: "its content coding is not known" })
    }).pipe(quietly),
  )

  it.live("does not keep the connection from being used again", () =>
    Effect.gen(function* () {
      for (const [coding, body] of Object.entries(encoded)) {
        const { connections, port } = yield* serveHttp(answer(coding, body))
        const registry = yield* openRegistry({ ...local, http })
        const { outcome, refresh } = yield* provider(registry, `http://idp.test:${port}/`)
        assert.deepStrictEqual(yield* outcome, served)
        yield* idle
        yield* Effect.orDie(refresh)
        assert.strictEqual(connections.opened, 1, coding)
      }
    }),
  )
})

const gibibyte = 2 ** 30
const maxResponseBytes = 1_048_576

const encoders: Readonly<Record<string, () => Transform>> = {
  gzip: () => Zlib.createGzip({ level: 9 }),
  deflate: () => Zlib.createDeflateRaw({ level: 9 }),
  br: () => Zlib.createBrotliCompress({ params: { [Zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }),
  zstd: () => Zlib.createZstdCompress(),
}

/** A GiB of spaces, encoded while it is sent. */
const bomb =
  (coding: string, encoder: Transform): Handler =>
  (_, response) => {
    const piece = Buffer.alloc(1_048_576, 0x20)
    const spaces = Readable.from(
      (function* () {
        for (let sent = 0; sent < gibibyte; sent += piece.length) yield piece
      })(),
    )
    response.setHeader("content-encoding", coding)
    pipeline(spaces, encoder, response, () => {})
  }

describe("A bomb of 1 GiB", () => {
  for (const [coding, encoder] of Object.entries(encoders)) {
    it.live(`goes off no further than maxResponseBytes and 256 KiB: ${coding}`, () =>
      Effect.gen(function* () {
        let left = 0
        const { connections, port } = yield* serveHttp((...exchange) => bomb(coding, encoder())(...exchange))
        const transport = transportLayer(http, "", { meter: (bytes) => void (left += bytes) })
        const registry = Context.get(
          yield* Layer.build(
            JwksRegistry.layer({ ...local, defaults: { ...local.defaults, ...once, maxResponseBytes } }).pipe(
              Layer.provide([transport, Persistence.layerMemory, JwksMetrics.layerNoop]),
            ),
          ),
          JwksRegistry,
        )
        const url = `http://idp.test:${port}/`
        assert.deepStrictEqual(yield* outcomeOf(registry, url), {
          _tag: "BodyTooLarge",
          url,
          limitBytes: maxResponseBytes,
        })
        yield* registry.unregisterTenant("acme")
        yield* connections.allClosed
        assert.isAbove(left, maxResponseBytes)
        assert.isAtMost(left, maxResponseBytes + 256 * 1_024)
      }).pipe(quietly),
    )
  }

  it.live("does not go off at all where nobody reads it", () =>
    Effect.gen(function* () {
      let left = 0
      const small = Zlib.gzipSync(Buffer.alloc(16 * 1_048_576, 0x20))
      const sent = yield* Deferred.make<void>()
      const { connections, port } = yield* serveHttp((_, response) => {
        response.once("finish", () => Deferred.doneUnsafe(sent, Effect.void))
        response.writeHead(503, { "content-encoding": "gzip" }).end(small)
      })
      const transport = transportLayer(http, "", { meter: (bytes) => void (left += bytes) })
      const status = yield* Effect.scoped(
        Effect.gen(function* () {
          const client = HttpClient.withScope(yield* HttpClient.HttpClient)
          const response = yield* client.get(`http://idp.test:${port}/`).pipe(exempted)
          yield* Deferred.await(sent)
          // Turns enough to read ahead.
          for (let turn = 0; turn < 100; turn++) yield* idle
          return response.status
        }),
      ).pipe(Effect.provide(transport))
      assert.deepStrictEqual([status, left], [503, 0])
      yield* connections.allClosed
    }),
  )

  it.live("that decodes to nothing ends by its encoded size", () =>
    Effect.gen(function* () {
      // Empty members of gzip, one after another (RFC 1952 section 2.2).
      const empty = Zlib.gzipSync("")
      const flood = Buffer.concat(Array.from({ length: 3_000 }, () => empty))
      const { connections, port } = yield* serveHttp((_, response) => {
        response.writeHead(200, { "content-encoding": "gzip" })
        const pour = (): void => {
          while (!response.destroyed && response.write(flood));
        }
        response.on("drain", pour)
        pour()
      })
      const registry = yield* openRegistry({
        ...local,
        defaults: {
          ...local.defaults,
          retryPolicy: { maxRetries: 0, attemptTimeout: "20 seconds", deadline: "20 seconds" },
        },
        http,
      })
      assert.deepInclude(yield* outcomeOf(registry, `http://idp.test:${port}/`), {
        _tag: "TransportFailed",
        detail: "UND_ERR_RES_EXCEEDED_MAX_SIZE",
      })
      yield* registry.unregisterTenant("acme")
      yield* connections.allClosed
    }).pipe(quietly),
  )
})
