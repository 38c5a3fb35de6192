/**
 * The registry behind promises: what is there at once, whose abort ends what, and how it all ends.
 */
import { type InvalidRegistration, JwksRegistry, JwksUnavailable } from "@effect-jwks/core"
import { isOutage, JwksBridge, JwtInvalid, type KeyFunctionOptions, type VerifyError } from "@effect-jwks/jwt"
import {
  type IdentityProvider,
  ScriptedProvider,
  type ScriptedProviderOptions,
  TestRegistry,
} from "@effect-jwks/testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { compactVerify, CompactSign, decodeProtectedHeader, importJWK, jwtVerify } from "jose"
import { getEventListeners } from "node:events"
import { setImmediate as turnOfTheLoop } from "node:timers/promises"
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest"

const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(effect)

const startProvider = async (options?: ScriptedProviderOptions): Promise<IdentityProvider> => {
  const scope = Scope.makeUnsafe()
  onTestFinished(() => run(Scope.close(scope, Exit.void)))
  return run(Scope.provide(ScriptedProvider.make(options), scope))
}

const registryOver = (...providers: readonly [IdentityProvider, ...ReadonlyArray<IdentityProvider>]) =>
  TestRegistry.layerNoClient().pipe(
    Layer.provide(ScriptedProvider.layerClient(...providers)),
    Layer.provide(Layer.succeed(References.MinimumLogLevel, "None")),
  )

/** A provider that nobody has asked yet, and a bridge that knows it. */
const setUp = async () => {
  const idp = await startProvider()
  const jwks = JwksBridge.open(registryOver(idp))
  onTestFinished(() => jwks.close())
  await jwks.register({ tenant: "acme", provider: "idp", issuer: idp.issuer, jwksUrl: idp.jwksUrl, warm: false })
  return { idp, jwks }
}

const rejectionOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.unreachable("it was fulfilled"),
    (reason: unknown) => reason,
  )

const thrownBy = (f: () => unknown): unknown => {
  try {
    f()
  } catch (thrown) {
    return thrown
  }
  return expect.unreachable("nothing was thrown")
}

/** What jose hands to a key function. */
const jws = (token: string) => {
  const [header = "", payload = "", signature = ""] = token.split(".")
  return { protected: header, payload, signature }
}

const keyOf = (jwks: JwksBridge, token: string, options?: KeyFunctionOptions, tenant = "acme") =>
  jwks.keyFor(tenant, options)({ alg: "ES256", ...decodeProtectedHeader(token) }, jws(token))

const unhandled: Array<unknown> = []
const remember = (reason: unknown) => unhandled.push(reason)
const warnings: Array<unknown> = []
const rememberWarning = (warning: unknown) => warnings.push(warning)
beforeEach(() => {
  process.on("unhandledRejection", remember)
  process.on("warning", rememberWarning)
})
afterEach(async () => {
  await turnOfTheLoop()
  process.off("unhandledRejection", remember)
  process.off("warning", rememberWarning)
  expect(unhandled.splice(0)).toEqual([])
  expect(warnings.splice(0)).toEqual([])
})

