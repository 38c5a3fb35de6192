/**
 * A verification, in the one place that orders its steps: what the token says of itself, whose it is, what its claims say,
 * the key, the signature, the caller's schema.
 */
import {
  type JwksRegistryService,
  type JwsAlgorithm,
  type KeyAmbiguous,
  KeyNotFound,
  type RegisteredProvider,
  type ResolvedKey,
  type ResolveError,
  type ResolveKeyOptions,
} from "@effect-jwks/core"
import { registrationsNow, resolveKeyNow } from "@effect-jwks/core/AnswersNow"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { JwtInvalid, type JwtInvalidReason, type VerifyError } from "../JwtError.ts"
import type { JwtPayload, VerifiedJwt } from "../VerifiedJwt.ts"
import type { JwtVerifierService } from "../JwtVerifierService.ts"
import type { VerifyOptions, VerifyOptionsWithClaims } from "../VerifyOptions.ts"
import { breachOf } from "./ClaimRules.ts"
import { TokenReader, type UnverifiedJwt } from "./CompactJws.ts"
import { bind } from "./IssuerBinding.ts"
import { Policies, type Policy, type VerifierSettings } from "./Policy.ts"
import { decodeClaims } from "./ClaimsSchema.ts"
import { check } from "./SignatureCheck.ts"

/** A token that may be tried against a provider's keys. */
interface Candidate extends UnverifiedJwt {
  readonly provider: RegisteredProvider
  readonly payload: JwtPayload
  readonly policy: Policy
}

/** Most keys that a token is tried against, where the set does not say which one it means. */
const maxTries = 4

/** {@link Verification.verify}, and the caller's schema after it. */
export const makeVerify = (
  registry: JwksRegistryService,
  clock: Clock.Clock,
  settings: VerifierSettings,
): JwtVerifierService["verify"] => {
  const verification = new Verification(registry, clock, settings)
  function verify<S extends Schema.Constraint>(
    tenant: string,
    token: string,
    options: VerifyOptionsWithClaims<S>,
  ): Effect.Effect<VerifiedJwt<S["Type"]>, VerifyError, S["DecodingServices"]>
  function verify(tenant: string, token: string, options?: VerifyOptions): Effect.Effect<VerifiedJwt, VerifyError>
  function verify(
    tenant: string,
    token: string,
    options: VerifyOptions | VerifyOptionsWithClaims<Schema.Constraint> = {},
  ): Effect.Effect<VerifiedJwt<unknown>, VerifyError, unknown> {
    const verified = verification.verify(tenant, token, options)
    if (!("claims" in options) || options.claims === undefined) return verified
    const { claims: schema } = options
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
  readonly #clock: Clock.Clock
  readonly #policies: Policies
  readonly #reader: TokenReader

  constructor(registry: JwksRegistryService, clock: Clock.Clock, { defaults, maxTokenLength }: VerifierSettings) {
    this.#registry = registry
    this.#clock = clock
    this.#policies = new Policies(defaults)
    this.#reader = new TokenReader(maxTokenLength)
  }

  /** Signature and claims; the caller's schema comes after that. */
  verify(tenant: string, token: string, options: VerifyOptions): Effect.Effect<VerifiedJwt, VerifyError> {
    return Effect.withFiber((fiber) => {
      const policy = this.#policies.of(options)
      const read = this.#reader.read(token)
      if (Result.isFailure(read)) return Effect.fail(refusal(tenant, undefined, read.failure))
      const unverified = read.success
      return then(registrationsNow(this.#registry, tenant), (registered) => {
        const bound = bind(tenant, registered, unverified.payload, options)
        if (Result.isFailure(bound)) {
          const { failure } = bound
          return Effect.fail(failure._tag === "NotRegistered" ? failure : refusal(tenant, undefined, failure))
        }
        const { payload, provider } = bound.success
        const candidate: Candidate = { token, header: unverified.header, payload, provider, policy }
        const breach = this.#breachOf(candidate)
        return breach === undefined ? this.#tryKey(candidate, fiber) : Effect.fail(refused(candidate, breach))
      })
    })
  }

  /** Everything that needs no key. */
  #breachOf({ header, payload, policy, provider }: Candidate): JwtInvalidReason | undefined {
    const { alg } = header
    if (!allows(provider.algorithms, alg)) return { _tag: "Algorithm", alg, rule: "the provider does not use it" }
    if (!allows(policy.algorithms, alg)) return { _tag: "Algorithm", alg, rule: "it is not expected here" }
    return breachOf(header, payload, policy, this.#clock.currentTimeMillisUnsafe())
  }

  #tryKey(candidate: Candidate, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<VerifiedJwt, VerifyError> {
    const found = resolveKeyNow(
      this.#registry,
      candidate.provider.tenant,
      candidate.header.kid,
      question(candidate),
      fiber,
    )
    const tryOn = (key: ResolvedKey) => this.#tryOn(candidate, key, () => this.#tryAnother(candidate, key))
    if (isAnswered(found)) return tryOn(found.value)
    return Effect.matchEffect(found, {
      onSuccess: tryOn,
      onFailure: (error) =>
        error._tag === "KeyAmbiguous" ? this.#tryEach(candidate, error) : Effect.fail(asRefusal(candidate, error)),
    })
  }

  #tryOn(
    candidate: Candidate,
    key: TriedKey,
    orElse: () => Effect.Effect<VerifiedJwt, VerifyError>,
    ifUnusable: () => Effect.Effect<VerifiedJwt, VerifyError> = () => Effect.fail(unusableKey(candidate)),
  ): Effect.Effect<VerifiedJwt, VerifyError> {
    return check(candidate.token, key.jwk, candidate.header.alg, (said) => {
      switch (said) {
        case "Right":
          return Effect.succeed(verifiedWith(candidate, key))
        case "Wrong":
          return orElse()
        case "Unusable":
          return ifUnusable()
      }
    })
  }

  /** Providers do publish a new key under an old kid: one look for it, on the budget of unknown kids. */
  #tryAnother(candidate: Candidate, { thumbprint }: TriedKey): Effect.Effect<VerifiedJwt, VerifyError> {
    const asked = { ...question(candidate), notThumbprint: thumbprint }
    return Effect.matchEffect(this.#registry.resolveKey(candidate.provider.tenant, candidate.header.kid, asked), {
      onSuccess: (another) => this.#tryOn(candidate, another, () => Effect.fail(wrongSignature(candidate))),
      onFailure: (error): Effect.Effect<VerifiedJwt, VerifyError> => {
        switch (error._tag) {
          // The key that is published under the kid has spoken, confirmed or not: made-up signatures are no outage.
          case "KeyNotFound":
            return Effect.fail(wrongSignature(candidate))
          case "KeyAmbiguous":
            return this.#tryEach(candidate, error)
          case "JwksUnavailable":
          case "NotRegistered":
            return Effect.fail(error)
        }
      },
    })
  }

  /** Several keys of the issuer fit, and neither kid nor algorithm tell them apart: the signature does. */
  #tryEach(candidate: Candidate, ambiguous: KeyAmbiguous): Effect.Effect<VerifiedJwt, VerifyError> {
    const { provider, tenant } = candidate.provider
    if (ambiguous.thumbprints.length > maxTries) return Effect.fail(ambiguous)
    const wanted = new Set(ambiguous.thumbprints)
    return Effect.flatMap(this.#registry.providerStatus(tenant, provider), ({ freshness = "fresh", keys }) => {
      const byThumbprint = new Map(keys.map(({ jwk, thumbprint }) => [thumbprint, { jwk, thumbprint, freshness }]))
      const tries = Array.from(byThumbprint.values()).filter(({ thumbprint }) => wanted.has(thumbprint))
      // One that can not be used here says nothing of the others.
      const begin = tries.reduceRight<(tried: boolean) => Effect.Effect<VerifiedJwt, VerifyError>>(
        (rest, key) => (tried) =>
          this.#tryOn(
            candidate,
            key,
            () => rest(true),
            () => rest(tried),
          ),
        (tried) => Effect.fail(tried ? wrongSignature(candidate) : unusableKey(candidate)),
      )
      // Where none is left to try, the set has changed meanwhile.
      return begin(tries.length === 0)
    })
  }
}

