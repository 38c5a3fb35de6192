/**
 * Pins and the transport that has to enforce them: what the cache asks for, what it takes as an answer,
 * and what it makes of a refusal. The transport of these tests is scripted; a real one is in
 * `@effect-jwks/node`.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  JwksMetrics,
  JwksRegistry,
  type JwksRegistryOptions,
  type ProviderRegistration,
  TransportDemand,
  TransportGuards,
  TransportRefused,
} from "@effect-jwks/core"
import { ScriptedProvider } from "@effect-jwks/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as TestClock from "effect/testing/TestClock"
import { answerAtOnce, start } from "./support.ts"

const pin = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
const otherPin = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

/** How a transport treats a response that it got for a demand. */
type Attesting = (
  demand: TransportDemand,
  response: HttpClientResponse.HttpClientResponse,
) => HttpClientResponse.HttpClientResponse

const attestDemanded: Attesting = (demand, response) => {
  demand.attest(response, demand.pins)
  return response
}

/** A provider behind a transport that can pin, and a registry on top. */
const setUp = Effect.fnUntraced(function* (
  attesting: Attesting,
  options: JwksRegistryOptions & {
    readonly guards?: boolean
    readonly wrap?: (client: HttpClient.HttpClient) => HttpClient.HttpClient
  } = {},
) {
  yield* TestClock.setTime(start)
  const { guards = true, wrap = (client: HttpClient.HttpClient) => client, ...given } = options
  const idp = yield* ScriptedProvider.make({ issuer: "https://first.test" })
  const upstream = ScriptedProvider.client(idp)
  const demands: Array<TransportDemand> = []
  const transport = HttpClient.make((request, _url, _signal, fiber) => {
    const demand = fiber.getRef(TransportDemand)
    demands.push(demand)
    return Effect.map(upstream.execute(request), (response) => attesting(demand, response))
  })
  const context = yield* JwksRegistry.layer(given).pipe(
    Layer.provide([
      Layer.succeedContext(
        Context.make(HttpClient.HttpClient, wrap(transport)).pipe(Context.add(TransportGuards, { pins: guards })),
      ),
      Persistence.layerMemory,
      JwksMetrics.layerNoop,
    ]),
    Layer.build,
  )
  const registry = Context.get(context, JwksRegistry)
  const register = (more: Partial<ProviderRegistration> = {}) =>
    registry.register({
      tenant: "acme",
      provider: "idp",
      jwksUrl: idp.jwksUrl,
      retryPolicy: { maxRetries: 1, initialBackoff: 0 },
      ...more,
    })
  const reason = Effect.gen(function* () {
    const error = yield* Effect.flip(answerAtOnce(registry.resolve("acme", "idp")))
    return error._tag === "JwksUnavailable" ? error.reason : assert.fail(`got ${error._tag}: ${error.message}`)
  })
  return { idp, demands, registry, register, reason, resolve: answerAtOnce(registry.resolve("acme", "idp")) }
})

const issuesOf = <A, R>(effect: Effect.Effect<A, { readonly _tag: string; readonly issues?: unknown }, R>) =>
  Effect.map(Effect.flip(effect), ({ issues }) => issues)