describe("getKey", () => {
  it("fetches once, and then has the answer before the call returns", async () => {
    const { idp, jwks } = await setUp()
    const { kid } = idp.keys.current
    const first = await jwks.getKey("acme", kid)
    // Whoever is settled already wins, the first of them.
    const second = jwks.getKey("acme", kid, { provider: "idp", alg: "ES256" })
    expect(await Promise.race([second, Promise.resolve("later")])).toBe(first)
    expect(first.thumbprint).toBe(idp.keys.current.thumbprint)
    expect(idp.requests).toBe(1)
  })

  it("shares one request among those who come together", async () => {
    const { idp, jwks } = await setUp()
    const keys = await Promise.all(Array.from({ length: 100 }, () => jwks.getKey("acme", idp.keys.current.kid)))
    expect(new Set(keys).size).toBe(1)
    expect(idp.requests).toBe(1)
  })

  it("is rejected with the registry's errors, which say what is an outage", async () => {
    const { idp, jwks } = await setUp()
    const failure = async (promise: Promise<unknown>) => {
      const error = await rejectionOf(promise)
      expect(error).toBeInstanceOf(Error)
      const { _tag } = error as VerifyError
      return [_tag, isOutage(error as VerifyError)]
    }
    expect(await failure(jwks.getKey("globex", "x"))).toEqual(["NotRegistered", false])
    expect(await failure(jwks.getKey("acme", "x", { provider: "other" }))).toEqual(["NotRegistered", false])
    await run(idp.faults.status(404, { next: 1 }))
    expect(await failure(jwks.getKey("acme", "x"))).toEqual(["JwksUnavailable", true])
    await jwks.refresh("acme", "idp")
    expect(await failure(jwks.getKey("acme", "x"))).toEqual(["KeyNotFound", false])
    await run(idp.faults.status(404))
    expect(await failure(jwks.getKey("acme", "y"))).toEqual(["KeyNotFound", true])
  })

  it("survives callers without types", async () => {
    const { jwks } = await setUp()
    const untyped = jwks as unknown as { getKey: (...args: ReadonlyArray<unknown>) => Promise<unknown> }
    for (const args of [[], [undefined, 5], ["acme", 5], ["acme", {}], ["acme", "x", { provider: 5, alg: 5 }]]) {
      expect(await rejectionOf(untyped.getKey(...args))).toMatchObject({
        _tag: expect.stringMatching(/^(NotRegistered|KeyNotFound)$/),
      })
    }
  })
})

describe("An AbortSignal", () => {
  it.each([
    ["an error", new TypeError("enough")],
    ["no error", "enough"],
    ["an object", { code: 7 }],
  ])("rejects its caller alone, with its reason as it is: %s", async (_, reason) => {
    const { idp, jwks } = await setUp()
    await run(idp.faults.hold)
    const controller = new AbortController()
    const token = await run(idp.token())
    const { signal } = controller
    const left = [
      jwks.getKey("acme", idp.keys.current.kid, { signal }),
      jwks.verify("acme", token, { signal }),
      Promise.resolve(keyOf(jwks, token, { signal })),
      jwks.getKeys("acme", "idp", { signal }),
      jwks.refresh("acme", "idp", { signal }),
    ].map(rejectionOf)
    const stays = jwks.getKey("acme", idp.keys.current.kid)
    await run(idp.faults.awaitHeld(1))
    expect(getEventListeners(signal, "abort")).toHaveLength(left.length)
    controller.abort(reason)
    for (const aborted of await Promise.all(left)) expect(aborted).toBe(reason)
    await run(idp.faults.release())
    expect((await stays).kid).toBe(idp.keys.current.kid)
    expect(idp.requests).toBe(1)
    expect(getEventListeners(signal, "abort")).toEqual([])
  })

  it("gives the platform's own error where nobody says why", async () => {
    const { idp, jwks } = await setUp()
    await run(idp.faults.hang())
    const controller = new AbortController()
    const left = rejectionOf(jwks.getKey("acme", "x", { signal: controller.signal }))
    controller.abort()
    expect(await left).toBe(controller.signal.reason)
    expect(await left).toMatchObject({ name: "AbortError" })
    const late = rejectionOf(jwks.getKey("acme", "x", { signal: AbortSignal.timeout(1) }))
    expect(await late).toMatchObject({ name: "TimeoutError" })
  })

  it.each([new Error("before"), "before", null])("that is aborted already asks nobody: %j", async (reason) => {
    const { idp, jwks } = await setUp()
    const signal = AbortSignal.abort(reason)
    const token = await run(idp.token())
    expect(await rejectionOf(jwks.getKey("acme", "x", { signal }))).toBe(reason)
    expect(await rejectionOf(jwks.verify("acme", token, { signal }))).toBe(reason)
    expect(thrownBy(() => keyOf(jwks, token, { signal }))).toBe(reason)
    await turnOfTheLoop()
    expect(idp.requests).toBe(0)
    // Also where the answer is held.
    await jwks.getKey("acme", idp.keys.current.kid)
    expect(await rejectionOf(jwks.getKey("acme", idp.keys.current.kid, { signal }))).toBe(reason)
  })

  it("of a whole process has no listener left after a million calls", async () => {
    const { idp, jwks } = await setUp()
    const { signal } = new AbortController()
    const { kid } = idp.keys.current
    await run(idp.faults.hold)
    const misses = Array.from({ length: 1_000 }, () => jwks.getKey("acme", kid, { signal }))
    await run(idp.faults.awaitHeld(1))
    expect(getEventListeners(signal, "abort")).toHaveLength(1_000)
    await run(idp.faults.release())
    await Promise.all(misses)
    expect(getEventListeners(signal, "abort")).toEqual([])
    for (let n = 0; n < 1_000_000; n += 1) jwks.getKey("acme", kid, { signal }).catch(remember)
    expect(getEventListeners(signal, "abort")).toEqual([])
  })
})

