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
import { type KeyAlgorithms, keyAlgorithmsOf, type KeyKind, keyKind } from "./KeyKind.ts"
import { KeysByKid } from "./KeysByKid.ts"
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
const hasPrivateMember = ({ d, dp, dq, k, p, priv, q, qi }: Members): boolean =>
  d !== undefined ||
  p !== undefined ||
  q !== undefined ||
  dp !== undefined ||
  dq !== undefined ||
  qi !== undefined ||
  k !== undefined ||
  priv !== undefined

const utf8 = new TextEncoder()
/** As long as the longest `kid` in bytes. */
const kidRoom = new Uint8Array(1024)

const isKid = (value: unknown): value is string =>
  // A character takes at most three bytes.
  typeof value === "string" &&
  (value.length * 3 <= kidRoom.length || utf8.encodeInto(value, kidRoom).read === value.length)

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
const isKept = (name: string, value: unknown): boolean => {
  if (textMembers.has(name)) return typeof value === "string"
  if (name === "key_ops" || name === "oth") return !isEmptyList(value)
  if (name === "x5c") return isTextList(value)
  return name !== "__proto__"
}

/** A key of which the numbers can still be spelled anew. */
type Spellable = { kty: string } & { -readonly [Name in keyof PublicNumbers]: PublicNumbers[Name] }

const isTextOrAbsent = (value: unknown): boolean => value === undefined || typeof value === "string"

/** Whether every member {@link isKept}: true of nearly all keys, and found without a look at their other members. */
const isAllKept = (key: Members): boolean =>
  isTextOrAbsent(key["use"]) &&
  isTextOrAbsent(key["alg"]) &&
  isTextOrAbsent(key["kid"]) &&
  isTextOrAbsent(key["x5u"]) &&
  isTextOrAbsent(key["x5t"]) &&
  isTextOrAbsent(key["x5t#S256"]) &&
  isTextOrAbsent(key["n"]) &&
  isTextOrAbsent(key["e"]) &&
  isTextOrAbsent(key["crv"]) &&
  isTextOrAbsent(key["x"]) &&
  isTextOrAbsent(key["y"]) &&
  isTextOrAbsent(key["pub"]) &&
  !isEmptyList(key["key_ops"]) &&
  !isEmptyList(key["oth"]) &&
  (key["x5c"] === undefined || isTextList(key["x5c"])) &&
  !Object.hasOwn(key, "__proto__")

const keptMembers = (key: Members): Members => {
  const kept: Record<string, unknown> = {}
  for (const name in key) if (isKept(name, key[name])) kept[name] = key[name]
  return kept
}

const canonicalJwk = (kty: string, key: Members, numbers: PublicNumbers): Jwk => {
  const jwk: Spellable = { ...(isAllKept(key) ? key : keptMembers(key)), kty }
  // Few of them are spelled anew, and to write a member takes longer than to look at it.
  const { e, n, pub, x, y } = numbers
  if (x !== undefined && x !== jwk.x) jwk.x = x
  if (y !== undefined && y !== jwk.y) jwk.y = y
  if (n !== undefined && n !== jwk.n) jwk.n = n
  if (e !== undefined && e !== jwk.e) jwk.e = e
  if (pub !== undefined && pub !== jwk.pub) jwk.pub = pub
  return freezeJson(jwk)
}

/** What of the settings decides about one key. */
interface KeyRules {
  readonly algorithms: (kind: KeyKind, alg: unknown) => KeyAlgorithms
  readonly minRsaBits: number
}

const judgeKey = (key: unknown, rules: KeyRules): Result.Result<UsableKey, DropReason> => {
  if (!isObject(key) || typeof key["kty"] !== "string") return Result.fail("Malformed")
  const { alg, crv, kid, kty } = key
  if (kty === "oct") return Result.fail("SymmetricKey")
  if (hasPrivateMember(key)) return Result.fail("PrivateKey")
  const kind = keyKind(kty, crv)
  if (Result.isFailure(kind)) return Result.fail(kind.failure)
  if (kid !== undefined && !isKid(kid)) return Result.fail("InvalidKid")
  if (!mayVerify(key)) return Result.fail("NotForSignatures")
  const algorithms = rules.algorithms(kind.success, alg)
  if (Result.isFailure(algorithms)) return Result.fail(algorithms.failure)
  const numbers = publicNumbers(kind.success, key, rules.minRsaBits)
  if (Result.isFailure(numbers)) return Result.fail(numbers.failure)
  const jwk = canonicalJwk(kty, key, numbers.success)
  return Result.succeed({ kid, jwk, thumbprint: thumbprint(jwk), algorithms: algorithms.success })
}

// -----------------------------------------------------------------------------
// The set
// -----------------------------------------------------------------------------

const droppedKey = (key: unknown, reason: DropReason): DroppedKey =>
  isObject(key) && isKid(key["kid"]) ? { kid: key["kid"], reason } : { reason }

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
  const byKid = new KeysByKid()
  const dropped: Array<DroppedKey> = []
  const rules: KeyRules = { algorithms: keyAlgorithmsOf(settings.algorithms), minRsaBits: settings.minRsaBits }
  for (const entry of source) {
    const judged = judgeKey(entry, rules)
    if (Result.isFailure(judged)) {
      dropped.push(droppedKey(entry, judged.failure))
      continue
    }
    const key = judged.success
    if (byKid.add(key)) keys.push(key)
  }
  return { keys, byKid: byKid.lists, dropped, source }
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