const question = ({ header, policy, provider }: Candidate): ResolveKeyOptions => ({
  provider: provider.provider,
  alg: header.alg,
  allowStale: policy.allowStale,
})

const isAnswered = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Success<A> =>
  Exit.isExit(effect) && Exit.isSuccess(effect)

/** `flatMap` that goes on at once where the answer is there. */
const then = <A, B, E1, E2>(
  effect: Effect.Effect<A, E1>,
  next: (value: A) => Effect.Effect<B, E2>,
): Effect.Effect<B, E1 | E2> => (isAnswered(effect) ? next(effect.value) : Effect.flatMap(effect, next))

/** A key as a signature is tried on it. */
type TriedKey = Pick<ResolvedKey, "jwk" | "thumbprint" | "freshness">

/** An Edwards curve has one algorithm under two names: a provider that may use either has both (RFC 9864 section 2.2). */
const allows = (algorithms: ReadonlyArray<JwsAlgorithm>, alg: JwsAlgorithm): boolean =>
  algorithms.includes(alg) ||
  (alg === "EdDSA" && (algorithms.includes("Ed25519") || algorithms.includes("Ed448"))) ||
  ((alg === "Ed25519" || alg === "Ed448") && algorithms.includes("EdDSA"))

const refusal = (tenant: string, provider: string | undefined, reason: JwtInvalidReason): JwtInvalid =>
  new JwtInvalid({ tenant, ...(provider === undefined ? {} : { provider }), reason })

const refused = ({ provider }: Candidate, reason: JwtInvalidReason): JwtInvalid =>
  refusal(provider.tenant, provider.provider, reason)

const wrongSignature = (candidate: Candidate): JwtInvalid => refused(candidate, { _tag: "Signature" })

const unusableKey = (candidate: Candidate): JwtInvalid => {
  const { alg } = candidate.header
  return refused(candidate, { _tag: "Algorithm", alg, rule: "this runtime can not use the provider's key with it" })
}

/** A key that is published for another algorithm is no matter of keys, but of the token's `alg`. */
const asRefusal = (candidate: Candidate, error: ResolveError): VerifyError => {
  const { alg } = candidate.header
  return error instanceof KeyNotFound &&
    (error.dropped === "AlgorithmMismatch" || error.dropped === "AlgorithmNotAllowed")
    ? refused(candidate, { _tag: "Algorithm", alg, rule: "it does not fit the key with this kid" })
    : error
}

const verifiedWith = ({ header, payload, provider }: Candidate, { freshness, thumbprint }: TriedKey): VerifiedJwt => ({
  tenant: provider.tenant,
  provider: provider.provider,
  issuer: payload.iss,
  header,
  claims: payload,
  payload,
  thumbprint,
  freshness,
})