describe("options", () => {
  it("may be an object of a class, which has them as getters", async () => {
    class Options {
      get provider() {
        return "nobody"
      }
    }
    const { idp, jwks } = await setUp()
    const token = await run(idp.token())
    for (const asked of [
      jwks.verify("acme", token, new Options()),
      jwks.getKey("acme", idp.keys.current.kid, new Options()),
    ]) {
      expect(await rejectionOf(asked)).toMatchObject({ _tag: "NotRegistered", provider: "nobody" })
    }
  })
})

describe("events", () => {
  it("are told from the first one asked for until the bridge is closed", async () => {
    const idp = await startProvider()
    const jwks = JwksBridge.open(registryOver(idp))
    const events = jwks.events()[Symbol.asyncIterator]()
    const first = events.next()
    await turnOfTheLoop()
    await jwks.register({ tenant: "acme", provider: "idp", issuer: idp.issuer, jwksUrl: idp.jwksUrl, warm: false })
    expect((await first).value).toMatchObject({ _tag: "ProviderRegistered", tenant: "acme", provider: "idp" })
    const told: Array<string> = []
    const all = (async () => {
      for (let next = await events.next(); next.done !== true; next = await events.next()) told.push(next.value._tag)
    })()
    await jwks.refresh("acme", "idp")
    await turnOfTheLoop()
    expect(told).toContain("RefreshSucceeded")
    await jwks.close()
    await all
  })

  it("are none of a bridge that is closed, before it was opened or after", async () => {
    const { jwks } = await setUp()
    const unopened = JwksBridge.open(registryOver(await startProvider()))
    for (const bridge of [jwks, unopened]) {
      await bridge.close()
      expect((await bridge.events()[Symbol.asyncIterator]().next()).done).toBe(true)
    }
  })

  it("end with a bridge whose runtime goes on, and are none of what happens there afterwards", async () => {
    const idp = await startProvider()
    const runtime = ManagedRuntime.make(registryOver(idp))
    onTestFinished(() => runtime.dispose())
    const jwks = JwksBridge.fromRuntime(runtime)
    const begun = jwks.events()[Symbol.asyncIterator]()
    const waiting = begun.next()
    const unbegun = jwks.events()
    await turnOfTheLoop()
    await jwks.close()
    await runtime.runPromise(
      JwksRegistry.register({ tenant: "acme", provider: "idp", issuer: idp.issuer, jwksUrl: idp.jwksUrl, warm: false }),
    )
    expect((await waiting).done).toBe(true)
    expect((await unbegun[Symbol.asyncIterator]().next()).done).toBe(true)
  })

  it("fail with what the layer fails with, as every call does", async () => {
    const broken = JwksBridge.open(Layer.effect(JwksRegistry, Effect.fail("out of luck")))
    onTestFinished(() => broken.close())
    expect(await rejectionOf(broken.events()[Symbol.asyncIterator]().next())).toStrictEqual(new Error("out of luck"))
  })

  it("end with a loop that is left", async () => {
    const { idp, jwks } = await setUp()
    const events = jwks.events()[Symbol.asyncIterator]()
    const first = events.next()
    await turnOfTheLoop()
    await jwks.getKey("acme", idp.keys.current.kid)
    expect((await first).done).toBe(false)
    await events.return?.()
    expect((await events.next()).done).toBe(true)
  })
})

