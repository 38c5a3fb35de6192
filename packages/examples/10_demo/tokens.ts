/**
 * What applications do: get access tokens, and verify them with the registry's keys.
 */
import { JwksRegistry, type ResolveKeyOptions } from "@effect-jwks/core"
import { JwtVerifier } from "@effect-jwks/jwt"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Schema from "effect/Schema"
import { StepFailed } from "./checks.ts"
import { client } from "./idp.ts"
import type { Login, World } from "./world.ts"

/** The API of a tenant, as tokens name it. */
export const audienceOf = (tenant: string): string => `urn:${tenant}:api`

/** An access token for a tenant's API, through the client credentials grant (RFC 6749 section 4.4). */
export const issueToken = ({ idp, tenant }: Login) =>
  HttpClientRequest.post(idp.tokenUrl).pipe(
    HttpClientRequest.basicAuth(client.id, client.secret),
    HttpClientRequest.bodyUrlParams({ grant_type: "client_credentials", scope: "read", resource: audienceOf(tenant) }),
    HttpClient.execute,
    Effect.flatMap(HttpClientResponse.filterStatusOk),
    Effect.flatMap(HttpClientResponse.schemaBodyJson(Schema.Struct({ access_token: Schema.String }))),
    Effect.map(({ access_token }) => access_token),
  )

/** Gets a token for each login. */
export const issueTokens = (world: World, logins: ReadonlyArray<Login>) =>
  Effect.forEach(logins, (login) => Effect.map(issueToken(login), (token) => world.tokens.set(login, token)), {
    discard: true,
  })

/** What the API of `tenant` does with a token. */
export const verify = (world: World, tenant: string, token: string) =>
  Effect.suspend(() => {
    world.asked += 1
    return JwtVerifier.verify(tenant, token, { audience: audienceOf(tenant), profile: "at+jwt" })
  }).pipe(
    Effect.mapError(
      (error) => new StepFailed({ message: `a token of ${tenant} does not verify: ${error._tag}, ${error.message}` }),
    ),
  )

/** Verifies the latest token of each login. */
export const verifyLatest = (world: World, logins: ReadonlyArray<Login> = world.logins) =>
  Effect.forEach(logins, (login) => verify(world, login.tenant, world.tokens.get(login) ?? ""))

/** Asks the registry, and counts. */
export const resolveKey = (world: World, tenant: string, kid: string | undefined, options?: ResolveKeyOptions) =>
  Effect.suspend(() => {
    world.asked += 1
    return JwksRegistry.resolveKey(tenant, kid, options)
  })
