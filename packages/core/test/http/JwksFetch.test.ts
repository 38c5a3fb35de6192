import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fetchJwks, type JwksFetchOptions, validatorsOf } from "../../src/http/JwksFetch.ts"
import type { Validators } from "../../src/http/Validators.ts"
import { defaultSettings } from "../../src/Provider.ts"
import { type Asked, redirect, scriptedClient } from "./ScriptedClient.ts"

const start = "https://idp.example.com/jwks"
const lastModified = "Sun, 06 Nov 1994 08:49:37 GMT"

const options = (changes: Partial<JwksFetchOptions> = {}): JwksFetchOptions => ({
  url: new URL(start),
  policy: { requireHttps: true, allowedDomainLists: [], allowPrivateAddresses: false },
  settings: defaultSettings,
  validators: undefined,
  noCache: false,
  ...changes,
})

const validators: Validators = { url: start, etag: '"1"', lastModified }

const notModified = (headers: Record<string, string> = {}) => new Response(null, { status: 304, headers })

/** A 304 to whoever brings conditions, the whole document otherwise. */
const conditional =
  (headers: Record<string, string> = {}) =>
  ({ headers: asked }: Asked) =>
    "if-none-match" in asked || "if-modified-since" in asked
      ? notModified(headers)
      : new Response('{"keys":[]}', { headers: { etag: '"2"' } })

const conditionsOf = ({ headers }: Asked) => ({
  etag: headers["if-none-match"],
  date: headers["if-modified-since"],
  cacheControl: headers["cache-control"],
})

const unconditional = { etag: undefined, date: undefined, cacheControl: undefined }