describe("keyFor", () => {
  it("gives jose the key itself, once it has been used", async () => {
    const { idp, jwks } = await setUp()
    const token = await run(idp.token({ sub: "ada" }))
    const { key, payload } = await jwtVerify(token, jwks.keyFor("acme"), { issuer: idp.issuer })
    expect(payload.sub).toBe("ada")
    expect(keyOf(jwks, token)).toBe(key)
    expect(key).toBeInstanceOf(CryptoKey)
  })

  it("imports a key once for all who come together", async () => {
    const { idp, jwks } = await setUp()
    const token = await run(idp.token())
    const keys = await Promise.all(Array.from({ length: 50 }, async () => keyOf(jwks, token)))
    expect(new Set(keys).size).toBe(1)
    expect(idp.requests).toBe(1)
  })

  it.each(["HS256", "HS512", "none", "NONE", "dir", "RSA-OAEP", "", undefined, 5])(
    "refuses the algorithm %j before anybody is asked",
    async (alg) => {
      const { idp, jwks } = await setUp()
      const token = await run(idp.token())
      const header = { ...decodeProtectedHeader(token), alg: alg as string }
      const refused = thrownBy(() => jwks.keyFor("acme")(header, jws(token)))
      expect(refused).toBeInstanceOf(JwtInvalid)
      expect(refused).toMatchObject({ tenant: "acme", reason: { _tag: "Algorithm" } })
      await turnOfTheLoop()
      expect(idp.requests).toBe(0)
    },
  )

  it("refuses an algorithm that the provider does not use before anybody is asked: no outage, and no look-up", async () => {
    const idp = await startProvider()
    await run(idp.faults.status(503))
    const jwks = JwksBridge.open(registryOver(idp))
    onTestFinished(() => jwks.close())
    const { issuer, jwksUrl } = idp
    await jwks.register({ tenant: "acme", provider: "idp", issuer, jwksUrl, algorithms: ["RS256"], warm: false })
    const token = await run(idp.token())
    for (const options of [{}, { provider: "idp" }, { issuer }]) {
      expect(await rejectionOf(jwtVerify(token, jwks.keyFor("acme", options)))).toMatchObject({
        provider: "idp",
        reason: { _tag: "Algorithm", alg: "ES256" },
      })
    }
    expect(idp.requests).toBe(0)
  })

  it.each([7, null, ["1"]])("refuses a kid that is no text: %j", async (kid) => {
    const { idp, jwks } = await setUp()
    const header = { alg: "ES256", kid: kid as unknown as string }
    const refused = thrownBy(() => jwks.keyFor("acme")(header, jws("a.b.c")))
    expect(refused).toMatchObject({ _tag: "JwtInvalid", reason: { _tag: "Malformed" } })
    expect(idp.requests).toBe(0)
  })

  it("does not let a public key be used as an HMAC secret", async () => {
    const { idp, jwks } = await setUp()
    const secret = new TextEncoder().encode(JSON.stringify(idp.keys.current.publicJwk))
    const forged = await new CompactSign(new TextEncoder().encode(JSON.stringify({ iss: idp.issuer })))
      .setProtectedHeader({ alg: "HS256", kid: idp.keys.current.kid })
      .sign(secret)
    expect(await rejectionOf(jwtVerify(forged, jwks.keyFor("acme")))).toBeInstanceOf(JwtInvalid)
  })

  describe("with several providers", () => {
    const setUpTwo = async () => {
      // The same kid at both, as real providers have it.
      const keys = { keys: [{ kid: "1" }] }
      const [a, b] = [
        await startProvider({ issuer: "https://a.test", keys }),
        await startProvider({ issuer: "https://b.test", keys }),
      ]
      const jwks = JwksBridge.open(registryOver(a, b))
      onTestFinished(() => jwks.close())
      for (const [provider, { issuer, jwksUrl }] of [["a", a] as const, ["b", b] as const]) {
        await jwks.register({ tenant: "acme", provider, issuer, jwksUrl, warm: false })
      }
      return { a, b, jwks }
    }

    it("tries a token against the keys of its own issuer alone", async () => {
      const { a, b, jwks } = await setUpTwo()
      for (const { issuer, token } of [a, b]) {
        const { payload } = await jwtVerify(await run(token()), jwks.keyFor("acme"))
        expect(payload.iss).toBe(issuer)
      }
      // Signed by b, and says that it is a's.
      const forged = await run(b.token({ iss: a.issuer }))
      expect(await rejectionOf(jwtVerify(forged, jwks.keyFor("acme")))).toMatchObject({
        code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED",
      })
    })

    it.each([{ iss: "https://c.test" }, { iss: "" }, { iss: undefined }])(
      "asks nobody for a token of nobody: %j",
      async ({ iss }) => {
        const { a, b, jwks } = await setUpTwo()
        const token = await run(a.keys.sign(iss === undefined ? {} : { iss }))
        expect(await rejectionOf(jwtVerify(token, jwks.keyFor("acme")))).toMatchObject({
          _tag: "JwtInvalid",
          reason: { _tag: "Issuer" },
        })
        expect(a.requests + b.requests).toBe(0)
      },
    )

    it("takes the provider that the caller names, for tokens that are his", async () => {
      const { a, b, jwks } = await setUpTwo()
      const keyForA = jwks.keyFor("acme", { provider: "a" })
      expect((await jwtVerify(await run(a.token({ sub: "ada" })), keyForA)).payload.sub).toBe("ada")
      // Also where his own key made the signature.
      for (const token of [await run(b.token()), await run(a.token({ iss: b.issuer }))]) {
        expect(await rejectionOf(jwtVerify(token, keyForA))).toMatchObject({ reason: { _tag: "Issuer" } })
      }
      expect(b.requests).toBe(0)
      const nobody = jwks.keyFor("acme", { provider: "nobody" })
      expect(await rejectionOf(jwtVerify(await run(a.token()), nobody))).toMatchObject({
        _tag: "NotRegistered",
        provider: "nobody",
      })
    })

    it("takes the issuer that the caller names, for tokens that have another than the provider", async () => {
      const { a, jwks } = await setUpTwo()
      const token = await run(a.token({ iss: "https://a.test/region/7" }))
      const options = { provider: "a", issuer: (iss: string) => iss.startsWith("https://a.test/region/") }
      expect((await jwtVerify(token, jwks.keyFor("acme", options))).payload.iss).toBe("https://a.test/region/7")
      expect(await rejectionOf(jwtVerify(await run(a.token()), jwks.keyFor("acme", options)))).toMatchObject({
        reason: { _tag: "Issuer" },
      })
    })

    it("verifies what is no JWT with the keys of the provider that the caller names", async () => {
      const { a, jwks } = await setUpTwo()
      const signed = await new CompactSign(new TextEncoder().encode("an event"))
        .setProtectedHeader({ alg: "ES256", kid: "1" })
        .sign(await importJWK(a.keys.current.privateJwk, "ES256"))
      const { payload } = await compactVerify(signed, jwks.keyFor("acme", { provider: "a" }))
      expect(new TextDecoder().decode(payload)).toBe("an event")
      expect(await rejectionOf(compactVerify(signed, jwks.keyFor("acme")))).toMatchObject({
        reason: { _tag: "Issuer" },
      })
    })
  })

  it("leaves the issuer to jose where the only provider names none", async () => {
    const idp = await startProvider()
    const jwks = JwksBridge.open(registryOver(idp))
    onTestFinished(() => jwks.close())
    await jwks.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
    const token = await run(idp.token({ iss: "https://any.test" }))
    expect((await jwtVerify(token, jwks.keyFor("acme"), { issuer: "https://any.test" })).payload.iss).toBeDefined()
    expect(await rejectionOf(jwtVerify(token, jwks.keyFor("acme"), { issuer: idp.issuer }))).toMatchObject({
      code: "ERR_JWT_CLAIM_VALIDATION_FAILED",
    })
  })

  it("blames the token where this runtime can not use the key with it", async () => {
    const { idp, jwks } = await setUp()
    // The first public key of RFC 8032 section 7.4; jose knows no Ed448.
    const x = "X9dEm1m0Yf0s54fsYWrUah2hNCSFpw4fig6nXYDpZ3jt8SR2m0bHBhvWeD3x5Q9s0foavq_oJWGA"
    await run(idp.keys.publish([{ kty: "OKP", crv: "Ed448", x, kid: "448", use: "sig" }]))
    const token = await run(idp.token())
    const key = jwks.keyFor("acme")({ alg: "EdDSA", kid: "448" }, jws(token))
    expect(await rejectionOf(Promise.resolve(key))).toMatchObject({
      _tag: "JwtInvalid",
      provider: "idp",
      reason: { _tag: "Algorithm" },
    })
  })
})

