/**
 * Which keys of a JWK Set may verify signatures, and why the others may not. A key that can not be
 * used is dropped alone, never the set with it (RFC 7517 section 5).
 *
 * A key is dropped for the first of these that applies, so that a document always gives the same
 * answer: `Malformed`, `SymmetricKey`, `PrivateKey`, `UnsupportedKeyType`, `UnsupportedCurve`,
 * `InvalidKid`, `NotForSignatures`, `AlgorithmMismatch`, `AlgorithmNotAllowed`, then what is wrong with
 * its numbers: `RsaMultiPrime`, `InvalidEncoding`, `RsaModulusTooSmall`, `RsaModulusTooLarge`,
 * `RsaModulusEven`, `RsaExponentInvalid`, `InvalidPoint`, `InvalidPublicKey`. What is worst, or what
 * no policy could change, comes first; what costs most, last.
 *
 * A member that is present counts, whatever its value: `null` is no string and no list.
 */
import * as Result from "effect/Result"
import type { ResolvedSettings } from "../Provider.ts"
import { freezeJson } from "./FrozenJson.ts"
import type { Jwk } from "./Jwk.ts"
import type { DroppedKey, DropReason, ParsedJwks, UsableKey } from "./Jwks.ts"
import { keyAlgorithms, keyKind } from "./KeyKind.ts"
import { publicNumbers, type PublicNumbers } from "./PublicNumbers.ts"
import { thumbprint } from "./Thumbprint.ts"

export { diff } from "./JwksDiff.ts"
export { select } from "./JwksLookup.ts"

/** What of a provider's settings decides about keys. */
export type KeyPolicySettings = Pick<ResolvedSettings, "algorithms" | "minRsaBits" | "maxKeys">

/** Why a body is no JWK Set: a readable phrase that never quotes the body. */
export interface BodyRule {
  readonly rule: string
}

type Members = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0

// -----------------------------------------------------------------------------
// One key
// -----------------------------------------------------------------------------

/** RFC 7518 sections 6.2.2, 6.3.2 and 6.4, RFC 9964; `oth` is judged with the RSA numbers. */
const privateMembers = ["d", "p", "q", "dp", "dq", "qi", "k", "priv"]

const maxKidBytes = 1024
const utf8 = new TextEncoder()

const isKid = (value: unknown): value is string =>
  // A character takes at most three bytes.
  typeof value === "string" &&
  (value.length * 3 <= maxKidBytes || (value.length <= maxKidBytes && utf8.encode(value).length <= maxKidBytes))

const isTextList = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((item) => typeof item === "string")

const mayVerify = ({ key_ops, use }: Members): boolean =>
  (use === undefined || use === "sig") &&
  (key_ops === undefined || isEmptyList(key_ops) || (isTextList(key_ops) && key_ops.includes("verify")))

const textMembers = new Set(["kty", "use", "alg", "kid", "x5u", "x5t", "x5t#S256", "n", "e", "crv", "x", "y", "pub"])

/**
 * Left out of the key: empty `key_ops` and `oth`, members whose type contradicts {@link Jwk} (all that
 * matter to the policy were judged before), and `__proto__`, which would become the prototype of
 * whatever the key is assigned to.
 */
const isKept = ([name, value]: [string, unknown]): boolean => {
  if (textMembers.has(name)) return typeof value === "string"
  if (name === "key_ops" || name === "oth") return !isEmptyList(value)
  if (name === "x5c") return isTextList(value)
  return name !== "__proto__"
}

const canonicalJwk = (kty: string, key: Members, numbers: PublicNumbers): Jwk =>
  freezeJson({ ...Object.fromEntries(Object.entries(key).filter(isKept)), kty, ...numbers })

