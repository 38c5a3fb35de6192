/**
 * Every fault at both twins: at the server through plain `fetch` and `node:http`, at the scripted
 * provider through its client.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import { FakeProvider, ScriptedProvider, type IdentityProvider } from "../src/index.ts"
import { rawGet, type RawResponse } from "./rawGet.ts"

/** What a client sees: the response, or the code of the error that it got. */
type Seen = RawResponse | string

interface Twin {
  readonly provider: IdentityProvider
  /** Asks for the JWKS, or for another path. */
  readonly see: (headers?: Readonly<Record<string, string>>, path?: string) => Effect.Effect<Seen>
}

const codeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return "code" in error ? String(error.code) : codeOf(error.cause)
}

const readThrough = (client: HttpClient.HttpClient, url: string, headers: Readonly<Record<string, string>> = {}) =>
  client.get(url, { headers }).pipe(
    Effect.flatMap((response) =>
      Effect.map(response.text, (body): Seen => ({ status: response.status, headers: response.headers, body })),
    ),
    Effect.catch((error: HttpClientError) => Effect.succeed(codeOf(error))),
  )

const fetchThrough = (url: string, headers: Readonly<Record<string, string>> = {}): Effect.Effect<Seen> =>
  Effect.promise(async (signal) => {
    try {
      const response = await fetch(url, { redirect: "manual", headers, signal })
      return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() }
    } catch (error) {
      return codeOf(error)
    }
  })

const at = (provider: IdentityProvider, path = "") => new URL(path, provider.jwksUrl).href

const twins = {
  "a server, seen by node:http": Effect.map(FakeProvider.make(), (provider): Twin => ({
    provider,
    see: (headers, path) => Effect.catch(rawGet(at(provider, path), headers), Effect.succeed),
  })),
  "a server, seen by fetch": Effect.map(FakeProvider.make(), (provider): Twin => ({
    provider,
    see: (headers, path) => fetchThrough(at(provider, path), headers),
  })),
  "a scripted provider": Effect.map(ScriptedProvider.make(), (provider): Twin => ({
    provider,
    see: (headers, path) => readThrough(ScriptedProvider.client(provider), at(provider, path), headers),
  })),
}

const statusOf = (seen: Seen) => (typeof seen === "string" ? seen : seen.status)

