/**
 * What a caller asks of tokens, checked and made definite: milliseconds, nothing absent.
 */
import { allJwsAlgorithms, InvalidRegistration, JwsAlgorithm } from "@effect-jwks/core"
import { checker, duration, flag, integer, listOf, text } from "@effect-jwks/core/OptionSchema"
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import type { AnyVerifyOptions, JwtProfile, JwtVerifierOptions, VerifyPolicy } from "../VerifyOptions.ts"
import { bareType } from "./MediaType.ts"

/** What a token has to be. */
export interface Policy {
  /** `null`: anybody. Empty: nobody, so that a token with an audience is refused. */
  readonly audience: ReadonlyArray<string> | null
  /** In lower case and without `application/`. */
  readonly typ: string | undefined
  readonly isAccessToken: boolean
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

/** Options that were checked: durations in milliseconds. */
type Checked = typeof PolicyOptions.Type

const definite = (checked: Checked): Policy => {
  const { audience = [], maxAge, profile, requiredClaims = [], requireExp = true, typ } = checked
  const expectedType = typ ?? (profile === "at+jwt" ? profile : undefined)
  return {
    audience: audience === null || Array.isArray(audience) ? audience : [audience],
    typ: expectedType === undefined ? undefined : bareType(expectedType),
    isAccessToken: profile === "at+jwt",
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

const invalid = (issues: InvalidRegistration["issues"]) => new InvalidRegistration({ issues })

/** A profile says what the type is; who names both may mean either. */
const unlessTwice = <A extends Checked>(checked: A): Result.Result<A, InvalidRegistration["issues"]> =>
  checked.profile !== undefined && checked.typ !== undefined
    ? Result.fail([{ field: "typ", rule: "is said by the profile: leave one of them out" }])
    : Result.succeed(checked)

const copyOf = <A>(list: A): A | ReadonlyArray<unknown> => (Array.isArray(list) ? Array.from(list) : list)

/** What a layer's options mean. */
export interface VerifierSettings {
  readonly defaults: Checked
  readonly maxTokenLength: number
}

/** Checks the options of the layer. */
export const resolveVerifier = (options: JwtVerifierOptions): Result.Result<VerifierSettings, InvalidRegistration> =>
  Result.mapBoth(Result.flatMap(checkVerifier(options), unlessTwice), {
    onFailure: invalid,
    onSuccess: ({ maxTokenLength = 16_384, ...checked }) => {
      // What was checked is what holds, whatever becomes of the caller's lists.
      const defaults: Checked = Object.fromEntries(
        Object.entries(checked).map(([field, value]) => [field, copyOf(value)]),
      )
      return { defaults, maxTokenLength }
    },
  })

/** How many different policies are remembered; the oldest goes first. */
const remembered = 1_024

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

/** Those that are no policy, and what they have to be. */
const others: Readonly<Record<string, { readonly isRight: (value: unknown) => boolean; readonly rule: string }>> = {
  provider: { isRight: (value) => typeof value === "string", rule: "must be the name of a provider" },
  issuer: {
    isRight: (value) =>
      typeof value === "string" ||
      typeof value === "function" ||
      (Array.isArray(value) && value.every((one) => typeof one === "string")),
    rule: "must be a text, a list of texts, or a function",
  },
  claims: { isRight: Schema.isSchema, rule: "must be a schema" },
}

const policyNames: ReadonlySet<string> = new Set(fields)

/** What is misspelt would be asked of no token. */
const checkNames = (options: AnyVerifyOptions): void => {
  if (typeof options !== "object" || options === null) {
    throw invalid([{ field: "", rule: "must be an object of options for a verification" }])
  }
  for (const name in options) {
    if (policyNames.has(name)) continue
    const other = Object.hasOwn(others, name) ? others[name] : undefined
    const value: unknown = Reflect.get(options, name)
    if (other === undefined) {
      throw invalid([{ field: name, rule: "is no option of a verification; check its spelling" }])
    }
    if (value !== undefined && !other.isRight(value)) throw invalid([{ field: name, rule: other.rule }])
  }
}

const isSame = (a: unknown, b: unknown): boolean =>
  a === b ||
  (Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => item === b[index]))

/** A duration that does not change under its reader's hands; one that makes no sense is like no other. */
const settled = (duration: Duration.Input | undefined): unknown =>
  typeof duration === "object" && duration !== null
    ? Result.getOrElse(
        Result.try(() => Duration.toMillis(Duration.fromInputUnsafe(duration))),
        () => Number.NaN,
      )
    : duration

/** What was given, as it was then. */
type Given = { readonly [field in (typeof fields)[number]]: unknown }

const givenIn = (options: VerifyPolicy): Given => ({
  audience: copyOf(options.audience),
  typ: options.typ,
  profile: options.profile,
  algorithms: copyOf(options.algorithms),
  clockTolerance: settled(options.clockTolerance),
  maxAge: settled(options.maxAge),
  requireExp: options.requireExp,
  requiredClaims: copyOf(options.requiredClaims),
  allowStale: options.allowStale,
})

/** Whether the same is given once more. */
const isGiven = (given: Given, options: VerifyPolicy): boolean =>
  isSame(given.audience, options.audience) &&
  given.typ === options.typ &&
  given.profile === options.profile &&
  isSame(given.algorithms, options.algorithms) &&
  given.clockTolerance === settled(options.clockTolerance) &&
  given.maxAge === settled(options.maxAge) &&
  given.requireExp === options.requireExp &&
  isSame(given.requiredClaims, options.requiredClaims) &&
  given.allowStale === options.allowStale

/** JSON tells these apart, and nothing else for sure. */
const isPlain = (value: unknown): boolean =>
  value === null || ["undefined", "string", "boolean"].includes(typeof value) || Number.isFinite(value)

const keyOf = (given: Given): string | undefined =>
  Object.values(given).every((value) => (Array.isArray(value) ? value.every(isPlain) : isPlain(value)))
    ? JSON.stringify(given)
    : undefined

/**
 * Policies by what was given, not by the object that it was given in: callers write their options inline, and may change
 * an object that they have used before. To know them again costs less than to check them.
 */
export class Policies {
  readonly #defaults: Checked
  readonly #known = new Map<string, Policy>()
  /** The latest one: most callers always ask for the same. */
  #last: { readonly given: Given; readonly policy: Policy } | undefined

  constructor(defaults: Checked) {
    this.#defaults = defaults
  }

  /** Throws `InvalidRegistration` for options that break a rule: a bug of the caller's, not of the token. */
  of(options: AnyVerifyOptions): Policy {
    checkNames(options)
    if (this.#last !== undefined && isGiven(this.#last.given, options)) return this.#last.policy
    const given = givenIn(options)
    const key = keyOf(given)
    const policy = (key === undefined ? undefined : this.#known.get(key)) ?? definite(this.#checked(options))
    this.#last = { given, policy }
    if (key === undefined) return policy
    const [oldest] = this.#known.size < remembered ? [] : this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
    this.#known.set(key, policy)
    return policy
  }

  /** The caller's options over the layer's: his `typ` changes the type alone, and his `profile` the type, too. */
  #checked(options: VerifyPolicy): Checked {
    const own = fields.flatMap((field) => (options[field] === undefined ? [] : [[field, options[field]] as const]))
    const checked = Result.flatMap(checkPolicy(Object.fromEntries(own)), unlessTwice)
    const { profile, typ, ...asked } = Result.getOrThrowWith(checked, invalid)
    if (profile !== undefined) return { ...Struct.omit(this.#defaults, ["typ"]), ...asked, profile }
    return { ...this.#defaults, ...asked, ...(typ !== undefined && { typ }) }
  }
}

/** Checks the options of verifications to come. */
export const checkOptions = (options: AnyVerifyOptions): Result.Result<Policy, InvalidRegistration> =>
  Result.try({
    try: () => new Policies({}).of(options),
    catch: (thrown) => {
      if (thrown instanceof InvalidRegistration) return thrown
      throw thrown
    },
  })

/** All that a verification reads, and a look-up by the bridge. */
const names = [...fields, ...Object.keys(others), "alg", "notThumbprint", "signal"]

/**
 * Options that are to be taken apart, in an object of their own: what a class has as getters is no member of its objects,
 * and a rest would lose it.
 */
export const whole = <O extends object>(options: O): O => {
  const prototype: unknown = Object.getPrototypeOf(options)
  if (prototype === Object.prototype || prototype === null) return options
  const read = names.flatMap((name) => (name in options ? [[name, Reflect.get(options, name)] as const] : []))
  return Object.assign({}, options, Object.fromEntries<unknown>(read))
}
