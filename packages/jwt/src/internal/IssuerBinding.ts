/**
 * Whose token it is: the one provider whose keys it may be tried against, decided before any look-up. Pure.
 */
import { NotRegistered, type RegisteredProvider } from "@effect-jwks/core"
import * as Result from "effect/Result"
import type { JwtInvalidReason } from "../JwtError.ts"
import type { JwtPayload } from "../VerifiedJwt.ts"
import type { ExpectedIssuer } from "../VerifyOptions.ts"
import type { JsonObject } from "./CompactJws.ts"

/** Whose token it is. */
export interface Bound {
  readonly provider: RegisteredProvider
  /** The claims, with the `iss` that they have. */
  readonly payload: JwtPayload
}

const refused = (rule: string): Result.Result<never, JwtInvalidReason> => Result.fail({ _tag: "Issuer", rule })

/** No provider says that such tokens are its own. */
export const nobodyVouches: JwtInvalidReason = { _tag: "Issuer", rule: "no provider of the tenant vouches for it" }

/** Whether the provider itself says so, and not only the caller. */
export const isVouching = ({ payload, provider }: Bound): boolean => provider.issuer === payload.iss

const hasIssuer = (payload: JsonObject): payload is JwtPayload => typeof payload["iss"] === "string"

/** The provider that vouches for the token's issuer. */
export const bind = (
  tenant: string,
  registered: ReadonlyArray<RegisteredProvider>,
  payload: JsonObject,
  options: { readonly issuer?: ExpectedIssuer | undefined; readonly provider?: string | undefined },
): Result.Result<Bound, JwtInvalidReason | NotRegistered> => {
  if (!hasIssuer(payload)) return refused("it names none (RFC 7519 section 4.1.1)")
  const { issuer, provider: name } = options
  const found =
    name === undefined ? ofTenant(registered, payload, issuer) : ofProvider(tenant, registered, payload, name, issuer)
  return Result.isFailure(found) ? Result.fail(found.failure) : Result.succeed({ provider: found.success, payload })
}

const ofProvider = (
  tenant: string,
  registered: ReadonlyArray<RegisteredProvider>,
  payload: JwtPayload,
  name: string,
  expected: ExpectedIssuer | undefined,
): Result.Result<RegisteredProvider, JwtInvalidReason | NotRegistered> => {
  const provider = registered.find((candidate) => candidate.provider === name)
  if (provider === undefined) return Result.fail(new NotRegistered({ tenant, provider: name }))
  const issuer = expected ?? provider.issuer
  if (issuer === undefined) {
    return refused("the provider was registered without issuer: register it with one, or give the option issuer")
  }
  return isExpected(issuer, payload) ? Result.succeed(provider) : refused("it is not this provider's")
}

const ofTenant = (
  registered: ReadonlyArray<RegisteredProvider>,
  payload: JwtPayload,
  expected: ExpectedIssuer | undefined,
): Result.Result<RegisteredProvider, JwtInvalidReason> => {
  if (expected !== undefined && !isExpected(expected, payload)) return refused("it is not the one that is expected")
  const vouching = registered.find(({ issuer }) => issuer === payload.iss)
  if (vouching !== undefined) return Result.succeed(vouching)
  const [silent, another] = registered.filter(({ issuer }) => issuer === undefined)
  if (expected === undefined || silent === undefined || another !== undefined) return Result.fail(nobodyVouches)
  // What a provider does not say, its caller may; but not for two at once, and not one of several that may be another's.
  return isOne(expected)
    ? Result.succeed(silent)
    : refused("no provider of the tenant vouches for it: name the one that it is from with the option provider")
}

const isOne = (expected: ExpectedIssuer): boolean =>
  typeof expected === "string" || (typeof expected !== "function" && expected.length === 1)

const isExpected = (expected: ExpectedIssuer, payload: JwtPayload): boolean => {
  if (typeof expected === "function") {
    try {
      // Callers without types may return a promise, which is as good as true.
      const said: unknown = expected(payload.iss, payload)
      return said === true
    } catch {
      // It reads what nobody has verified yet: what it can not read it does not trust.
      return false
    }
  }
  return typeof expected === "string" ? expected === payload.iss : expected.includes(payload.iss)
}