describe("verify", () => {
  it("gives the claims that the schema makes of them, by the bridge's options", async () => {
    const idp = await startProvider()
    await using jwks = JwksBridge.open(registryOver(idp), { audience: "orders" })
    await jwks.register({ tenant: "acme", provider: "idp", issuer: idp.issuer, jwksUrl: idp.jwksUrl })
    const token = await run(idp.token({ sub: "ada", aud: "orders", age: "36" }))
    const { claims } = await jwks.verify("acme", token, { claims: Schema.Struct({ age: Schema.NumberFromString }) })
    expect(claims).toEqual({ age: 36 })
    const foreign = await run(idp.token({ sub: "ada", aud: "billing" }))
    expect(await rejectionOf(jwks.verify("acme", foreign))).toMatchObject({ reason: { _tag: "Audience" } })
    expect((await jwks.verify("acme", foreign, { audience: null })).claims.sub).toBe("ada")
  })

  it("finds another key that was published under an old kid", async () => {
    const idp = await startProvider({ keys: { keys: [{ kid: "1" }] } })
    await using jwks = JwksBridge.open(registryOver(idp))
    await jwks.register({ tenant: "acme", provider: "idp", issuer: idp.issuer, jwksUrl: idp.jwksUrl })
    await jwks.verify("acme", await run(idp.token()))
    await run(idp.keys.rotate({ kid: "1", keepOld: false }))
    expect((await jwks.verify("acme", await run(idp.token()))).thumbprint).toBe(idp.keys.current.thumbprint)
  })

  it("tells wrong options from wrong tokens", async () => {
    const { idp, jwks } = await setUp()
    const token = await run(idp.token())
    const wrong = await rejectionOf(jwks.verify("acme", token, { clockTolerance: "1 hour" }))
    expect(wrong).toMatchObject({ _tag: "InvalidRegistration" })
    expect(thrownBy(() => JwksBridge.open(registryOver(idp), { clockTolerance: "1 hour" }))).toMatchObject({
      issues: [{ field: "clockTolerance" }],
    })
  })
})

