/**
 * What the registry and the wire show, in the oracle's terms.
 */
import type { ProviderStatus, RefreshOutcome, ResolvedJwks, ResolvedKey, ResolveError } from "@effect-jwks/core"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { createHash } from "node:crypto"
import type { Answer, Outcome, PublishedKey, Status } from "./Trace.ts"

interface EcKey {
  readonly kid?: unknown
  readonly crv?: unknown
  readonly kty?: unknown
  readonly x?: unknown
  readonly y?: unknown
}

// RFC 7638 section 3.2: the required members of an EC key in lexicographic order.
const thumbprintOf = ({ crv, kty, x, y }: EcKey): string =>
  createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url")

const keyOf = (jwk: EcKey): PublishedKey => ({ kid: String(jwk.kid), thumbprint: thumbprintOf(jwk) })

const documents = new Map<string, ReadonlyArray<PublishedKey> | undefined>()

/** The keys of a document; `undefined` for what is no JWK Set. */
const keysOf = (body: string): ReadonlyArray<PublishedKey> | undefined => {
  if (!documents.has(body)) {
    try {
      const { keys } = JSON.parse(body) as { readonly keys: ReadonlyArray<EcKey> }
      documents.set(body, keys.map(keyOf))
    } catch {
      documents.set(body, undefined)
    }
  }
  return documents.get(body)
}

const numberIn = (text: string | undefined): number | undefined => {
  const digits = /\d+/.exec(text ?? "")
  return digits === null ? undefined : Number(digits[0])
}

/** A response that was handed over. */
export const outcomeOf = ({ headers, status }: HttpClientResponse.HttpClientResponse, body: string): Outcome => ({
  _tag: "Response",
  status,
  maxAge: numberIn(headers["cache-control"]),
  age: numberIn(headers["age"]),
  retryAfter: numberIn(headers["retry-after"]),
  keys: status === 200 ? keysOf(body) : undefined,
})

const valueOf = (value: ResolvedKey | ResolvedJwks | RefreshOutcome): Answer => {
  if ("_tag" in value) {
    return { _tag: "Refreshed", notModified: value._tag === "NotModified", expiresAt: value.expiresAt }
  }
  const { tenant, provider, freshness, fetchedAt, expiresAt } = value
  if ("jwks" in value) {
    return { _tag: "Set", tenant, provider, keys: value.jwks.keys.map(keyOf), freshness, fetchedAt, expiresAt }
  }
  const key = keyOf(value.jwk)
  return value.kid === key.kid && value.thumbprint === key.thumbprint
    ? { _tag: "Key", tenant, provider, ...key, freshness, fetchedAt, expiresAt }
    : { _tag: "Broken", what: `kid ${value.kid}, thumbprint ${value.thumbprint} on the key ${JSON.stringify(key)}` }
}

const errorOf = (error: ResolveError): Answer => {
  switch (error._tag) {
    case "KeyNotFound":
      return {
        _tag: "KeyNotFound",
        confirmed: error.confirmed,
        ...(error.dropped === undefined ? {} : { dropped: error.dropped }),
      }
    case "JwksUnavailable":
      return { _tag: "JwksUnavailable", reason: error.reason._tag }
    case "NotRegistered":
    case "KeyAmbiguous":
      return { _tag: error._tag }
  }
}

/** How a caller ended. */
export const answerOf = (exit: Exit.Exit<ResolvedKey | ResolvedJwks | RefreshOutcome, ResolveError>): Answer => {
  if (Exit.isSuccess(exit)) return valueOf(exit.value)
  const [reason, ...others] = exit.cause.reasons
  return reason !== undefined && Cause.isFailReason(reason) && others.length === 0
    ? errorOf(reason.error)
    : { _tag: "Broken", what: Cause.pretty(exit.cause) }
}

/** How a provider stands. */
export const statusOf = (status: ProviderStatus): Status => ({
  usable: status.usable,
  freshness: status.freshness,
  keys: status.keys.map(({ kid, thumbprint }) => ({ kid: String(kid), thumbprint })),
  fetchedAt: status.fetchedAt,
  expiresAt: status.expiresAt,
  staleUntil: status.staleUntil,
})
