/**
 * The web examples under load, each a process of its own, while the providers of its tenants rotate and fail: whoever has a
 * valid token is let in, whoever has not is told why, and 503 is said only where a provider could not be asked.
 */
import { FakeProvider, type ListeningProvider } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { base64url, SignJWT } from "jose"
import { describe, it, type TestContext } from "vitest"
import { startExample } from "./support/RunningExample.ts"
import { type Answer, fire, type Kind, type RouteOf, type VolleySize } from "./support/WebTraffic.ts"

const run = <A>(effect: Effect.Effect<A>): Promise<A> => Effect.runPromise(effect)

// Of the test's own context: three of them run at once.
type Finished = TestContext["onTestFinished"]

const startProvider = async (onTestFinished: Finished): Promise<ListeningProvider> => {
  const scope = Scope.makeUnsafe()
  onTestFinished(() => run(Scope.close(scope, Exit.void)))
  return run(Scope.provide(FakeProvider.make({ keys: { spareKeys: 8 } }), scope))
}

const byPath: RouteOf = (tenant) => ({ path: `/${tenant}/me`, host: "127.0.0.1" })
const byHost: RouteOf = (tenant) => ({ path: "/me", host: `${tenant}.localhost` })

const claimsOf = (tenant: string) => ({ sub: `ada@${tenant}`, aud: "orders" })

/** A token of the tenant's own provider, by the key that signs now. */
const validOf = (tenant: string, idp: ListeningProvider) => run(idp.token(claimsOf(tenant)))

/** A valid token with one character of its signature changed. */
const tampered = (token: string): string => {
  const at = token.lastIndexOf(".") + 10
  return `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`
}

const bearer = (tenant: string, name: string, token: string, expected: Kind["expected"]): Kind => ({
  name,
  tenant,
  authorization: `Bearer ${token}`,
  expected,
})

let madeUp = 0
/** A token with a kid that nobody has asked about yet. */
const unknownKid = async (idp: ListeningProvider, expected: Answer): Promise<Kind> => {
  madeUp += 1
  const token = await run(idp.token(claimsOf("acme"), { header: { kid: `made-up-${madeUp}` } }))
  return bearer("acme", "unknown kid", token, expected)
}

/** What is wrong whatever the providers do. */
const garbage = async (idp: ListeningProvider, stranger: ListeningProvider): Promise<ReadonlyArray<Kind>> => {
  const claims = claimsOf("acme")
  const valid = await validOf("acme", idp)
  const { kid, publicJwk } = idp.keys.current
  const unsecured = [
    { alg: "none", kid },
    { iss: idp.issuer, ...claims },
  ]
    .map((part) => base64url.encode(JSON.stringify(part)))
    .join(".")
  const asHmac = await new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", kid })
    .setIssuer(idp.issuer)
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(JSON.stringify(publicJwk)))
  const seconds = Math.floor(Date.now() / 1_000)
  const tokens: ReadonlyArray<readonly [string, string]> = [
    ["text", "garbage"],
    ["expired", await run(idp.token({ ...claims, exp: seconds - 60 }))],
    ["not yet valid", await run(idp.token({ ...claims, nbf: seconds + 3_600 }))],
    ["tampered", tampered(valid)],
    ["of another audience", await run(idp.token({ ...claims, aud: "billing" }))],
    ["without subject", await run(idp.token({ aud: "orders" }))],
    ["unsecured", `${unsecured}.`],
    ["HMAC by the public key", asHmac],
    ["of a stranger", await run(stranger.token(claims))],
    [
      "of a stranger who says he is not",
      await run(stranger.token({ ...claims, iss: idp.issuer }, { header: { kid } })),
    ],
  ]
  return [
    { name: "no header", tenant: "acme", expected: "challenge" },
    { name: "another scheme", tenant: "acme", authorization: "Basic YWRhOmxvdmVsYWNl", expected: "challenge" },
    bearer("acme", "empty", "", "malformed"),
    bearer("acme", "two", `${valid} ${valid}`, "malformed"),
    ...tokens.map(([name, token]) => bearer("acme", name, token, "invalid")),
    bearer("nobody", "of nobody's tenant", valid, "invalid"),
  ]
}