describe("A layer that fails", () => {
  const broken = (layer: Layer.Layer<JwksRegistry, unknown>) => {
    const jwks = JwksBridge.open(layer)
    onTestFinished(() => jwks.close())
    return [
      () => jwks.getKey("acme", "x"),
      () => jwks.verify("acme", "a.b.c"),
      () => jwks.register({ tenant: "acme", provider: "idp", jwksUrl: "https://idp.test/jwks" }),
      () => jwks.allStatuses(),
    ]
  }

  it("rejects every call with its own error", async () => {
    const layer = TestRegistry.layer({ maxConcurrentFetches: -1 })
    for (const call of broken(layer)) {
      const error = await rejectionOf(call())
      expect(error).toBeInstanceOf(Error)
      expect(error).toMatchObject({
        _tag: "InvalidRegistration",
        message: expect.stringMatching("maxConcurrentFetches"),
      })
    }
  })

  it("makes an error of what is none, and leaves a bug what it is", async () => {
    const bug = new RangeError("bug")
    for (const call of broken(Layer.effectContext(Effect.fail("no disk")))) {
      expect(await rejectionOf(call())).toEqual(new Error("no disk"))
    }
    for (const call of broken(Layer.effectContext(Effect.die(bug)))) expect(await rejectionOf(call())).toBe(bug)
  })
})

