/**
 * Steps of every day: providers start, tenants register, tokens verify, sets are revalidated, keys rotate.
 */
import { JwksRegistry } from "@effect-jwks/core"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Schema from "effect/Schema"
import { base64url, decodeJwt } from "jose"
import { advance, check, counting } from "./checks.ts"
import { issueTokens, verify, verifyLatest } from "./tokens.ts"
import type { Step } from "./world.ts"

export const start: Step = {
  sabotage: "provider B is down",
  run: Effect.fnUntraced(function* (world) {
    if (world.broken === "start") yield* world.b.goDown
    for (const { issuer, jwksUrl } of [world.a, world.b]) {
      const metadata = yield* HttpClient.get(`${issuer}/.well-known/openid-configuration`).pipe(
        Effect.flatMap(HttpClientResponse.schemaBodyJson(Schema.Struct({ jwks_uri: Schema.String }))),
      )
      yield* check(metadata.jwks_uri === jwksUrl, `${issuer} names ${metadata.jwks_uri} as its jwks_uri`)
    }
    yield* issueTokens(world, world.logins)
    return "two OpenID providers, A and B; 4 access tokens"
  }),
}

export const register: Step = {
  sabotage: "the registrations do not allow http",
  run: Effect.fnUntraced(function* (world) {
    for (const { idp, tenant } of world.logins) {
      yield* JwksRegistry.register({
        tenant,
        provider: idp.id,
        issuer: idp.issuer,
        jwksUrl: idp.jwksUrl,
        requireHttps: world.broken === "register",
        // Everything else is the default, but where another step is to be sabotaged.
        ...(world.broken === "outage" && { staleWhileError: 0 }),
        ...(world.broken === "flood" && { kidRefresh: { burst: 1_000 } }),
      })
    }
    const results = yield* JwksRegistry.warmUp({ timeout: "5 seconds" })
    const cold = results.find(({ outcome }) => outcome !== "usable")
    yield* check(cold === undefined, `${cold?.tenant} has no keys of ${cold?.provider}: ${cold?.reason}`)
    return "acme at A, globex at B, initech at both: fetched ahead"
  }),
}

export const resolve: Step = {
  sabotage: "the tokens are forged",
  run: Effect.fnUntraced(function* (world) {
    for (const [login, token] of world.broken === "resolve" ? world.tokens : []) {
      const [header, , signature] = token.split(".")
      const claims = base64url.encode(JSON.stringify({ ...decodeJwt(token), scope: "admin" }))
      world.tokens.set(login, `${header}.${claims}.${signature}`)
    }
    yield* verifyLatest(world)
    const { counts } = yield* counting(world, verifyLatest(world))
    yield* check(counts.hits === 4 && counts.misses === 0, `the second time, ${counts.hits} of 4 were hits`)
    yield* check(counts.requests === 0, `the second time, ${counts.requests} requests went upstream`)
    return "the tokens of all tenants verify, twice, from memory"
  }),
}

export const revalidate: Step = {
  sabotage: "the providers ignore If-None-Match",
  run: Effect.fnUntraced(function* (world) {
    for (const { sabotage } of [world.a, world.b]) sabotage.ignoresConditions = world.broken === "revalidate"
    const { counts } = yield* counting(world, advance(world, "55 seconds"))
    yield* check(counts.requests === 4, `${counts.requests} requests went upstream, not one for each of 4 sets`)
    yield* check(counts.notModified === 4, `${counts.notModified} of ${counts.requests} were answered with 304`)
    yield* verifyLatest(world)
    return "near the end of max-age=60: refreshed in the background"
  }),
}

export const rotate: Step = {
  sabotage: "provider A signs with a key that it does not publish",
  run: Effect.fnUntraced(function* (world) {
    const atA = world.logins.filter(({ idp }) => idp === world.a)
    const before = new Map(world.tokens)
    world.a.sabotage.hidesNewKeys = world.broken === "rotate"
    yield* world.a.rotate
    yield* issueTokens(world, atA)
    const { counts, result } = yield* counting(world, verifyLatest(world, atA))
    yield* check(
      result.every(({ header }) => header.kid === world.a.kid),
      `verified with ${result[0]?.header.kid}, not with the new key`,
    )
    yield* check(counts.requests === 2, `${counts.requests} requests went upstream, not one for each of 2 sets`)
    for (const login of atA) yield* verify(world, login.tenant, before.get(login) ?? "")
    return "A signs with a new key: its very next tokens verify"
  }),
}