describe("A protected route", () => {
  it.concurrent.for([
    ["Fastify", "50_fastify", byPath],
    ["Express", "51_express", byPath],
    ["Hono", "52_hono", byHost],
  ] as const)(
    "of %s answers 200, 400, 401 and 503 as it should, while its providers rotate, fail, hang, refuse and come back",
    { timeout: 60_000 },
    async ([, folder, routeOf], { expect, onTestFinished }) => {
      const [acme, globex] = [await startProvider(onTestFinished), await startProvider(onTestFinished)]
      await run(globex.faults.refuse())
      const TENANTS = JSON.stringify({ acme: acme.issuer, globex: globex.issuer })
      const example = startExample(folder, { TENANTS, LOCAL: "1", PORT: "0" })
      onTestFinished(example.stop)
      const [, url = ""] = await example.written(/listening on (http:\S+)/)

      let responses = 0
      const volley = async (kinds: ReadonlyArray<Kind>, size?: VolleySize) => {
        const { responses: got, tally, wrong } = await fire(url, routeOf, kinds, size)
        responses += got
        expect(wrong, JSON.stringify(tally)).toEqual([])
      }
      /** A provider is back: its next request is under way, whoever sends it, and is answered while others come. */
      const comeBack = async (idp: ListeningProvider, kinds: ReadonlyArray<Kind>) => {
        await run(idp.faults.heal)
        await run(idp.faults.holdNext())
        await run(idp.faults.awaitHeld(1))
        const answered = volley(kinds)
        await run(idp.faults.release())
        await answered
      }

      // Nothing of globex's was ever loaded; acme is no worse for it.
      const rubbish = await garbage(acme, globex)
      const ofAcme = bearer("acme", "valid", await validOf("acme", acme), "ok")
      const ofGlobex = await validOf("globex", globex)
      await volley([
        ofAcme,
        ...rubbish,
        await unknownKid(acme, "invalid"),
        bearer("globex", "valid of globex", ofGlobex, "outage"),
        { name: "no header for globex", tenant: "globex", expected: "challenge" },
        bearer("globex", "text for globex", "garbage", "invalid"),
      ])
      await comeBack(globex, [ofAcme, bearer("globex", "valid of globex", ofGlobex, "ok")])

      // Rotations: old and new tokens side by side, and from the first request on.
      for (const round of [1, 2]) {
        await run(acme.keys.rotate())
        const fresh = bearer("acme", `valid of key ${round}`, await validOf("acme", acme), "ok")
        await volley([fresh, ofAcme, ...rubbish, await unknownKid(acme, "invalid")])
      }

      // Whatever happens to the provider: what is held is served, and what is wrong is wrong.
      const troubles = [() => acme.faults.status(500), () => acme.faults.hang(), () => acme.faults.refuse()]
      for (const trouble of troubles) {
        const met = acme.faults.met
        await run(trouble())
        await run(acme.keys.rotate())
        const fresh = await validOf("acme", acme)
        const ofNewKey = (expected: Answer) => bearer("acme", "valid of a new key", fresh, expected)
        await volley([ofNewKey("outage"), ofAcme, ...rubbish, await unknownKid(acme, "outage")])
        expect(acme.faults.met).toBeGreaterThan(met)
        await comeBack(acme, [ofNewKey("ok"), ofAcme, ...rubbish, await unknownKid(acme, "invalid")])
      }

      // A key that leaves takes its tokens with it, once the new one is seen.
      await run(acme.keys.rotate({ keepOld: false }))
      const last = bearer("acme", "valid of the last key", await validOf("acme", acme), "ok")
      await volley([last], { connections: 1, rounds: 1 })
      await volley([last, { ...ofAcme, expected: "invalid" }, ...rubbish])

      expect(responses).toBeGreaterThan(20_000)
      expect(acme.requests).toBeLessThan(60)
      expect(globex.requests).toBeLessThan(30)
      await example.stop()
      expect(example.exitCode()).toBe(0)
    },
  )
})
