/**
 * What the bridge and the answers promise as types; checked by `tsc -b`, never run.
 */
import type {
  InvalidRegistration,
  JwksRegistry,
  ProviderStatus,
  RefreshOutcome,
  ResolvedJwks,
  ResolvedKey,
  WarmUpResult,
} from "@effect-jwks/core"
import {
  type BearerChallenge,
  type BearerError,
  bearerOf,
  challengeFor,
  JwksBridge,
  type JwtPayload,
  type VerifiedJwt,
  type VerifyError,
} from "@effect-jwks/jwt"
import type * as Layer from "effect/Layer"
import type * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"
import {
  type CompactVerifyGetKey,
  type CryptoKey,
  compactVerify,
  type FlattenedJWSInput,
  jwtVerify,
  type JWTVerifyGetKey,
} from "jose"

type Equal<A, B> = [A, B] extends [B, A] ? true : false

const is =
  <Expected>() =>
  <Actual>(_: Actual, equal: Equal<Actual, Expected>): true =>
    equal as true

declare const layer: Layer.Layer<JwksRegistry, InvalidRegistration>
declare const runtime: ManagedRuntime.ManagedRuntime<JwksRegistry | Map<string, string>, InvalidRegistration>
declare const jws: FlattenedJWSInput

// Neither what a layer fails with nor what else a runtime has is part of the bridge's type.
const jwks: JwksBridge = JwksBridge.open(layer, { audience: "orders" })
export const another: JwksBridge = JwksBridge.fromRuntime(runtime)

const Claims = Schema.Struct({ sub: Schema.String, age: Schema.NumberFromString })
const { signal } = new AbortController()

export const calls = [
  is<Promise<ResolvedKey>>()(jwks.getKey("a", undefined, { provider: "b", alg: "ES256", signal }), true),
  is<Promise<ResolvedJwks>>()(jwks.getKeys("a", "b", { signal }), true),
  is<Promise<VerifiedJwt<JwtPayload>>>()(jwks.verify("a", "token", { audience: ["orders"], signal }), true),
  is<Promise<VerifiedJwt<{ readonly sub: string; readonly age: number }>>>()(
    jwks.verify("a", "token", { claims: Claims, signal }),
    true,
  ),
  is<Promise<void>>()(jwks.register({ tenant: "a", provider: "b", issuer: "https://id.example" }), true),
  is<Promise<boolean>>()(jwks.unregister("a", "b"), true),
  is<Promise<number>>()(jwks.unregisterTenant("a"), true),
  is<Promise<RefreshOutcome>>()(jwks.refresh("a", "b", { signal }), true),
  is<Promise<ReadonlyArray<WarmUpResult>>>()(jwks.warmUp({ timeout: "5 seconds" }), true),
  is<Promise<ProviderStatus>>()(jwks.providerStatus("a", "b"), true),
  is<Promise<ReadonlyArray<ProviderStatus>>>()(jwks.allStatuses(), true),
  is<Promise<void>>()(jwks.close(), true),
  is<CryptoKey | Promise<CryptoKey>>()(jwks.keyFor("a")({ alg: "ES256", kid: "x" }, jws), true),
]

/** jose takes the key function for what it is, and says which key it was. */
export const ofJwt: JWTVerifyGetKey<CryptoKey> = jwks.keyFor("a", { provider: "b", allowStale: false, signal })
export const ofJws: CompactVerifyGetKey<CryptoKey> = jwks.keyFor("a")
export const joseKey = async (): Promise<CryptoKey> => (await jwtVerify("token", jwks.keyFor("a"))).key
export const joseJwsKey = async (): Promise<CryptoKey> => (await compactVerify("token", jwks.keyFor("a"))).key

declare const verifyError: VerifyError
declare const bearerError: BearerError
declare const unknown: unknown

export const answers = [
  is<string | undefined>()(bearerOf("Bearer x"), true),
  is<BearerChallenge>()(challengeFor(verifyError), true),
  is<BearerChallenge>()(challengeFor(bearerError, { realm: "orders", scope: ["read"] }), true),
  is<BearerChallenge | undefined>()(challengeFor(unknown), true),
]

/** Every framework takes its headers as a record of texts. */
export const headers = ({ headers }: BearerChallenge): Record<string, string> => headers
export const status = ({ status }: BearerChallenge): 400 | 401 | 403 | 503 => status

export const needsServices = (claims: Schema.Codec<string, string, JwksRegistry>) =>
  // @ts-expect-error: a schema that asks for services needs an effect.
  jwks.verify("a", "token", { claims })

// @ts-expect-error: nothing answers without a tenant.
void jwks.keyFor()

// @ts-expect-error: a bridge is opened over something.
void new JwksBridge()
