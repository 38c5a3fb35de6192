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

const shapes: ReadonlyArray<{
  readonly claim: string
  readonly isRight: (value: unknown) => boolean
  readonly rule: string
}> = [
  { claim: "sub", isRight: isText, rule: "has to be text" },
  {
    claim: "aud",
    isRight: (value) => isText(value) || (Array.isArray(value) && value.every(isText)),
    rule: "has to be text or a list of texts",
  },
  { claim: "exp", isRight: isTime, rule: "has to be a number of seconds" },
  { claim: "nbf", isRight: isTime, rule: "has to be a number of seconds" },
  { claim: "iat", isRight: isTime, rule: "has to be a number of seconds" },
  { claim: "jti", isRight: isText, rule: "has to be text" },
]

const shapeBreach = (payload: JsonObject, { isAccessToken }: Policy): JwtInvalidReason | undefined => {
  for (const { claim, isRight, rule } of shapes) {
    const value = payload[claim]
    if (value !== undefined && !isRight(value)) return { _tag: "Claims", issues: [{ claim, rule }] }
  }
  return isAccessToken && !isText(payload["client_id"])
    ? { _tag: "Claims", issues: [{ claim: "client_id", rule: "has to be text" }] }
    : undefined
}

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