describe("A pinned registration", () => {
  it.effect("demands its pins with every hop, and takes the response that attests them", () =>
    Effect.gen(function* () {
      const { demands, idp, register, resolve } = yield* setUp(attestDemanded)
      yield* idp.faults.redirect(`${idp.jwksUrl}?moved`, 302, { next: 1 })
      yield* register({ pinnedSpki: [pin, otherPin] })
      assert.strictEqual((yield* resolve).jwks.keys.length, 1)
      assert.deepStrictEqual(
        demands.map(({ pins }) => pins),
        [
          [pin, otherPin],
          [pin, otherPin],
        ],
      )
    }),
  )

  it.effect("is content with a transport that attests the one pin that matched", () =>
    Effect.gen(function* () {
      const { register, resolve } = yield* setUp((demand, response) => {
        demand.attest(response, [otherPin])
        return response
      })
      yield* register({ pinnedSpki: [pin, otherPin] })
      assert.strictEqual((yield* resolve).jwks.keys.length, 1)
    }),
  )

  const liars: ReadonlyArray<readonly [string, Attesting]> = [
    ["that attests nothing", (_, response) => response],
    [
      "that attests no pin",
      (demand, response) => {
        demand.attest(response, [])
        return response
      },
    ],
    [
      "that attests another pin",
      (demand, response) => {
        demand.attest(response, [pin, otherPin])
        return response
      },
    ],
    [
      "that attests one response and gives another",
      (demand, response) => {
        demand.attest(response, demand.pins)
        return HttpClientResponse.fromWeb(response.request, new Response('{"keys":[]}'))
      },
    ],
  ]
  for (const [which, attesting] of liars) {
    it.effect(`takes no response of a transport ${which}: PinMismatch, without a retry`, () =>
      Effect.gen(function* () {
        const { idp, reason, register } = yield* setUp(attesting)
        yield* register({ pinnedSpki: [pin] })
        assert.deepStrictEqual(yield* reason, { _tag: "PinMismatch", url: idp.jwksUrl })
        assert.strictEqual(idp.requests, 1)
      }),
    )
  }

  it.effect("takes no redirect and no error status that is not attested", () =>
    Effect.gen(function* () {
      const { idp, reason, register } = yield* setUp((_, response) => response)
      yield* idp.faults.redirect(`${idp.jwksUrl}?moved`)
      yield* register({ pinnedSpki: [pin] })
      assert.strictEqual((yield* reason)._tag, "PinMismatch")
      assert.strictEqual(idp.requests, 1)
    }),
  )

  it.effect("passes through a client that is wrapped and hands on the response itself", () =>
    Effect.gen(function* () {
      const { register, resolve } = yield* setUp(attestDemanded, {
        wrap: HttpClient.mapRequest(HttpClientRequest.setHeader("x-tag", "1")),
      })
      yield* register({ pinnedSpki: [pin] })
      assert.strictEqual((yield* resolve).jwks.keys.length, 1)
    }),
  )

  it.effect("fails through a client that makes the response anew", () =>
    Effect.gen(function* () {
      const { reason, register } = yield* setUp(attestDemanded, {
        wrap: HttpClient.transformResponse(
          Effect.map((response) => HttpClientResponse.fromWeb(response.request, new Response('{"keys":[]}'))),
        ),
      })
      yield* register({ pinnedSpki: [pin] })
      assert.strictEqual((yield* reason)._tag, "PinMismatch")
    }),
  )

  it.effect("is refused over a transport that can not pin, also by defaults and limits", () =>
    Effect.gen(function* () {
      const { register } = yield* setUp(attestDemanded, { guards: false })
      const rule =
        "the HTTP client can not enforce pins: leave it out, or use a transport that can, such as NodeJwksHttp"
      assert.deepStrictEqual(yield* issuesOf(register({ pinnedSpki: [pin] })), [{ field: "pinnedSpki", rule }])
      for (const options of [{ defaults: { pinnedSpki: [pin] } }, { limits: { pinnedSpki: [pin] } }]) {
        assert.deepStrictEqual(yield* issuesOf(setUp(attestDemanded, { guards: false, ...options })), [
          { field: "defaults.pinnedSpki", rule },
        ])
      }
    }),
  )

  it.effect("needs https: over http there is no key to pin", () =>
    Effect.gen(function* () {
      const { register } = yield* setUp(attestDemanded, { requireHttps: false })
      const issues = yield* issuesOf(
        register({ jwksUrl: "http://first.test/jwks", requireHttps: false, pinnedSpki: [pin] }),
      )
      assert.deepStrictEqual(issues, [{ field: "pinnedSpki", rule: "needs https in jwksUrl" }])
    }),
  )
})