describe("fetchJwks", () => {
  it.effect("fetches a document with its headers, final URL and validators", () =>
    Effect.gen(function* () {
      const { asked, client } = scriptedClient(
        () => new Response('{"keys":[]}', { headers: { etag: '"1"', "last-modified": lastModified } }),
      )
      const response = yield* fetchJwks(client, options())
      assert.strictEqual(response._tag, "Fetched")
      if (response._tag !== "Fetched") return
      assert.strictEqual(new TextDecoder().decode(response.body), '{"keys":[]}')
      assert.strictEqual(response.headers["etag"], '"1"')
      assert.strictEqual(response.url.href, start)
      assert.deepStrictEqual(response.validators, validators)
      assert.deepStrictEqual(asked[0]?.headers, {
        accept: "application/jwk-set+json, application/json;q=0.9, */*;q=0.1",
      })
    }),
  )

  it.effect("returns no validators where the response has none", () =>
    Effect.gen(function* () {
      const { client } = scriptedClient(() => new Response("{}"))
      const response = yield* fetchJwks(client, options())
      assert.isTrue(response._tag === "Fetched" && response.validators === undefined)
    }),
  )

  it.effect("sends both validators, and takes a 304 for the stored document", () =>
    Effect.gen(function* () {
      const { asked, client } = scriptedClient(conditional({ "cache-control": "max-age=60" }))
      const response = yield* fetchJwks(client, options({ validators }))
      assert.deepStrictEqual(asked.map(conditionsOf), [{ etag: '"1"', date: lastModified, cacheControl: undefined }])
      assert.deepStrictEqual(response, {
        _tag: "NotModified",
        headers: { "cache-control": "max-age=60" },
        url: new URL(start),
      })
    }),
  )

  it.effect("sends what there is of an entity tag and a date", () =>
    Effect.gen(function* () {
      for (const { url: _, ...only } of [
        { url: start, etag: '"1"' },
        { url: start, lastModified },
      ]) {
        const { asked, client } = scriptedClient(conditional())
        const response = yield* fetchJwks(client, options({ validators: { url: start, ...only } }))
        assert.strictEqual(response._tag, "NotModified")
        assert.lengthOf(Object.keys(asked[0]?.headers ?? {}), 2)
      }
    }),
  )

  it.effect("sends Cache-Control: no-cache where it is wanted, and only there", () =>
    Effect.gen(function* () {
      for (const noCache of [true, false]) {
        const { asked, client } = scriptedClient(({ url }) =>
          url === start ? redirect(302, "/moved") : new Response("{}"),
        )
        yield* fetchJwks(client, options({ noCache }))
        const expected = noCache ? "no-cache" : undefined
        assert.deepStrictEqual(
          asked.map(({ headers }) => headers["cache-control"]),
          [expected, expected],
        )
      }
    }),
  )

  it.effect("holds redirects and bodies to the provider's limits", () =>
    Effect.gen(function* () {
      const moved = scriptedClient(() => redirect(302, "/moved"))
      const settings = { maxRedirects: 0, maxResponseBytes: 2, pinnedSpki: [] }
      const { reason } = yield* Effect.flip(fetchJwks(moved.client, options({ settings })))
      assert.strictEqual(reason._tag, "RedirectRefused")
      const large = scriptedClient(() => new Response("{} "))
      const failure = yield* Effect.flip(fetchJwks(large.client, options({ settings })))
      assert.strictEqual(failure.reason._tag, "BodyTooLarge")
    }),
  )

  describe("validators belong to the final URL", () => {
    const moved = "https://keys.example.com/jwks"

    it.effect("and go there alone, past a redirect", () =>
      Effect.gen(function* () {
        const { asked, client } = scriptedClient((question) =>
          question.url === start ? redirect(302, moved) : conditional()(question),
        )
        const first = yield* fetchJwks(client, options())
        assert.strictEqual(first._tag === "Fetched" && first.validators?.url, moved)
        const response = yield* fetchJwks(client, options({ validators: { url: moved, etag: '"2"' } }))
        assert.strictEqual(response._tag, "NotModified")
        assert.strictEqual(response.url.href, moved)
        assert.deepStrictEqual(asked.slice(2).map(conditionsOf), [unconditional, { ...unconditional, etag: '"2"' }])
      }),
    )

    it.effect("and not to another one", () =>
      Effect.gen(function* () {
        for (const url of [moved, `${start}?tenant=2`, `${start}/`, ""]) {
          const { asked, client } = scriptedClient(conditional())
          const response = yield* fetchJwks(client, options({ validators: { ...validators, url } }))
          assert.strictEqual(response._tag, "Fetched")
          assert.deepStrictEqual(asked.map(conditionsOf), [unconditional])
        }
      }),
    )

    it.effect("and a 304 of another URL is not believed", () =>
      Effect.gen(function* () {
        const { asked, client } = scriptedClient(({ headers, url }) =>
          url === start && "if-none-match" in headers
            ? redirect(302, moved)
            : url === moved
              ? notModified()
              : new Response("{}"),
        )
        const response = yield* fetchJwks(client, options({ validators }))
        assert.strictEqual(response._tag, "Fetched")
        assert.deepStrictEqual(
          asked.map(({ url }) => url),
          [start, moved, start],
        )
      }),
    )
  })

  describe("a 304 that confirms nothing", () => {
    it.effect("because nothing was asked leads to one more request past caches", () =>
      Effect.gen(function* () {
        for (const given of [undefined, { url: start }, { url: start, etag: "not\nsendable" }]) {
          const { asked, client } = scriptedClient(() => (asked.length === 1 ? notModified() : new Response("{}")))
          const response = yield* fetchJwks(client, options({ validators: given }))
          assert.strictEqual(response._tag, "Fetched")
          assert.deepStrictEqual(asked.map(conditionsOf), [
            unconditional,
            { ...unconditional, cacheControl: "no-cache" },
          ])
        }
      }),
    )

    it.effect("because its strong entity tag is another leads to one unconditional request", () =>
      Effect.gen(function* () {
        const { asked, client } = scriptedClient(conditional({ etag: '"9"' }))
        const response = yield* fetchJwks(client, options({ validators }))
        assert.isTrue(response._tag === "Fetched" && response.validators?.etag === '"2"')
        assert.deepStrictEqual(asked.map(conditionsOf)[1], { ...unconditional, cacheControl: "no-cache" })
        assert.lengthOf(asked, 2)
      }),
    )

    it.effect("because the stored document had no entity tag at all is asked again too", () =>
      Effect.gen(function* () {
        const { asked, client } = scriptedClient(conditional({ etag: '"9"' }))
        const response = yield* fetchJwks(client, options({ validators: { url: start, lastModified } }))
        assert.strictEqual(response._tag, "Fetched")
        assert.lengthOf(asked, 2)
      }),
    )

    it.effect("and comes again is BodyInvalid, without a third request", () =>
      Effect.gen(function* () {
        for (const given of [undefined, validators]) {
          const { asked, client } = scriptedClient(() => notModified({ etag: '"9"' }))
          const failure = yield* Effect.flip(fetchJwks(client, options({ validators: given })))
          assert.deepStrictEqual(failure, {
            reason: { _tag: "BodyInvalid", url: start, rule: "304 to an unconditional request" },
          })
          assert.lengthOf(asked, 2)
        }
      }),
    )

    it.effect("passes on what the second request fails with", () =>
      Effect.gen(function* () {
        const { asked, client } = scriptedClient(() =>
          asked.length === 1 ? notModified() : new Response("", { status: 503, headers: { "retry-after": "5" } }),
        )
        const failure = yield* Effect.flip(fetchJwks(client, options()))
        assert.deepStrictEqual(failure, {
          reason: { _tag: "HttpStatus", url: start, status: 503 },
          retryAfterMillis: 5_000,
        })
      }),
    )
  })

  describe("entity tags", () => {
    it.effect.each([
      ['"1"', '"1"', true],
      ['W/"1"', 'W/"1"', true],
      ['W/"1"', '"1"', true],
      ['"1"', 'W/"1"', true],
      ['"1"', undefined, true],
      ['"1"', '"2"', false],
      ['W/"1"', '"2"', false],
      ['"1"', 'W/"2"', false],
      ["1", '"1"', false],
    ] as const)("compare weakly: %s", ([ours, theirs, current]) =>
      Effect.gen(function* () {
        const { client } = scriptedClient(conditional(theirs === undefined ? {} : { etag: theirs }))
        const response = yield* fetchJwks(client, options({ validators: { url: start, etag: ours } }))
        assert.strictEqual(response._tag, current ? "NotModified" : "Fetched")
      }),
    )
  })

  it.effect("does not send validators that no header can hold", () =>
    Effect.gen(function* () {
      for (const etag of ['"1"\r\nx: y', "\u0000", '"ключ"', "", "1".repeat(8_193)]) {
        const { asked, client } = scriptedClient(conditional())
        const response = yield* fetchJwks(client, options({ validators: { url: start, etag } }))
        assert.strictEqual(response._tag, "Fetched")
        assert.deepStrictEqual(asked.map(conditionsOf), [unconditional])
      }
    }),
  )
})

describe("validatorsOf", () => {
  const url = new URL(start)

  it.each([
    [{ etag: '"1"' }, { url: start, etag: '"1"' }],
    [{ etag: 'W/"1"' }, { url: start, etag: 'W/"1"' }],
    [{ etag: "unquoted" }, { url: start, etag: "unquoted" }],
    [{ "last-modified": lastModified }, { url: start, lastModified }],
    [
      { etag: '"\u0001"', "last-modified": lastModified },
      { url: start, lastModified },
    ],
    [{ etag: "1".repeat(8_192) }, { url: start, etag: "1".repeat(8_192) }],
  ])("keeps what can be sent back of %j", (headers: Record<string, string>, kept) =>
    assert.deepStrictEqual(validatorsOf(url, headers), kept),
  )

  it.each([
    {},
    { etag: "" },
    { etag: "a\u007f" },
    { etag: "a\nb" },
    { etag: "1".repeat(8_193) },
    { "last-modified": "\t" },
  ])("keeps nothing of %j", (headers: Record<string, string>) => assert.isUndefined(validatorsOf(url, headers)))
})
