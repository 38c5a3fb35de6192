/**
 * Tokens of a real OpenID provider, for each of the algorithms that providers sign with: each verifies for its own tenant and for
 * no other, and whoever changes anything about it is told why it is refused.
 */
import { JwksRegistry } from "@effect-jwks/core"
import {
  type JwtInvalidReason,
  JwtVerifier,
  JwtVerifierLive,
  type VerifyError,
  type VerifyOptions,
  type VerifyOptionsWithClaims,
} from "@effect-jwks/jwt"
import { TestRegistry } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { clientId, OpenIdProvider, resource, type Tokens } from "./support/OpenIdProvider.ts"

const algorithms = ["RS256", "PS256", "ES256", "ES384", "EdDSA"] as const
type Algorithm = (typeof algorithms)[number]

/** A provider of its own for each algorithm, and a tenant for each provider; all of them have the same kid. */
interface Tenant {
  readonly idp: OpenIdProvider
  readonly tokens: Tokens
}

const runtime = ManagedRuntime.make(JwtVerifierLive.pipe(Layer.provideMerge(TestRegistry.layer())))
const tenants = new Map<Algorithm, Tenant>()

beforeAll(async () => {
  for (const alg of algorithms) {
    const idp = await OpenIdProvider.start(alg)
    await runtime.runPromise(
      JwksRegistry.register({ tenant: alg, provider: "idp", issuer: idp.issuer, jwksUrl: idp.jwksUrl }),
    )
    tenants.set(alg, { idp, tokens: await idp.signIn() })
  }
})

afterAll(async () => {
  await runtime.dispose()
  for (const { idp } of tenants.values()) await idp[Symbol.asyncDispose]()
})

const tenantOf = (alg: Algorithm): Tenant => {
  const tenant = tenants.get(alg)
  if (tenant === undefined) throw new Error(`no provider signs with ${alg}`)
  return tenant
}

const AccessClaims = Schema.Struct({ sub: Schema.String, client_id: Schema.String, scope: Schema.String })
const accessOptions = { audience: resource, profile: "at+jwt", claims: AccessClaims } as const
const idOptions = { audience: clientId, profile: "id_token" } as const

const refusalOf = (
  tenant: string,
  token: string,
  options: VerifyOptions | VerifyOptionsWithClaims<typeof AccessClaims>,
): Promise<VerifyError> => runtime.runPromise(Effect.flip(JwtVerifier.verify(tenant, token, options)))

const reasonOf = async (tenant: string, token: string): Promise<JwtInvalidReason> => {
  const error = await refusalOf(tenant, token, accessOptions)
  if (error._tag !== "JwtInvalid") throw error
  return error.reason
}

const json = (part: string): Record<string, unknown> => JSON.parse(Buffer.from(part, "base64url").toString())
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")

/** The token with other members in its header or its claims, under the signature that it had. */
const tampered = (
  token: string,
  { claims = {}, header = {} }: { readonly header?: object; readonly claims?: object },
): string => {
  const [first = "", second = "", signature = ""] = token.split(".")
  return `${part({ ...json(first), ...header })}.${part({ ...json(second), ...claims })}.${signature}`
}