describe("Closing", () => {
  const closed = (jwks: JwksBridge) => ({
    getKey: rejectionOf(jwks.getKey("acme", "x")),
    getKeys: rejectionOf(jwks.getKeys("acme", "idp")),
    verify: rejectionOf(jwks.verify("acme", "a.b.c")),
    refresh: rejectionOf(jwks.refresh("acme", "idp")),
    keyFor: thrownBy(() => jwks.keyFor("acme")({ alg: "ES256" }, jws("a.b.c"))),
    register: rejectionOf(jwks.register({ tenant: "a", provider: "b", jwksUrl: "https://idp.test/jwks" })),
    providerStatus: rejectionOf(jwks.providerStatus("acme", "idp")),
    unregister: jwks.unregister("acme", "idp"),
    unregisterTenant: jwks.unregisterTenant("acme"),
    warmUp: jwks.warmUp({ timeout: "1 second" }),
    allStatuses: jwks.allStatuses(),
  })

  const expectClosed = async (jwks: JwksBridge) => {
    const said = closed(jwks)
    for (const asked of ["getKey", "getKeys", "verify", "refresh", "keyFor"] as const) {
      const error = await said[asked]
      expect(error, asked).toBeInstanceOf(JwksUnavailable)
      expect(error).toMatchObject({ tenant: "acme", reason: { _tag: "RegistryClosed" } })
      expect(isOutage(error as VerifyError)).toBe(true)
    }
    expect(((await said.register) as InvalidRegistration).message).toBe("registry: is closed: register with a new one")
    expect(await said.providerStatus).toMatchObject({ _tag: "NotRegistered" })
    expect(await said.unregister).toBe(false)
    expect(await said.unregisterTenant).toBe(0)
    expect(await said.warmUp).toEqual([])
    expect(await said.allStatuses).toEqual([])
  }

  it("tells every caller from then on, however often", async () => {
    const { idp, jwks } = await setUp()
    await jwks.getKey("acme", idp.keys.current.kid)
    const closing = jwks.close()
    await expectClosed(jwks) // while it closes, too
    await Promise.all([closing, jwks.close(), jwks[Symbol.asyncDispose]()])
    await expectClosed(jwks)
  })

  it("before the first call builds nothing", async () => {
    let built = 0
    const jwks = JwksBridge.open(
      Layer.effectContext(
        Effect.suspend(() => {
          built += 1
          return Effect.never
        }),
      ),
    )
    await jwks.close()
    await expectClosed(jwks)
    expect(built).toBe(0)
  })

  it("tells those who wait for a key", async () => {
    const { idp, jwks } = await setUp()
    await run(idp.faults.hang())
    const token = await run(idp.token())
    const waiting = [
      jwks.getKey("acme", "x"),
      jwks.verify("acme", token),
      jwks.getKeys("acme", "idp"),
      jwks.refresh("acme", "idp"),
      Promise.resolve(keyOf(jwks, token)),
    ].map(rejectionOf)
    await run(idp.faults.awaitMet(1))
    await jwks.close()
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ _tag: "JwksUnavailable", reason: { _tag: "RegistryClosed" } })
    }
  })

  it("tells those who wait for the layer", async () => {
    const building = Deferred.makeUnsafe<void>()
    const jwks = JwksBridge.open(
      Layer.effectContext(Effect.andThen(Deferred.succeed(building, undefined), Effect.never)),
    )
    const waiting = [jwks.getKey("acme", "x"), jwks.verify("acme", "a.b.c")].map(rejectionOf)
    await run(Deferred.await(building))
    await jwks.close()
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ _tag: "JwksUnavailable", reason: { _tag: "RegistryClosed" } })
    }
  })

  it("happens at the end of a block, and ends what the layer has opened", async () => {
    const idp = await startProvider()
    let released = 0
    const layer = Layer.merge(
      registryOver(idp),
      Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => (released += 1)))),
    )
    {
      await using jwks = JwksBridge.open(layer)
      await jwks.register({ tenant: "acme", provider: "idp", jwksUrl: idp.jwksUrl })
      await jwks.warmUp({ timeout: "5 seconds" })
      expect(released).toBe(0)
    }
    expect(released).toBe(1)
  })
})

