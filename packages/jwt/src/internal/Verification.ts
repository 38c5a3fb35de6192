/**
 * A verification, in the one place that orders its steps: what the token says of itself, whose it is, what its claims say,
 * the key, the signature, the caller's schema.
 */
import {
  type JwksRegistryService,
  type JwsAlgorithm,
  type KeyAmbiguous,
  KeyNotFound,
  type ResolvedKey,
  type ResolveError,
  type ResolveKeyOptions,
} from "@effect-jwks/core"
import { andThenNow, isAnswered, registrationsNow, resolveKeyNow } from "@effect-jwks/core/AnswersNow"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { calculateJwkThumbprint } from "jose/jwk/thumbprint"
import type { JwtInvalid, JwtInvalidReason, VerifyError } from "../JwtError.ts"
import type { JwtPayload, VerifiedJwt } from "../VerifiedJwt.ts"
import type { JwtVerifierService } from "../JwtVerifierService.ts"
import type {
  AnyVerifyOptions,
  ExpectedIssuer,
  PerhapsWithClaims,
  VerifyOptions,
  VerifyOptionsWithClaims,
} from "../VerifyOptions.ts"
import { allows, allowsOn } from "./AllowedAlgorithms.ts"
import { breachOf } from "./ClaimRules.ts"
import { notBase64url, TokenReader, type UnverifiedJwt } from "./CompactJws.ts"
import { bind, type Bound, isVouching, nobodyVouches } from "./IssuerBinding.ts"
import { Policies, type Policy, type VerifierSettings } from "./Policy.ts"
import { decodeClaims } from "./ClaimsSchema.ts"
import { notTheProviders, refusal, unbound, unusable } from "./Refusal.ts"
import { check } from "./SignatureCheck.ts"

/** A token, and what is asked of it. */
interface Asked extends UnverifiedJwt {
  readonly tenant: string
  /** As they were when the token came; the caller may change his object meanwhile. */
  readonly issuer: ExpectedIssuer | undefined
  readonly provider: string | undefined
  readonly policy: Policy
  /** The caller's. */
  readonly clock: Clock.Clock
}

/** A token that may be tried against a provider's keys. */
interface Candidate extends Bound {
  readonly asked: Asked
}

/** Most keys that a token is tried against, where the set does not say which one it means. */
const maxTries = 4

/** {@link Verification.verify}, and the caller's schema after it. */
export const makeVerify = (registry: JwksRegistryService, settings: VerifierSettings): JwtVerifierService["verify"] => {
  const verification = new Verification(registry, settings)
  function verify<S extends Schema.Constraint>(
    tenant: string,
    token: string,
    options: VerifyOptionsWithClaims<S>,
  ): Effect.Effect<VerifiedJwt<S["Type"]>, VerifyError, S["DecodingServices"]>
  function verify<S extends Schema.Constraint = never>(
    tenant: string,
    token: string,
    options?: PerhapsWithClaims<S>,
  ): Effect.Effect<VerifiedJwt<S["Type"] | JwtPayload>, VerifyError, S["DecodingServices"]>
  function verify(tenant: string, token: string, options?: VerifyOptions): Effect.Effect<VerifiedJwt, VerifyError>
  function verify(
    tenant: string,
    token: string,
    given?: PerhapsWithClaims<Schema.Constraint>,
  ): Effect.Effect<VerifiedJwt<unknown>, VerifyError, unknown> {
    const options = given ?? {}
    const verified = verification.verify(tenant, token, options)
    const schema = typeof options === "object" && "claims" in options ? options.claims : undefined
    // What is no schema is refused by the verification.
    if (!Schema.isSchema(schema)) return verified
    return Effect.flatMap(verified, (jwt) =>
      Effect.mapBoth(decodeClaims(schema, jwt.payload), {
        onSuccess: (claims) => ({ ...jwt, claims }),
        onFailure: (reason) => refusal(tenant, jwt.provider, reason),
      }),
    )
  }
  return verify
}

class Verification {
  readonly #registry: JwksRegistryService
  readonly #policies: Policies
  readonly #reader: TokenReader

  constructor(registry: JwksRegistryService, { defaults, maxTokenLength }: VerifierSettings) {
    this.#registry = registry
    this.#policies = new Policies(defaults)
    this.#reader = new TokenReader(maxTokenLength)
  }

  /** Signature and claims; the caller's schema comes after that. */
  verify(tenant: string, token: string, options: AnyVerifyOptions): Effect.Effect<VerifiedJwt, VerifyError> {
    return Effect.withFiber((fiber) => {
      const policy = this.#policies.of(options)
      const read = this.#reader.read(token)
      if (Result.isFailure(read)) return Effect.fail(refusal(tenant, undefined, read.failure))
      const { header, payload, signed } = read.success
      const { issuer, provider } = options
      const clock = fiber.getRef(Clock.Clock)
      const asked: Asked = { signed, header, payload, tenant, issuer, provider, policy, clock }
      return this.#judge(asked, (candidate) => this.#tryKey(candidate, fiber))
    })
  }