const judgeKey = (key: unknown, settings: Omit<KeyPolicySettings, "maxKeys">): Result.Result<UsableKey, DropReason> => {
  if (!isObject(key) || typeof key["kty"] !== "string") return Result.fail("Malformed")
  const { alg, crv, kid, kty } = key
  if (kty === "oct") return Result.fail("SymmetricKey")
  if (privateMembers.some((name) => key[name] !== undefined)) return Result.fail("PrivateKey")
  const kind = keyKind(kty, crv)
  if (Result.isFailure(kind)) return Result.fail(kind.failure)
  if (kid !== undefined && !isKid(kid)) return Result.fail("InvalidKid")
  if (!mayVerify(key)) return Result.fail("NotForSignatures")
  const algorithms = keyAlgorithms(kind.success, alg, settings.algorithms)
  if (Result.isFailure(algorithms)) return Result.fail(algorithms.failure)
  const numbers = publicNumbers(kind.success, key, settings.minRsaBits)
  if (Result.isFailure(numbers)) return Result.fail(numbers.failure)
  const jwk = canonicalJwk(kty, key, numbers.success)
  return Result.succeed({ kid, jwk, thumbprint: thumbprint(jwk), algorithms: algorithms.success })
}

// -----------------------------------------------------------------------------
// The set
// -----------------------------------------------------------------------------

const droppedKey = (key: unknown, reason: DropReason): DroppedKey =>
  isObject(key) && isKid(key["kid"]) ? { kid: key["kid"], reason } : { reason }

const identity = ({ algorithms, kid, thumbprint }: UsableKey): string => JSON.stringify([thumbprint, algorithms, kid])

/**
 * Judges the entries of a JWK Set. The same key twice (`kid`, thumbprint and algorithms) is one entry.
 *
 * **Details**
 *
 * Also judges a held set again under another policy, from its `source`; `maxKeys` is not looked at here.
 *
 * **Gotchas**
 *
 * Objects and lists inside the members of usable keys are shared with `source` and frozen there.
 */
export const judge = (source: ReadonlyArray<unknown>, settings: Omit<KeyPolicySettings, "maxKeys">): ParsedJwks => {
  const keys: Array<UsableKey> = []
  const byKid = new Map<string | undefined, Array<UsableKey>>()
  const dropped: Array<DroppedKey> = []
  const known = new Set<string>()
  for (const entry of source) {
    const judged = judgeKey(entry, settings)
    if (Result.isFailure(judged)) {
      dropped.push(droppedKey(entry, judged.failure))
      continue
    }
    const key = judged.success
    const id = identity(key)
    if (known.has(id)) continue
    known.add(id)
    keys.push(key)
    const namesakes = byKid.get(key.kid)
    if (namesakes === undefined) byKid.set(key.kid, [key])
    else namesakes.push(key)
  }
  return { keys, byKid, dropped, source }
}

// -----------------------------------------------------------------------------
// The document
// -----------------------------------------------------------------------------

/** Refuses what is not UTF-8 (RFC 8259 section 8.1); a byte order mark in front is left out. */
const strictUtf8 = new TextDecoder("utf-8", { fatal: true })

const refuse = (rule: string): Result.Result<never, BodyRule> => Result.fail({ rule })

/** Reads a JWK Set (RFC 7517 section 5) and judges its keys. Of members that occur twice the last counts. */
export const parseDocument = (body: Uint8Array, settings: KeyPolicySettings): Result.Result<ParsedJwks, BodyRule> => {
  const text = Result.try(() => strictUtf8.decode(body))
  if (Result.isFailure(text)) return refuse("the body is not UTF-8 text")
  const document = Result.try((): unknown => JSON.parse(text.success))
  if (Result.isFailure(document)) return refuse("the body is not JSON, or nests too deeply")
  if (!isObject(document.success)) return refuse("the body is not a JSON object")
  const { keys } = document.success
  if (!Array.isArray(keys)) return refuse("the body has no list `keys`")
  if (keys.length > settings.maxKeys) return refuse(`the list \`keys\` has more than ${settings.maxKeys} entries`)
  return Result.succeed(judge(keys, settings))
}