describe("A runtime of the application's", () => {
  const setUpRuntime = async () => {
    const idp = await startProvider()
    const runtime = ManagedRuntime.make(registryOver(idp))
    onTestFinished(() => runtime.dispose())
    const register = JwksRegistry.register({
      tenant: "acme",
      provider: "idp",
      issuer: idp.issuer,
      jwksUrl: idp.jwksUrl,
    })
    await runtime.runPromise(register)
    return { idp, runtime }
  }

  it("serves several bridges, and outlives them", async () => {
    const { idp, runtime } = await setUpRuntime()
    const [one, another] = [JwksBridge.fromRuntime(runtime, { audience: "a" }), JwksBridge.fromRuntime(runtime)]
    const token = await run(idp.token({ aud: "a" }))
    expect((await one.verify("acme", token)).provider).toBe("idp")
    expect(await rejectionOf(another.verify("acme", token))).toMatchObject({ reason: { _tag: "Audience" } })
    await one.close()
    expect(await rejectionOf(one.verify("acme", token))).toMatchObject({ reason: { _tag: "RegistryClosed" } })
    expect((await another.getKey("acme", idp.keys.current.kid)).provider).toBe("idp")
    const resolved = await runtime.runPromise(JwksRegistry.resolveKey("acme", idp.keys.current.kid))
    expect(resolved).toBe(await another.getKey("acme", idp.keys.current.kid))
    expect(idp.requests).toBe(1)
  })

  it("that is disposed of tells those who wait, those who come, and bridges that are made late", async () => {
    const { idp, runtime } = await setUpRuntime()
    const jwks = JwksBridge.fromRuntime(runtime)
    await jwks.getKey("acme", idp.keys.current.kid)
    await run(idp.faults.hang())
    const met = idp.faults.met
    const waiting = rejectionOf(jwks.getKey("acme", "x"))
    await run(idp.faults.awaitMet(met + 1))
    await runtime.dispose()
    const asked = [
      waiting,
      rejectionOf(jwks.getKey("acme", idp.keys.current.kid)),
      rejectionOf(JwksBridge.fromRuntime(runtime).getKey("acme", idp.keys.current.kid)),
      rejectionOf(JwksBridge.fromRuntime(runtime).verify("acme", "a.b.c")),
    ]
    for (const error of await Promise.all(asked)) expect(isOutage(error as VerifyError)).toBe(true)
  })
})