  /** Everything that needs no key: whose token it is, and what it says. */
  #judge(
    asked: Asked,
    next: (candidate: Candidate) => Effect.Effect<VerifiedJwt, VerifyError>,
  ): Effect.Effect<VerifiedJwt, VerifyError> {
    return andThenNow(registrationsNow(this.#registry, asked.tenant), (registered) => {
      const bound = bind(asked.tenant, registered, asked.payload, asked)
      if (Result.isFailure(bound)) return Effect.fail(unbound(asked.tenant, bound.failure))
      const { payload, provider } = bound.success
      const candidate: Candidate = { asked, payload, provider }
      const breach = breachIn(candidate)
      return breach === undefined ? next(candidate) : Effect.fail(refused(candidate, breach))
    })
  }

  /**
   * Judges once more after somebody had to wait for a key: the token may have expired, and its provider may vouch for
   * another issuer, with whose key it must not be tried.
   */
  #judgeAgain(
    { asked, provider }: Candidate,
    next: (candidate: Candidate) => Effect.Effect<VerifiedJwt, VerifyError>,
  ): Effect.Effect<VerifiedJwt, VerifyError> {
    return this.#judge(asked, (candidate) => {
      if (candidate.provider.provider === provider.provider) return next(candidate)
      // Whose token it is was known: it is nobody's now, rather than that of one who does not say whose he has.
      return isVouching(candidate)
        ? Effect.withFiber((fiber) => this.#tryKey(candidate, fiber))
        : Effect.fail(refusal(asked.tenant, undefined, nobodyVouches))
    })
  }

  #tryKey(candidate: Candidate, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<VerifiedJwt, VerifyError> {
    const { header, tenant } = candidate.asked
    const found = resolveKeyNow(this.#registry, tenant, header.kid, question(candidate), fiber)
    if (isAnswered(found)) return this.#tryFirst(candidate, found.value)
    return Effect.matchEffect(found, {
      onSuccess: (key) => this.#judgeAgain(candidate, (candidate) => this.#tryFirst(candidate, key)),
      onFailure: (error) =>
        error._tag === "KeyAmbiguous"
          ? this.#judgeAgain(candidate, (candidate) => this.#tryEach(candidate, error, true))
          : Effect.fail(asRefusal(candidate, error)),
    })
  }

  #tryFirst(candidate: Candidate, key: TriedKey): Effect.Effect<VerifiedJwt, VerifyError> {
    return this.#tryOn(candidate, key, () => this.#tryAnother(candidate, key.thumbprint))
  }

  #tryOn(
    candidate: Candidate,
    key: TriedKey,
    orElse: () => Effect.Effect<VerifiedJwt, VerifyError>,
    ifUnusable: () => Effect.Effect<VerifiedJwt, VerifyError> = () => Effect.fail(unusableKey(candidate)),
  ): Effect.Effect<VerifiedJwt, VerifyError> {
    const { header, policy, signed } = candidate.asked
    if (!allowsOn(policy.algorithms, header.alg, key.jwk)) {
      return Effect.fail(refused(candidate, unexpectedAlgorithm(header.alg)))
    }
    return check(signed, key.jwk, header.alg, (said) => {
      switch (said) {
        case "Right":
          return Effect.succeed(verifiedWith(candidate, key))
        case "Wrong":
          return orElse()
        case "Malformed":
          return Effect.fail(refused(candidate, { _tag: "Malformed", rule: notBase64url }))
        case "Unusable":
          return ifUnusable()
      }
    })
  }

  /** Providers do publish a new key under an old kid: one look for it, on the budget of unknown kids. */
  #tryAnother(
    candidate: Candidate,
    notThumbprint: string | ReadonlyArray<string>,
  ): Effect.Effect<VerifiedJwt, VerifyError> {
    const { header, tenant } = candidate.asked
    const looked = this.#registry.resolveKey(tenant, header.kid, { ...question(candidate), notThumbprint })
    return Effect.matchEffect(looked, {
      onSuccess: (key) =>
        this.#judgeAgain(candidate, (candidate) =>
          this.#tryOn(candidate, key, () => Effect.fail(wrongSignature(candidate))),
        ),
      onFailure: (error): Effect.Effect<VerifiedJwt, VerifyError> => {
        switch (error._tag) {
          // The key that is published under the kid has spoken, confirmed or not: made-up signatures are no outage.
          case "KeyNotFound":
            return Effect.fail(wrongSignature(candidate))
          case "KeyAmbiguous":
            return this.#judgeAgain(candidate, (candidate) => this.#tryEach(candidate, error, false))
          case "JwksUnavailable":
          case "NotRegistered":
            return Effect.fail(error)
        }
      },
    })
  }

  /** Several keys of the issuer fit, and neither kid nor algorithm tell them apart: the signature does. */
  #tryEach(candidate: Candidate, ambiguous: KeyAmbiguous, mayLook: boolean): Effect.Effect<VerifiedJwt, VerifyError> {
    if (ambiguous.thumbprints.length > maxTries) return Effect.fail(ambiguous)
    // To fetch them may take a while, too.
    return Effect.flatMap(this.#keysOf(candidate, ambiguous), (keys) =>
      this.#judgeAgain(candidate, (candidate) => this.#tryThese(candidate, keys, ambiguous, mayLook)),
    )
  }

  #tryThese(
    candidate: Candidate,
    keys: ReadonlyArray<TriedKey>,
    ambiguous: KeyAmbiguous,
    mayLook: boolean,
  ): Effect.Effect<VerifiedJwt, VerifyError> {
    const { header, policy } = candidate.asked
    if (keys.length === 0) return Effect.fail(ambiguous)
    const expected = keys.filter(({ jwk }) => allowsOn(policy.algorithms, header.alg, jwk))
    if (expected.length === 0) return Effect.fail(refused(candidate, unexpectedAlgorithm(header.alg)))
    // One that can not be used here says nothing of the others.
    const begin = expected.reduceRight<(tried: boolean) => Effect.Effect<VerifiedJwt, VerifyError>>(
      (rest, key) => (tried) =>
        this.#tryOn(
          candidate,
          key,
          () => rest(true),
          () => rest(tried),
        ),
      (tried) => {
        if (!tried) return Effect.fail(unusableKey(candidate))
        const thumbprints = keys.map(({ thumbprint }) => thumbprint)
        return mayLook ? this.#tryAnother(candidate, thumbprints) : Effect.fail(wrongSignature(candidate))
      },
    )
    return begin(false)
  }

  /** The keys that fit, from the set that is held; one that may not be kept is fetched for this question alone. */
  #keysOf(
    { asked: { header, tenant }, provider: { provider } }: Candidate,
    { thumbprints }: KeyAmbiguous,
  ): Effect.Effect<ReadonlyArray<TriedKey>, VerifyError> {
    return Effect.flatMap(this.#registry.providerStatus(tenant, provider), ({ freshness = "fresh", keys }) => {
      const held = keys.map(({ jwk, thumbprint }) => ({ jwk, thumbprint, freshness }))
      const wanted = thumbprints.flatMap((thumbprint) => held.find((key) => key.thumbprint === thumbprint) ?? [])
      return wanted.length > 0
        ? Effect.succeed(wanted)
        : Effect.flatMap(this.#registry.resolve(tenant, provider), ({ freshness, jwks }) => {
            const named = jwks.keys.filter(({ kid }) => header.kid === undefined || kid === header.kid)
            // Only those of which the registry has said that they fit.
            return Effect.promise(async () => {
              const all = await Promise.all(
                named.map(async (jwk) => ({ jwk, freshness, thumbprint: await calculateJwkThumbprint(jwk) })),
              )
              return thumbprints.flatMap((thumbprint) => all.find((key) => key.thumbprint === thumbprint) ?? [])
            })
          })
    })
  }
}

