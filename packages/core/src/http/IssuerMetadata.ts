/**
 * Where an issuer's metadata are, and what is remembered of them.
 */
import type { Instant } from "../Instant.ts"
import type { Validators } from "./Validators.ts"

/** `{issuer}/.well-known/openid-configuration` (OpenID Connect Discovery 1.0 section 4). */
export const openIdMetadataUrl = (issuer: string): URL => {
  const url = new URL(issuer)
  url.pathname = `${pathOf(url)}/.well-known/openid-configuration`
  return url
}

/** `/.well-known/oauth-authorization-server` between host and path (RFC 8414 section 3.1). */
export const oauthMetadataUrl = (issuer: string): URL => {
  const url = new URL(issuer)
  url.pathname = `/.well-known/oauth-authorization-server${pathOf(url)}`
  return url
}

/** Both forms drop a slash at the end of the issuer's path first. */
const pathOf = (url: URL): string => url.pathname.replace(/\/$/, "")

/** Where an issuer's metadata said that its JWK Set is. */
export interface JwksLocation {
  readonly jwksUrl: URL
  /** When the metadata were last received or confirmed. */
  readonly receivedAt: Instant
  /** From then on the next flight asks for the metadata again. */
  readonly dueAt: Instant
  /** Of the metadata's last response. */
  readonly headers: Readonly<Record<string, string>>
  readonly validators: Validators | undefined
  /** When the metadata themselves were last received. */
  readonly fetchedInFullAt: Instant
  /** How often in a row asking again has failed. */
  readonly failures: number
}
