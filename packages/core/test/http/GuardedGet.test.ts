import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Tracer from "effect/Tracer"
import * as TestClock from "effect/testing/TestClock"
import { type GuardedRequest, guardedGet } from "../../src/http/GuardedGet.ts"
import type { UrlPolicy } from "../../src/security/UrlPolicy.ts"
import { type Asked, oddResponse, redirect, scriptedClient } from "./ScriptedClient.ts"

const policy: UrlPolicy = { requireHttps: true, allowedDomainLists: [], allowPrivateAddresses: false }

const start = "https://idp.example.com/jwks"

const request = (options: Partial<Omit<GuardedRequest, "url">> & { readonly url?: string } = {}): GuardedRequest => ({
  accept: "application/json",
  headersFor: () => ({}),
  policy,
  maxRedirects: 3,
  maxResponseBytes: 1_024,
  pins: [],
  ...options,
  url: new URL(options.url ?? start),
})

const text = (body: Uint8Array): string => new TextDecoder().decode(body)

/** What a GET through a scripted client fails with. */
const failureOf = (answer: Parameters<typeof scriptedClient>[0], options: Parameters<typeof request>[0] = {}) => {
  const { asked, client } = scriptedClient(answer)
  return Effect.map(Effect.flip(guardedGet(client, request(options))), (failure) => ({ ...failure, asked }))
}

const reasonOf = (answer: Parameters<typeof scriptedClient>[0], options: Parameters<typeof request>[0] = {}) =>
  Effect.map(failureOf(answer, options), ({ reason }) => reason)