const question = ({ asked: { header, policy }, provider }: Candidate): ResolveKeyOptions => ({
  provider: provider.provider,
  alg: header.alg,
  allowStale: policy.allowStale,
})

/** A key as a signature is tried on it. */
type TriedKey = Pick<ResolvedKey, "jwk" | "thumbprint" | "freshness">

const breachIn = ({ asked: { clock, header, policy }, payload, provider }: Candidate): JwtInvalidReason | undefined => {
  const { alg } = header
  if (!allows(provider.algorithms, alg)) return notTheProviders(alg)
  if (!allows(policy.algorithms, alg)) return unexpectedAlgorithm(alg)
  return breachOf(header, payload, policy, clock.currentTimeMillisUnsafe())
}

const unexpectedAlgorithm = (alg: JwsAlgorithm): JwtInvalidReason => ({
  _tag: "Algorithm",
  alg,
  rule: "it is not expected here",
})

const refused = ({ provider }: Candidate, reason: JwtInvalidReason): JwtInvalid =>
  refusal(provider.tenant, provider.provider, reason)

const wrongSignature = (candidate: Candidate): JwtInvalid => refused(candidate, { _tag: "Signature" })

const unusableKey = (candidate: Candidate): JwtInvalid => refused(candidate, unusable(candidate.asked.header.alg))

/** A key that is published for another algorithm is no matter of keys, but of the token's `alg`. */
const asRefusal = (candidate: Candidate, error: ResolveError): VerifyError => {
  const { alg } = candidate.asked.header
  return error instanceof KeyNotFound &&
    (error.dropped === "AlgorithmMismatch" || error.dropped === "AlgorithmNotAllowed")
    ? refused(candidate, { _tag: "Algorithm", alg, rule: "it does not fit the key with this kid" })
    : error
}

const verifiedWith = (
  { asked: { header }, payload, provider }: Candidate,
  { freshness, thumbprint }: TriedKey,
): VerifiedJwt => ({
  tenant: provider.tenant,
  provider: provider.provider,
  issuer: payload.iss,
  header,
  claims: payload,
  payload,
  thumbprint,
  freshness,
})
