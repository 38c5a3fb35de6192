/**
 * The bridge against a provider on a socket: rotations, aborts and the end, with real connections.
 */
import { isOutage, JwksBridge, type VerifyError } from "@effect-jwks/jwt"
import { FakeProvider, type ListeningProvider, TestRegistry } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import { jwtVerify } from "jose"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"
import { text } from "node:stream/consumers"
import { describe, expect, it, onTestFinished } from "vitest"

const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(effect)

const startProvider = async (): Promise<ListeningProvider> => {
  const scope = Scope.makeUnsafe()
  onTestFinished(() => run(Scope.close(scope, Exit.void)))
  return run(Scope.provide(FakeProvider.make(), scope))
}

const setUp = async () => {
  const idp = await startProvider()
  const quiet = Layer.succeed(References.MinimumLogLevel, "None")
  // One attempt for each flight, so that a request is a flight.
  const defaults = { retryPolicy: { maxRetries: 0 }, kidRefresh: { burst: 1_000 } }
  const jwks = JwksBridge.open(TestRegistry.layer({ defaults }).pipe(Layer.provide(quiet)))
  onTestFinished(() => jwks.close())
  await jwks.register({ tenant: "acme", provider: "idp", issuer: idp.issuer, jwksUrl: idp.jwksUrl })
  return { idp, jwks }
}

const rejectionOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.unreachable("it was fulfilled"),
    (reason: unknown) => reason,
  )

describe("Against a provider on a socket", () => {
  it("the first token of every new key is accepted, whoever asks, and costs one request", async () => {
    const { idp, jwks } = await setUp()
    await jwks.verify("acme", await run(idp.token()))
    for (const round of [1, 2, 3]) {
      await run(idp.keys.rotate({ keepOld: false }))
      const token = await run(idp.token({ sub: `user-${round}` }))
      const subjects = await Promise.all([
        ...Array.from({ length: 50 }, async () => (await jwks.verify("acme", token)).claims.sub),
        ...Array.from({ length: 50 }, async () => (await jwtVerify(token, jwks.keyFor("acme"))).payload.sub),
      ])
      expect(new Set(subjects)).toEqual(new Set([`user-${round}`]))
      expect(idp.requests).toBe(1 + round)
    }
  })

  it("whoever aborts leaves alone: the request goes on for the others", async () => {
    const { idp, jwks } = await setUp()
    await jwks.warmUp({ timeout: "10 seconds" })
    await run(idp.keys.rotate())
    await run(idp.faults.holdNext())
    const token = await run(idp.token({ sub: "ada" }))
    const controller = new AbortController()
    const leaves = rejectionOf(jwks.verify("acme", token, { signal: controller.signal }))
    const stays = jwks.verify("acme", token)
    await run(idp.faults.awaitHeld(1))
    controller.abort("gone")
    expect(await leaves).toBe("gone")
    await run(idp.faults.release())
    expect((await stays).claims.sub).toBe("ada")
    expect([idp.requests, idp.abandoned]).toEqual([2, 0])
  })

  it("errors tell a provider that is down from a token that is wrong", async () => {
    const { idp, jwks } = await setUp()
    await jwks.verify("acme", await run(idp.token()))
    const unknown = (kid: string) => run(idp.token({}, { header: { kid } }))
    const outage = async (token: string) => isOutage((await rejectionOf(jwks.verify("acme", token))) as VerifyError)
    expect(await outage(await unknown("a"))).toBe(false)
    await run(idp.faults.refuse())
    expect(await outage(await unknown("b"))).toBe(true)
    expect((await jwks.verify("acme", await run(idp.token()))).provider).toBe("idp")
  })

  it("closing ends the request under way, and tells those who wait for it", async () => {
    const { idp, jwks } = await setUp()
    await run(idp.faults.hang())
    const waiting = rejectionOf(jwks.getKey("acme", "x"))
    await run(idp.faults.awaitMet(1))
    await jwks.close()
    expect(await waiting).toMatchObject({ _tag: "JwksUnavailable", reason: { _tag: "RegistryClosed" } })
    await run(idp.awaitAbandoned(1))
  })

  it("leaves a process that closes it nothing to wait for", async () => {
    const idp = await startProvider()
    const token = await run(idp.token({ sub: "ada" }))
    const program = path.join(import.meta.dirname, "bridge.program.ts")
    const env = { ...process.env, ISSUER: idp.issuer, JWKS_URL: idp.jwksUrl, TOKEN: token }
    const child = spawn(process.execPath, [program], { env, stdio: ["ignore", "pipe", "pipe"] })
    const [written, complaints, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "exit") as Promise<[number]>,
    ])
    expect({ code, complaints, last: written.trim().split("\n").at(-1) }).toEqual({
      code: 0,
      complaints: "",
      last: "ada",
    })
  })
})