describe.each(algorithms)("%s", (alg) => {
  it("signs access tokens of the JWT profile that verify", async () => {
    const { idp, tokens } = tenantOf(alg)
    expect(json(tokens.accessToken.split(".")[0] ?? "")).toMatchObject({ alg, typ: "at+jwt" })
    const verified = await runtime.runPromise(JwtVerifier.verify(alg, tokens.accessToken, accessOptions))
    expect(verified).toMatchObject({ tenant: alg, provider: "idp", issuer: idp.issuer, freshness: "fresh" })
    expect(verified.claims).toEqual({ sub: "ada", client_id: clientId, scope: "read" })
  })

  it("signs ID tokens that verify", async () => {
    const { tokens } = tenantOf(alg)
    expect(json(tokens.idToken.split(".")[0] ?? "")).toMatchObject({ alg })
    const { claims } = await runtime.runPromise(JwtVerifier.verify(alg, tokens.idToken, idOptions))
    expect(claims).toMatchObject({ sub: "ada", aud: clientId })
  })

  it("keeps the two kinds apart, even for an audience of both", async () => {
    const { tokens } = tenantOf(alg)
    const audience = [clientId, resource]
    expect(await refusalOf(alg, tokens.idToken, { audience, profile: "at+jwt" })).toMatchObject({
      reason: { _tag: "Type" },
    })
    expect(await refusalOf(alg, tokens.accessToken, { audience, profile: "id_token" })).toMatchObject({
      reason: { _tag: "Type" },
    })
  })

  it("is refused by every other tenant, for its issuer, and no other provider is asked for a key", async () => {
    const { tokens } = tenantOf(alg)
    const before = Array.from(tenants.values(), ({ idp }) => idp.requests)
    for (const other of algorithms.filter((candidate) => candidate !== alg)) {
      for (const [token, options] of [
        [tokens.accessToken, accessOptions],
        [tokens.idToken, idOptions],
      ] as const) {
        expect(await refusalOf(other, token, options)).toMatchObject({
          _tag: "JwtInvalid",
          reason: { _tag: "Issuer" },
        })
      }
    }
    expect(Array.from(tenants.values(), ({ idp }) => idp.requests)).toEqual(before)
  })

  it("is refused by every other tenant that it claims to be of, for its signature", async () => {
    const { tokens } = tenantOf(alg)
    for (const other of algorithms.filter((candidate) => candidate !== alg)) {
      const claimed = tampered(tokens.accessToken, { claims: { iss: tenantOf(other).idp.issuer } })
      // Where the other's key does not even fit the algorithm, that is said.
      expect((await reasonOf(other, claimed))._tag).toMatch(/^(?:Signature|Algorithm)$/)
    }
  })

  it.each<readonly [string, (token: string) => string, JwtInvalidReason["_tag"] | "KeyNotFound"]>([
    ["a header", (token) => tampered(token, { header: { extra: true } }), "Signature"],
    ["a claim", (token) => tampered(token, { claims: { sub: "eve" } }), "Signature"],
    [
      "a bit of the signature",
      (token) => {
        const at = token.lastIndexOf(".") + 10
        return `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`
      },
      "Signature",
    ],
    ["no signature", (token) => token.slice(0, token.lastIndexOf(".") + 1), "Malformed"],
    ["alg none", (token) => tampered(token, { header: { alg: "none" } }), "Algorithm"],
    ["alg HS256", (token) => tampered(token, { header: { alg: "HS256" } }), "Algorithm"],
    [
      "an alg of another key",
      (token) => tampered(token, { header: { alg: alg === "ES256" ? "ES384" : "ES256" } }),
      "Algorithm",
    ],
    ["a kid that nobody has", (token) => tampered(token, { header: { kid: "made-up" } }), "KeyNotFound"],
    [
      "an iss that nobody vouches for",
      (token) => tampered(token, { claims: { iss: "https://evil.example" } }),
      "Issuer",
    ],
    [
      "an aud of somebody else",
      (token) => tampered(token, { claims: { aud: "https://payments.example" } }),
      "Audience",
    ],
    ["an exp that has passed", (token) => tampered(token, { claims: { exp: 1_700_000_000 } }), "Expired"],
    ["a later exp", (token) => tampered(token, { claims: { exp: 4_000_000_000 } }), "Signature"],
    ["an nbf that is to come", (token) => tampered(token, { claims: { nbf: 4_000_000_000 } }), "NotYetValid"],
    ["another typ", (token) => tampered(token, { header: { typ: "JWT" } }), "Type"],
    ["an unknown crit", (token) => tampered(token, { header: { crit: ["x"], x: 1 } }), "Malformed"],
    ["no jti", (token) => tampered(token, { claims: { jti: undefined } }), "Claims"],
  ])("with %s is refused", async (_, change, expected) => {
    const token = change(tenantOf(alg).tokens.accessToken)
    const error = await refusalOf(alg, token, accessOptions)
    expect(error._tag === "JwtInvalid" ? error.reason._tag : error._tag).toBe(expected)
    if (error._tag === "KeyNotFound") expect(error.confirmed).toBe(true)
    expect(error.message).not.toContain("eve")
  })
})
