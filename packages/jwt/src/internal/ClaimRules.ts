/**
 * What the claims themselves have to say (RFC 7519 section 4.1), for one moment. Pure.
 *
 * **Details**
 *
 * Asked before a key is looked up: a token that can not be valid costs no look-up and none of the unknown-kid budget. The
 * signature, which is checked afterwards, covers the same bytes.
 */
import type { JwtInvalidReason } from "../JwtError.ts"
import type { JwtHeader } from "../VerifiedJwt.ts"
import type { JsonObject } from "./CompactJws.ts"
import { bareType } from "./MediaType.ts"
import type { Policy } from "./Policy.ts"

/** Why the token is refused at `now` (epoch milliseconds), or `undefined`. */
export const breachOf = (
  header: JwtHeader,
  payload: JsonObject,
  policy: Policy,
  now: number,
): JwtInvalidReason | undefined =>
  typeBreach(header, policy) ??
  missing(payload, policy.requiredClaims) ??
  shapeBreach(payload, policy) ??
  audienceBreach(payload["aud"], payload["azp"], policy) ??
  timeBreach(payload, policy, now)

const typeBreach = ({ typ }: JwtHeader, { isIdToken, typ: expected }: Policy): JwtInvalidReason | undefined => {
  if (expected === undefined && !isIdToken) return undefined
  const given = typ === undefined ? undefined : bareType(typ)
  if (expected !== undefined) {
    return given === expected ? undefined : { _tag: "Type", rule: `typ has to be ${expected}` }
  }
  return given === undefined || given === "jwt" ? undefined : { _tag: "Type", rule: "an ID token has no typ but JWT" }
}

const missing = (payload: JsonObject, required: ReadonlyArray<string>): JwtInvalidReason | undefined => {
  const isThere = (claim: string) => Object.hasOwn(payload, claim)
  if (required.every(isThere)) return undefined
  const absent = required.filter((claim) => !isThere(claim))
  return { _tag: "Claims", issues: absent.map((claim) => ({ claim, rule: "is missing" })) }
}

const isText = (value: unknown): value is string => typeof value === "string"
// JSON has no infinity, but 1e999 is read as one: a token that never expires.
const isTime = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value)

const isAudience = (value: unknown): boolean => isText(value) || (Array.isArray(value) && value.every(isText))

const unless = (isRight: boolean, claim: string, rule: string): JwtInvalidReason | undefined =>
  isRight ? undefined : { _tag: "Claims", issues: [{ claim, rule }] }

const text = "has to be text"
const seconds = "has to be a number of seconds"

/** Claim by claim: a list of them would be read by names that the engine does not know beforehand, at twice the price. */
const shapeBreach = (
  { aud, client_id, exp, iat, jti, nbf, sub }: JsonObject,
  { isAccessToken }: Policy,
): JwtInvalidReason | undefined =>
  unless(sub === undefined || isText(sub), "sub", text) ??
  unless(aud === undefined || isAudience(aud), "aud", "has to be text or a list of texts") ??
  unless(exp === undefined || isTime(exp), "exp", seconds) ??
  unless(nbf === undefined || isTime(nbf), "nbf", seconds) ??
  unless(iat === undefined || isTime(iat), "iat", seconds) ??
  unless(jti === undefined || isText(jti), "jti", text) ??
  unless(!isAccessToken || isText(client_id), "client_id", text)

const audienceBreach = (aud: unknown, azp: unknown, { audience, isIdToken }: Policy): JwtInvalidReason | undefined => {
  if (audience === null) return undefined
  const isExpected = (name: unknown) => audience.some((expected) => expected === name)
  // Who has no name is meant by no audience (RFC 7519 section 4.1.3).
  const isMeant =
    audience.length === 0 ? aud === undefined : Array.isArray(aud) ? aud.some(isExpected) : isExpected(aud)
  if (!isMeant) return { _tag: "Audience", expected: audience }
  return isIdToken && azp !== undefined && !isExpected(azp) ? { _tag: "Audience", expected: audience } : undefined
}

const timeBreach = (
  { exp, iat, nbf }: JsonObject,
  { clockTolerance, maxAge }: Policy,
  now: number,
): JwtInvalidReason | undefined => {
  if (isTime(exp) && now >= exp * 1_000 + clockTolerance) return { _tag: "Expired", expiredAt: exp * 1_000 }
  if (isTime(nbf) && now < nbf * 1_000 - clockTolerance) {
    return { _tag: "NotYetValid", claim: "nbf", validAt: nbf * 1_000 }
  }
  if (maxAge === undefined || !isTime(iat)) return undefined
  if (now < iat * 1_000 - clockTolerance) return { _tag: "NotYetValid", claim: "iat", validAt: iat * 1_000 }
  return now - iat * 1_000 > maxAge + clockTolerance
    ? { _tag: "TooOld", issuedAt: iat * 1_000, maxAgeMillis: maxAge }
    : undefined
}