for (const [twin, make] of Object.entries(twins)) {
  describe(`Faults of ${twin}`, () => {
    it.live("delays the right answer", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.delay("30 millis", { next: 1 })
        const [took, seen] = yield* Effect.timed(see())
        assert.strictEqual(statusOf(seen), 200)
        assert.isAtLeast(Duration.toMillis(took), 29)
      }),
    )

    it.live("hangs until the client leaves", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.hang()
        const client = yield* Effect.forkChild(see())
        yield* provider.faults.awaitMet(1)
        yield* provider.faults.heal
        assert.strictEqual(statusOf(yield* see()), 200)
        assert.isUndefined(client.pollUnsafe())
        yield* Fiber.interrupt(client)
        yield* provider.awaitAbandoned(1)
        assert.strictEqual(provider.log[0]?.fault, "Hang")
      }),
    )

    it.live("refuses the connection", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.refuse({ next: 1 })
        assert.include(["ECONNRESET", "ECONNREFUSED"], yield* see())
        assert.strictEqual(statusOf(yield* see()), 200)
        assert.deepStrictEqual([provider.requests, provider.ok, provider.abandoned], [2, 1, 0])
      }),
    )

    it.live("resets the connection half-way through the body", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.resetMidway({ next: 1 })
        // Node 22's fetch calls a reset what its successors call by the socket's own code.
        assert.include(["UND_ERR_SOCKET", "ECONNRESET"], yield* see())
        assert.strictEqual(provider.ok, 1)
      }),
    )

    it.live("closes the connection before the announced length is reached", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.truncated({ next: 1 })
        // node:http calls an early end a reset as well.
        assert.include(["UND_ERR_SOCKET", "ECONNRESET"], yield* see())
      }),
    )

    it.live("breaks off even where a 304 was due", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.truncated({ next: 1 })
        assert.isString(yield* see({ "if-none-match": provider.keys.document.etag }))
      }),
    )

    it.live("sends a valid document of any size", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.oversized(3_000_000, { next: 1 })
        const seen = yield* see()
        if (typeof seen === "string") return assert.fail(seen)
        assert.strictEqual(seen.body.length, 3_000_000)
        assert.notProperty(seen.headers, "content-length")
        assert.deepStrictEqual(JSON.parse(seen.body), { keys: [provider.keys.current.publicJwk] })
      }),
    )

    it.live("answers with a status, a Retry-After and a body", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.status(503, { next: 1, retryAfter: "1500 millis", body: "busy" })
        yield* provider.faults.status(429, { next: 1, headers: { "retry-after": "soon" } })
        const [busy, limited] = [yield* see(), yield* see()]
        if (typeof busy === "string" || typeof limited === "string") return assert.fail("no response")
        assert.deepStrictEqual([busy.status, busy.headers["retry-after"], busy.body], [503, "2", "busy"])
        assert.notProperty(busy.headers, "cache-control")
        assert.deepStrictEqual([limited.status, limited.headers["retry-after"], limited.body], [429, "soon", ""])
      }),
    )

    it.live("sends a 304 that nobody asked for", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.status(304, { next: 1, headers: { etag: '"other"' } })
        const seen = yield* see()
        if (typeof seen === "string") return assert.fail(seen)
        assert.deepStrictEqual([seen.status, seen.headers["etag"]], [304, '"other"'])
      }),
    )

    it.live("redirects", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.redirect("https://elsewhere.test/jwks", 307, { next: 1 })
        const seen = yield* see()
        if (typeof seen === "string") return assert.fail(seen)
        assert.deepStrictEqual([seen.status, seen.headers["location"]], [307, "https://elsewhere.test/jwks"])
      }),
    )

    it.live("lies in the body", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.body("<html>", { contentType: "text/html", headers: { "x-lie": "1" } })
        const seen = yield* see({ "if-none-match": provider.keys.document.etag })
        if (typeof seen === "string") return assert.fail(seen)
        assert.deepStrictEqual(
          [seen.status, seen.headers["content-type"], seen.headers["x-lie"], seen.body],
          [200, "text/html", "1", "<html>"],
        )
        assert.strictEqual(seen.headers["cache-control"], "public, max-age=600")
        assert.notProperty(seen.headers, "etag")
        yield* provider.faults.body(Uint8Array.of(0x7b, 0x7d))
        const bytes = yield* see()
        assert.strictEqual(typeof bytes === "string" ? bytes : bytes.body, "{}")
      }),
    )

    it.live("spoils what there is: nothing becomes a key set", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.delay("1 millis", { only: "other" })
        yield* provider.faults.status(500, { next: 1, only: "jwks" })
        assert.strictEqual(statusOf(yield* see({}, "/elsewhere")), 404)
        assert.strictEqual(provider.faults.met, 1)
        yield* provider.faults.truncated({ next: 1, only: "other" })
        assert.strictEqual(statusOf(yield* see({}, "/elsewhere")), 404)
        assert.strictEqual(statusOf(yield* see()), 500)
      }),
    )

    it.live("goes through counted faults in order, then keeps to the lasting one until healed", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.status(500)
        yield* provider.faults.status(502, { next: 2 })
        yield* provider.faults.status(404, { only: "discovery" })
        yield* provider.faults.status(501)
        yield* provider.faults.status(503, { next: 1 })
        yield* provider.faults.status(400, { next: 1, only: "discovery" })
        const statuses = yield* Effect.replicateEffect(Effect.map(see(), statusOf), 5)
        assert.deepStrictEqual(statuses, [502, 502, 503, 501, 501])
        assert.strictEqual(provider.faults.met, 5)
        yield* provider.faults.heal
        assert.strictEqual(statusOf(yield* see()), 200)
      }),
    )

    it.live("holds responses back, and lets the oldest go first", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.holdNext(2)
        const first = yield* Effect.forkChild(see())
        yield* provider.faults.awaitHeld(1)
        const second = yield* Effect.forkChild(see())
        yield* provider.faults.awaitHeld(2)
        assert.strictEqual(statusOf(yield* see()), 200)
        assert.strictEqual(yield* provider.faults.release(1), 1)
        assert.strictEqual(statusOf(yield* Fiber.join(first)), 200)
        assert.isUndefined(second.pollUnsafe())
        assert.strictEqual(provider.faults.held, 1)
        yield* provider.faults.heal
        assert.strictEqual(statusOf(yield* Fiber.join(second)), 200)
        assert.strictEqual(yield* provider.faults.release(), 0)
      }),
    )

    it.live("brings the keys of the moment when a held request arrived", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        const { kid } = provider.keys.current
        yield* provider.faults.hold
        const client = yield* Effect.forkChild(see())
        yield* provider.faults.awaitHeld(1)
        yield* provider.keys.rotate({ keepOld: false })
        yield* provider.faults.release()
        const seen = yield* Fiber.join(client)
        assert.include(typeof seen === "string" ? seen : seen.body, kid)
        const next = yield* see()
        assert.notInclude(typeof next === "string" ? next : next.body, kid)
      }),
    )

    it.live("holds nothing for a client that has left", () =>
      Effect.gen(function* () {
        const { provider, see } = yield* make
        yield* provider.faults.hold
        const client = yield* Effect.forkChild(see())
        yield* provider.faults.awaitHeld(1)
        yield* Fiber.interrupt(client)
        yield* provider.awaitAbandoned(1)
        assert.strictEqual(provider.faults.held, 0)
      }),
    )
  })
}