describe("guardedGet", () => {
  it.effect("returns status, headers by lower-case name, final URL and body", () =>
    Effect.gen(function* () {
      const { asked, client } = scriptedClient(
        () => new Response('{"keys":[]}', { headers: { ETag: '"1"', "Content-Type": "application/json" } }),
      )
      const response = yield* guardedGet(client, request())
      assert.strictEqual(response.status, 200)
      assert.deepStrictEqual(response.headers, { "content-type": "application/json", etag: '"1"' })
      assert.strictEqual(response.url.href, start)
      assert.strictEqual(text(response.body), '{"keys":[]}')
      assert.lengthOf(asked, 1)
      assert.strictEqual(asked[0]?.method, "GET")
    }),
  )

  it.effect("passes a 304 through, with an empty body", () =>
    Effect.gen(function* () {
      const { client } = scriptedClient(() => new Response(null, { status: 304, headers: { etag: '"1"' } }))
      const response = yield* guardedGet(client, request())
      assert.strictEqual(response.status, 304)
      assert.strictEqual(response.body.length, 0)
      assert.deepStrictEqual(response.headers, { etag: '"1"' })
    }),
  )

  it.effect("sends Accept and the hop's own headers, and nothing else", () =>
    Effect.gen(function* () {
      const { asked, client } = scriptedClient(({ url }) =>
        url === start ? redirect(302, "https://keys.example.com/jwks") : new Response("{}"),
      )
      const headersFor = (hop: URL): Record<string, string> => (hop.href === start ? { "if-none-match": '"1"' } : {})
      yield* guardedGet(client, request({ headersFor }))
      assert.deepStrictEqual(
        asked.map(({ headers, method, url }) => ({ method, url, headers })),
        [
          { method: "GET", url: start, headers: { accept: "application/json", "if-none-match": '"1"' } },
          { method: "GET", url: "https://keys.example.com/jwks", headers: { accept: "application/json" } },
        ],
      )
    }),
  )

  it.effect("sends a query as it was written, and no fragment", () =>
    Effect.gen(function* () {
      const { asked, client } = scriptedClient(() => new Response("{}"))
      const response = yield* guardedGet(client, request({ url: `${start}?p=a%20b+c&q=%2F~'(&r#part` }))
      assert.strictEqual(asked[0]?.url, new URL(`${start}?p=a%20b+c&q=%2F~'(&r`).href)
      assert.strictEqual(response.url.href, asked[0]?.url)
    }),
  )

  describe("policy", () => {
    it.effect.each([
      ["http://idp.example.com/jwks", "UrlRefused"],
      ["https://user@idp.example.com/jwks", "UrlRefused"],
      ["https://127.0.0.1/jwks", "AddressRefused"],
      ["https://localhost/jwks", "AddressRefused"],
    ] as const)("refuses %s as %s without sending anything", ([url, tag]) =>
      Effect.gen(function* () {
        const { asked, reason } = yield* failureOf(() => new Response("{}"), { url })
        assert.strictEqual(reason._tag, tag)
        assert.lengthOf(asked, 0)
      }),
    )

    it.effect.each([
      ["http://idp.example.com/jwks", "RedirectRefused"],
      ["https://user@idp.example.com/jwks", "RedirectRefused"],
      ["https://idp.example.com/a b", "RedirectRefused"],
      ["https://", "RedirectRefused"],
      ["ftp://idp.example.com/jwks", "UrlRefused"],
      ["https://169.254.169.254/latest/meta-data", "AddressRefused"],
      ["https://[::ffff:127.0.0.1]/", "AddressRefused"],
      ["//localhost/", "AddressRefused"],
    ] as const)("refuses a redirect to %s as %s without sending it", ([location, tag]) =>
      Effect.gen(function* () {
        const { asked, reason } = yield* failureOf(() => redirect(302, location))
        assert.strictEqual(reason._tag, tag)
        assert.lengthOf(asked, 1)
      }),
    )

    it.effect("checks the allowed domains on a hop that is not the first", () =>
      Effect.gen(function* () {
        const { asked, reason } = yield* failureOf(
          ({ url }) => redirect(302, url === start ? "https://keys.example.com/" : "https://evil.example/"),
          { policy: { ...policy, allowedDomainLists: [["example.com"]] } },
        )
        assert.deepStrictEqual(reason, {
          _tag: "UrlRefused",
          url: "https://evil.example/",
          rule: "the host is in no allowed domain",
        })
        assert.lengthOf(asked, 2)
      }),
    )
  })

  describe("redirects", () => {
    it.effect.each([301, 302, 303, 307, 308])("follows %s", (status) =>
      Effect.gen(function* () {
        const { asked, client } = scriptedClient(({ url }) =>
          url === start ? redirect(status, "/moved?a=1#part") : new Response("{}"),
        )
        const response = yield* guardedGet(client, request())
        assert.strictEqual(response.url.href, "https://idp.example.com/moved?a=1")
        assert.deepStrictEqual(
          asked.map(({ method }) => method),
          ["GET", "GET"],
        )
      }),
    )

    const chain = ({ url }: Asked) => {
      const hop = Number(new URL(url).searchParams.get("hop"))
      return hop === 4 ? new Response("{}") : redirect(302, `/jwks?hop=${hop + 1}`)
    }

    it.effect("follows maxRedirects of them, and no more", () =>
      Effect.gen(function* () {
        const { client } = scriptedClient(chain)
        const response = yield* guardedGet(client, request({ maxRedirects: 4 }))
        assert.strictEqual(response.url.search, "?hop=4")
        for (const maxRedirects of [0, 1, 3]) {
          const { asked, reason } = yield* failureOf(chain, { maxRedirects })
          assert.deepStrictEqual(reason, {
            _tag: "RedirectRefused",
            url: start,
            rule: `more than ${maxRedirects} redirects`,
          })
          assert.lengthOf(asked, maxRedirects + 1)
        }
      }),
    )

    it.effect.each(["/jwks", start, "#part", "/jwks?hop=1"])("refuses to go in circles (%s)", (location) =>
      Effect.gen(function* () {
        const { asked, reason } = yield* failureOf(
          ({ url }) => redirect(302, url === start && location.includes("hop") ? location : "/jwks"),
          { maxRedirects: 10 },
        )
        assert.deepStrictEqual(reason, { _tag: "RedirectRefused", url: start, rule: "the redirects go in circles" })
        assert.isAtMost(asked.length, 2)
      }),
    )

    it.effect("refuses one without Location", () =>
      Effect.gen(function* () {
        const reason = yield* reasonOf(() => new Response("", { status: 302 }))
        assert.deepStrictEqual(reason, { _tag: "RedirectRefused", url: start, rule: "it names no Location" })
      }),
    )

    it.effect.each([300, 305, 306])("takes %s for a plain status, even with Location", (status) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* reasonOf(() => redirect(status, "/other")), {
          _tag: "HttpStatus",
          url: start,
          status,
        })
      }),
    )

    it.effect("refuses a response from another URL: the client followed a redirect on its own", () =>
      Effect.gen(function* () {
        for (const url of ["https://evil.example/jwks", "https://idp.example.com/jwks?x=1", "garbage"]) {
          assert.deepStrictEqual(yield* reasonOf(() => oddResponse({ url }, new Response("{}"))), {
            _tag: "RedirectRefused",
            url: start,
            rule: "the HTTP client followed a redirect on its own",
          })
        }
      }),
    )

    it.effect("accepts a response that names the asked URL, a fragment aside, or none", () =>
      Effect.gen(function* () {
        for (const url of [start, `${start}#part`, "https://IDP.example.com:443/jwks", ""]) {
          const { client } = scriptedClient((_, given) =>
            Effect.succeed(
              Object.create(HttpClientResponse.fromWeb(given, new Response("{}")), { url: { value: url } }),
            ),
          )
          assert.strictEqual((yield* guardedGet(client, request())).status, 200)
        }
      }),
    )

    it.effect("refuses a client that was made to follow redirects", () =>
      Effect.gen(function* () {
        const { client } = scriptedClient(({ url }) => (url === start ? redirect(302, "/moved") : new Response("{}")))
        const { reason } = yield* Effect.flip(guardedGet(HttpClient.followRedirects(client), request()))
        assert.strictEqual(reason._tag, "RedirectRefused")
      }),
    )

    it.effect("refuses the opaque response of a browser", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* reasonOf(() => oddResponse({ status: 0 })), {
          _tag: "RedirectRefused",
          url: start,
          rule: "the runtime hides redirects",
        })
      }),
    )
  })

  describe("statuses", () => {
    it.effect.each([201, 202, 204, 206, 400, 401, 403, 404, 410, 429, 500, 503, 520])("fails on %s", (status) =>
      Effect.gen(function* () {
        const { reason, retryAfterMillis } = yield* failureOf(
          () => new Response(status === 204 ? null : "<html>", { status }),
          { url: `${start}?key=secret` },
        )
        assert.deepStrictEqual(reason, { _tag: "HttpStatus", url: start, status })
        assert.isUndefined(retryAfterMillis)
      }),
    )

    it.effect.each([408, 425, 429, 500, 503])("reads Retry-After on %s", (status) =>
      Effect.gen(function* () {
        const answer = () => new Response("", { status, headers: { "retry-after": "7" } })
        assert.strictEqual((yield* failureOf(answer)).retryAfterMillis, 7_000)
      }),
    )

    it.effect("takes Retry-After from a status that is not retried, too", () =>
      Effect.gen(function* () {
        const answer = () => new Response("", { status: 404, headers: { "retry-after": "7" } })
        assert.strictEqual((yield* failureOf(answer)).retryAfterMillis, 7_000)
      }),
    )

    it.effect("counts a Retry-After date from the Effect clock", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(784_111_777_000)
        const headers = { "retry-after": "Sun, 06 Nov 1994 08:49:47 GMT" }
        assert.strictEqual(
          (yield* failureOf(() => new Response("", { status: 503, headers }))).retryAfterMillis,
          10_000,
        )
      }),
    )

    it.effect("reads the status of a client that fails on it", () =>
      Effect.gen(function* () {
        const { client } = scriptedClient(() => new Response(null, { status: 304 }))
        assert.strictEqual((yield* guardedGet(HttpClient.filterStatusOk(client), request())).status, 304)
      }),
    )
  })

  describe("body", () => {
    /** A body in chunks, and how many of them were pulled. */
    const chunked = (chunks: number, size: number) => {
      const seen = { pulled: 0, cancelled: false }
      const body = new ReadableStream<Uint8Array>(
        {
          pull: (controller) => {
            seen.pulled += 1
            controller.enqueue(new Uint8Array(size))
            if (seen.pulled === chunks) controller.close()
          },
          cancel: () => {
            seen.cancelled = true
          },
        },
        { highWaterMark: 0 },
      )
      return { seen, body }
    }

    const tooLarge = { _tag: "BodyTooLarge", url: start, limitBytes: 1_024 } as const

    it.effect("may have exactly maxResponseBytes", () =>
      Effect.gen(function* () {
        const { body } = chunked(4, 256)
        const { client } = scriptedClient(() => new Response(body))
        assert.strictEqual((yield* guardedGet(client, request())).body.length, 1_024)
      }),
    )

    it.effect("of one byte more is refused", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* reasonOf(() => new Response(new Uint8Array(1_025))), tooLarge)
      }),
    )

    it.effect("is not pulled past the limit, and cancelled", () =>
      Effect.gen(function* () {
        const { body, seen } = chunked(1_000_000, 500)
        assert.deepStrictEqual(yield* reasonOf(() => new Response(body)), tooLarge)
        assert.deepStrictEqual(seen, { pulled: 3, cancelled: true })
      }),
    )

    it.effect("is not read at all when Content-Length says too much", () =>
      Effect.gen(function* () {
        const { body, seen } = chunked(10, 500)
        const answer = () => new Response(body, { headers: { "content-length": "5000" } })
        assert.deepStrictEqual(yield* reasonOf(answer), tooLarge)
        assert.strictEqual(seen.pulled, 0)
      }),
    )

    it.effect("is measured decoded: Content-Length of an encoded body does not count", () =>
      Effect.gen(function* () {
        const headers = { "content-length": "5000", "content-encoding": "gzip" }
        const { client } = scriptedClient(() => new Response("{}", { headers }))
        assert.strictEqual(text((yield* guardedGet(client, request())).body), "{}")
      }),
    )

    it.effect.each(["garbage", "-1", "", "2, 2"])("is read whatever Content-Length '%s' means", (length) =>
      Effect.gen(function* () {
        const { client } = scriptedClient(() => new Response("{}", { headers: { "content-length": length } }))
        assert.strictEqual(text((yield* guardedGet(client, request())).body), "{}")
      }),
    )

    it.effect("may be empty", () =>
      Effect.gen(function* () {
        for (const body of [null, ""]) {
          const { client } = scriptedClient(() => new Response(body))
          assert.strictEqual((yield* guardedGet(client, request())).body.length, 0)
        }
      }),
    )

    it.effect("of a redirect, an error or a 304 is not read, and its request is aborted", () =>
      Effect.gen(function* () {
        for (const status of [302, 404, 503]) {
          const { body, seen } = chunked(1_000_000, 500)
          const { asked, client } = scriptedClient(({ url }) =>
            url === start ? new Response(body, { status, headers: { location: "/moved" } }) : new Response("{}"),
          )
          yield* Effect.exit(guardedGet(client, request()))
          assert.strictEqual(seen.pulled, 0)
          assert.isTrue(asked[0]?.signal.aborted)
        }
      }),
    )

    it.effect("of a redirect is let go before the next hop is sent", () =>
      Effect.gen(function* () {
        const { asked, client } = scriptedClient(({ url }) => {
          if (url === start) return redirect(302, "/moved")
          assert.isTrue(asked[0]?.signal.aborted)
          return new Response("{}")
        })
        yield* guardedGet(client, request())
      }),
    )

    it.effect("that breaks off is a transport failure with the code of its cause", () =>
      Effect.gen(function* () {
        const broken = (error: unknown) => new ReadableStream({ pull: (controller) => controller.error(error) })
        const closed = new TypeError("terminated", { cause: Object.assign(new Error("x"), { code: "UND_ERR_SOCKET" }) })
        const detail = (error: unknown) =>
          Effect.map(
            reasonOf(() => new Response(broken(error))),
            (reason) => reason._tag === "TransportFailed" && reason.detail,
          )
        assert.strictEqual(yield* detail(closed), "UND_ERR_SOCKET")
        assert.strictEqual(yield* detail(new Error("secret")), "the body broke off")
      }),
    )

    it.effect("that never comes ends with the caller's interruption", () =>
      Effect.gen(function* () {
        const { asked, client } = scriptedClient(
          () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })),
        )
        const fiber = yield* Effect.forkChild(guardedGet(client, request()), { startImmediately: true })
        yield* TestClock.withLive(Effect.sleep(5))
        yield* Fiber.interrupt(fiber)
        assert.isTrue(asked[0]?.signal.aborted)
      }),
    )
  })

  describe("the client's failures", () => {
    const coded = (code: string, cause?: unknown) => Object.assign(new Error("secret", { cause }), { code })

    const transportError = (cause: unknown) =>
      new HttpClientError.HttpClientError({
        reason: new HttpClientError.TransportError({ request: HttpClientRequest.get(start), cause }),
      })

    const loop: { cause?: unknown } = {}
    loop.cause = loop

    it.effect.each<readonly [string, unknown, string]>([
      ["the error itself", coded("ECONNREFUSED"), "ECONNREFUSED"],
      ["its cause", new TypeError("fetch failed", { cause: coded("ENOTFOUND") }), "ENOTFOUND"],
      [
        "a cause further down",
        new Error("", { cause: new Error("", { cause: coded("CERT_HAS_EXPIRED") }) }),
        "CERT_HAS_EXPIRED",
      ],
      ["the first of several", new AggregateError([coded("ECONNREFUSED"), coded("EHOSTUNREACH")]), "ECONNREFUSED"],
      ["undici", coded("UND_ERR_CONNECT_TIMEOUT"), "UND_ERR_CONNECT_TIMEOUT"],
      ["no code", new Error("GET https://idp.example.com/?key=secret"), "the request failed"],
      ["a number as code", Object.assign(new Error(), { code: 20 }), "the request failed"],
      ["a sentence as code", coded("could not reach https://secret"), "the request failed"],
      ["a chain without end", loop, "the request failed"],
      ["no object", "secret", "the request failed"],
      ["nothing", undefined, "the request failed"],
    ])("name the code of %s", ([_, cause, detail]) =>
      Effect.gen(function* () {
        const failure = yield* failureOf(() => Effect.fail(transportError(cause)), { url: `${start}?key=secret` })
        assert.deepStrictEqual(failure.reason, { _tag: "TransportFailed", url: start, detail })
        assert.notInclude(JSON.stringify(failure.reason), "secret")
      }),
    )

    it.effect("survive an error whose getters throw", () =>
      Effect.gen(function* () {
        const hostile = Object.defineProperty({}, "code", {
          get: () => {
            throw new Error("secret")
          },
        })
        const reason = yield* reasonOf(() => Effect.fail(transportError(hostile)))
        assert.deepStrictEqual(reason, { _tag: "TransportFailed", url: start, detail: "the request failed" })
      }),
    )

    it.effect("that are thrown, are defects or interrupt themselves are transport failures too", () =>
      Effect.gen(function* () {
        const answers: ReadonlyArray<Parameters<typeof scriptedClient>[0]> = [
          () => {
            throw new Error("secret")
          },
          () => Effect.die(new Error("secret")),
          () => Effect.interrupt,
          (_, given) =>
            Effect.succeed(
              Object.create(HttpClientResponse.fromWeb(given, new Response()), {
                stream: {
                  get: () => {
                    throw new Error("secret")
                  },
                },
              }),
            ),
        ]
        for (const answer of answers) {
          const reason = yield* reasonOf(answer)
          assert.strictEqual(reason._tag, "TransportFailed")
          assert.notInclude(JSON.stringify(reason), "secret")
        }
      }),
    )

    it.effect("do not hide the caller's interruption, which aborts the request", () =>
      Effect.gen(function* () {
        const { asked, client } = scriptedClient(() => Effect.never)
        const fiber = yield* Effect.forkChild(guardedGet(client, request()), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
        assert.isTrue(asked[0]?.signal.aborted)
      }),
    )
  })

  describe("what leaves the process", () => {
    it.effect("carries no trace headers and makes no client span, with a tracer and a parent span", () =>
      Effect.gen(function* () {
        const spans: Array<string> = []
        const tracer = Tracer.make({
          span: (options) => {
            spans.push(options.name)
            return new Tracer.NativeSpan(options)
          },
        })
        const { asked, client } = scriptedClient(() => new Response("{}"))
        yield* guardedGet(client, request()).pipe(Effect.withSpan("parent"), Effect.withTracer(tracer))
        assert.deepStrictEqual(spans, ["parent"])
        assert.deepStrictEqual(asked[0]?.headers, { accept: "application/json" })
      }),
    )

    it.effect("is left without trace headers by clients that make spans of their own", () =>
      Effect.gen(function* () {
        const propagated: Array<boolean> = []
        const client = HttpClient.make((given, _url, _signal, fiber) => {
          propagated.push(fiber.getRef(HttpClient.TracerPropagationEnabled))
          return Effect.succeed(HttpClientResponse.fromWeb(given, new Response("{}")))
        })
        yield* guardedGet(client, request())
        assert.deepStrictEqual(propagated, [false])
      }),
    )

    /** What the stock fetch client is given. */
    const fetched = Effect.fnUntraced(function* (
      client: Layer.Layer<HttpClient.HttpClient>,
      ambient: RequestInit | undefined,
    ) {
      const calls: Array<RequestInit | undefined> = []
      const fetch: typeof globalThis.fetch = (_, init) => {
        calls.push(init)
        return Promise.resolve(new Response("{}"))
      }
      const get = Effect.flatMap(HttpClient.HttpClient, (given) => guardedGet(given, request()))
      yield* get.pipe(
        Effect.provide(client),
        Effect.provideService(FetchHttpClient.Fetch, fetch),
        ambient === undefined ? (self) => self : Effect.provideService(FetchHttpClient.RequestInit, ambient),
      )
      return calls[0]
    })

    it.effect("is asked of fetch without redirects, credentials and referrer", () =>
      Effect.gen(function* () {
        const init = yield* fetched(FetchHttpClient.layer, undefined)
        assert.strictEqual(init?.redirect, "manual")
        assert.strictEqual(init?.credentials, "omit")
        assert.strictEqual(init?.referrerPolicy, "no-referrer")
        assert.deepStrictEqual(Object.fromEntries(new Headers(init?.headers)), { accept: "application/json" })
      }),
    )

    it.effect("overrules a RequestInit of the user, whose other settings stay but for headers", () =>
      Effect.gen(function* () {
        const own: RequestInit = {
          redirect: "follow",
          credentials: "include",
          headers: { cookie: "session=1" },
          keepalive: true,
        }
        const init = yield* fetched(FetchHttpClient.layer, own)
        assert.strictEqual(init?.redirect, "manual")
        assert.strictEqual(init?.credentials, "omit")
        assert.strictEqual(init?.keepalive, true)
        assert.deepStrictEqual(Object.fromEntries(new Headers(init?.headers)), { accept: "application/json" })
      }),
    )

    it.effect("overrules a RequestInit that the client's layer was built with", () =>
      Effect.gen(function* () {
        const layer = Layer.provide(
          FetchHttpClient.layer,
          Layer.succeed(FetchHttpClient.RequestInit)({ redirect: "follow", credentials: "include" }),
        )
        const init = yield* fetched(layer, undefined)
        assert.strictEqual(init?.redirect, "manual")
        assert.strictEqual(init?.credentials, "omit")
      }),
    )
  })
})