describe("Limits on pins", () => {
  it.effect("give a registration that names none the pins of the limits", () =>
    Effect.gen(function* () {
      const { demands, register, resolve } = yield* setUp(attestDemanded, { limits: { pinnedSpki: [pin] } })
      yield* register()
      yield* resolve
      assert.deepStrictEqual(demands[0]?.pins, [pin])
    }),
  )

  it.effect("let a registration choose among them, and neither leave them nor name others", () =>
    Effect.gen(function* () {
      const { register } = yield* setUp(attestDemanded, { limits: { pinnedSpki: [pin, otherPin] } })
      yield* register({ pinnedSpki: [otherPin] })
      assert.deepStrictEqual(yield* issuesOf(register({ pinnedSpki: [] })), [
        { field: "pinnedSpki", rule: "must name a pin, by the registry's limits" },
      ])
      const third = pin.replace("AAAA", "BBBB")
      assert.deepStrictEqual(yield* issuesOf(register({ pinnedSpki: [third] })), [
        { field: "pinnedSpki", rule: `must only name ${pin}, ${otherPin}, by the registry's limits` },
      ])
    }),
  )
})

describe("The transport's demand", () => {
  it.effect("has no pins without pinnedSpki, and the operator's exemptions from the address rules", () =>
    Effect.gen(function* () {
      const { demands, register, resolve } = yield* setUp((_, response) => response, {
        allowPrivateAddresses: ["first.test"],
      })
      yield* register()
      yield* resolve
      assert.deepStrictEqual(demands[0]?.pins, [])
      assert.deepStrictEqual(demands[0]?.allowPrivateAddresses, ["first.test"])
    }),
  )
})

describe("A transport that refuses", () => {
  const refusals = [
    { _tag: "PinMismatch", url: "https://first.test/jwks" },
    { _tag: "AddressRefused", host: "first.test", rule: "it resolves to a loopback address (127.0.0.0/8)" },
  ] as const
  for (const refusal of refusals) {
    it.effect(`with ${refusal._tag} is the reason of the failure, and is not asked again`, () =>
      Effect.gen(function* () {
        let asked = 0
        const { reason, register } = yield* setUp(attestDemanded, {
          wrap: () =>
            HttpClient.make((request) => {
              asked += 1
              const cause = new Error("fetch failed", { cause: new TransportRefused({ reason: refusal }) })
              return Effect.fail(
                new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) }),
              )
            }),
        })
        yield* register()
        assert.deepStrictEqual(yield* reason, refusal)
        assert.strictEqual(asked, 1)
      }),
    )
  }
})

describe("User-Agent", () => {
  it.effect("is effect-jwks unless the options say otherwise", () =>
    Effect.gen(function* () {
      const plain = yield* setUp(attestDemanded)
      yield* plain.register()
      yield* plain.resolve
      assert.strictEqual(plain.idp.log.at(-1)?.headers["user-agent"], "effect-jwks")
      const named = yield* setUp(attestDemanded, { userAgent: "shop/1.0 (+https://shop.test)" })
      yield* named.register()
      yield* named.resolve
      assert.strictEqual(named.idp.log.at(-1)?.headers["user-agent"], "shop/1.0 (+https://shop.test)")
    }),
  )

  for (const userAgent of ["", " shop", "shop\r\nx: y", "ü", "a".repeat(257)]) {
    it.effect(`is refused as ${JSON.stringify(userAgent.slice(0, 16))}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* issuesOf(setUp(attestDemanded, { userAgent })), [
          { field: "userAgent", rule: 'must be 1 to 256 printable ASCII characters, such as "shop/1.0"' },
        ])
      }),
    )
  }
})

describe("A content coding", () => {
  for (const [coding, rule] of [
    ["gzip, gzip", "it has more than one content coding"],
    ["compress", "its content coding is not known"],
  ] as const) {
    it.effect(`"${coding}" is BodyInvalid`, () =>
      Effect.gen(function* () {
        const { idp, reason, register } = yield* setUp(attestDemanded)
        yield* idp.respondWith({ extra: { "content-encoding": coding } })
        yield* register()
        assert.deepStrictEqual(yield* reason, { _tag: "BodyInvalid", url: idp.jwksUrl, rule })
      }),
    )
  }

  for (const coding of ["gzip", "X-GZIP", "br", "zstd", "identity", ""]) {
    it.effect(`"${coding}" is one that the client has undone`, () =>
      Effect.gen(function* () {
        const { idp, register, resolve } = yield* setUp(attestDemanded)
        yield* idp.respondWith({ extra: { "content-encoding": coding } })
        yield* register()
        assert.strictEqual((yield* resolve).jwks.keys.length, 1)
      }),
    )
  }
})
