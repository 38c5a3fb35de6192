/**
 * What a caller asks of tokens, checked and made definite: milliseconds, nothing absent.
 */
import { allJwsAlgorithms, InvalidRegistration, JwsAlgorithm } from "@effect-jwks/core"
import { checker, duration, flag, integer, listOf, text } from "@effect-jwks/core/OptionSchema"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import type { JwtProfile, JwtVerifierOptions, VerifyOptions, VerifyPolicy } from "../VerifyOptions.ts"
import { bareType } from "./MediaType.ts"

/** What a token has to be. */
export interface Policy {
  /** `null`: anybody. Empty: nobody, so that a token with an audience is refused. */
  readonly audience: ReadonlyArray<string> | null
  /** In lower case and without `application/`. */
  readonly typ: string | undefined
  readonly isIdToken: boolean
  readonly algorithms: ReadonlyArray<JwsAlgorithm>
  readonly clockTolerance: number
  readonly maxAge: number | undefined
  readonly requiredClaims: ReadonlyArray<string>
  readonly allowStale: boolean
}

const minute = 60_000
const day = 24 * 60 * minute

const audienceRule = "must be a text, a list of texts, or null for any audience"
const Audience = text(audienceRule, (value) => value !== "")

const policyFields = {
  audience: Schema.NullOr(Schema.Union([Audience, Schema.Array(Audience)])).annotate({ message: audienceRule }),
  typ: text('must be a media type, such as "at+jwt"', (typ) => bareType(typ) !== ""),
  profile: Schema.Literals(["at+jwt", "id_token"]).annotate({ message: 'must be "at+jwt" or "id_token"' }),
  algorithms: listOf(
    JwsAlgorithm.annotate({ message: `must be one of ${allJwsAlgorithms.join(", ")}` }),
    'must be a list of JWS algorithms, such as ["RS256"]',
  ).check(
    Schema.makeFilter(
      (list: ReadonlyArray<unknown>) => list.length > 0 || "must name at least one algorithm, or be left out",
    ),
  ),
  clockTolerance: duration(0, 10 * minute, "must be at most 10 minutes"),
  maxAge: duration(1, 3_650 * day, "must be at least 1 millisecond and at most 3650 days"),
  requireExp: flag,
  requiredClaims: listOf(
    text("must be the name of a claim", (name) => name !== ""),
    'must be a list of claims, such as ["sub"]',
  ),
  allowStale: flag,
}

const PolicyOptions = Schema.Struct(policyFields).mapFields(Struct.map(Schema.optionalKey)).annotate({
  message: "must be an object of options for a verification",
  messageUnexpectedKey: "is no option of a verification; check its spelling",
})

const VerifierOptions = Schema.Struct({ ...policyFields, maxTokenLength: integer(256, 1_048_576) })
  .mapFields(Struct.map(Schema.optionalKey))
  .annotate({
    message: "must be an object of options for the verifier",
    messageUnexpectedKey: "is no option of the verifier; check its spelling",
  })

const checkPolicy = checker(PolicyOptions)
const checkVerifier = checker(VerifierOptions)

const required: Readonly<Record<JwtProfile, ReadonlyArray<string>>> = {
  "at+jwt": ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"],
  id_token: ["iss", "sub", "aud", "exp", "iat"],
}

const definite = (checked: typeof PolicyOptions.Type): Policy => {
  const { audience = [], maxAge, profile, requiredClaims = [], requireExp = true, typ } = checked
  const expectedType = typ ?? (profile === "at+jwt" ? profile : undefined)
  return {
    audience: audience === null || Array.isArray(audience) ? audience : [audience],
    typ: expectedType === undefined ? undefined : bareType(expectedType),
    isIdToken: profile === "id_token",
    algorithms: checked.algorithms ?? allJwsAlgorithms,
    clockTolerance: checked.clockTolerance ?? 0,
    maxAge,
    requiredClaims: [
      ...new Set([
        ...(requireExp ? ["exp"] : []),
        ...(maxAge === undefined ? [] : ["iat"]),
        ...(profile === undefined ? [] : required[profile]),
        ...requiredClaims,
      ]),
    ],
    allowStale: checked.allowStale ?? true,
  }
}

const copyOf = (value: unknown): unknown => (Array.isArray(value) ? Array.from(value) : value)

const invalid = (issues: InvalidRegistration["issues"]) => new InvalidRegistration({ issues })

/** What a layer's options mean. */
export interface VerifierSettings {
  readonly defaults: VerifyPolicy
  readonly maxTokenLength: number
}

/** Checks the options of the layer. */
export const resolveVerifier = (options: JwtVerifierOptions): Result.Result<VerifierSettings, InvalidRegistration> =>
  Result.mapBoth(checkVerifier(options), {
    onFailure: invalid,
    onSuccess: ({ maxTokenLength = 16_384 }) => {
      const { maxTokenLength: _, ...given } = options
      // What was checked is what holds, whatever becomes of the caller's lists.
      const defaults: VerifyPolicy = Object.fromEntries(
        Object.entries(given).map(([field, value]) => [field, copyOf(value)]),
      )
      return { defaults, maxTokenLength }
    },
  })

/** How many different policies are remembered. */
const remembered = 16

const fields = [
  "audience",
  "typ",
  "profile",
  "algorithms",
  "clockTolerance",
  "maxAge",
  "requireExp",
  "requiredClaims",
  "allowStale",
] as const satisfies ReadonlyArray<keyof VerifyPolicy>

const names: ReadonlySet<string> = new Set([...fields, "provider", "issuer", "claims"])

const isSame = (a: unknown, b: unknown): boolean =>
  a === b ||
  (Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => item === b[index]))

/** Unrolled, since every verification comes by here. */
const isGiven = (given: VerifyPolicy, options: VerifyPolicy): boolean =>
  isSame(given.audience, options.audience) &&
  given.typ === options.typ &&
  given.profile === options.profile &&
  isSame(given.algorithms, options.algorithms) &&
  given.clockTolerance === options.clockTolerance &&
  given.maxAge === options.maxAge &&
  given.requireExp === options.requireExp &&
  isSame(given.requiredClaims, options.requiredClaims) &&
  given.allowStale === options.allowStale

/**
 * Policies by what was given, not by the object that it was given in: callers write their options inline, and may change
 * an object that they have used before. A list of few, compared by fields, costs less than a check.
 */
export class Policies {
  readonly #defaults: VerifyPolicy
  #known: Array<{ readonly given: VerifyPolicy; readonly policy: Policy }> = []

  constructor(defaults: VerifyPolicy) {
    this.#defaults = defaults
  }

  /** Throws `InvalidRegistration` for options that break a rule: a bug of the caller's, not of the token. */
  of(options: VerifyOptions): Policy {
    // What is misspelt would be asked of no token.
    for (const name in options) {
      if (!names.has(name)) throw invalid([{ field: name, rule: "is no option of a verification; check its spelling" }])
    }
    for (const known of this.#known) {
      if (isGiven(known.given, options)) return known.policy
    }
    const policy = definite(Result.getOrThrowWith(checkPolicy(this.#merged(options)), invalid))
    const given: VerifyPolicy = Object.fromEntries(fields.map((field) => [field, copyOf(options[field])]))
    this.#known = [{ given, policy }, ...this.#known.slice(0, remembered - 1)]
    return policy
  }

  #merged(options: VerifyPolicy): VerifyPolicy {
    const given = fields.flatMap((field) => (options[field] === undefined ? [] : [[field, options[field]] as const]))
    return { ...this.#defaults, ...Object.fromEntries(given) }
  }
}
