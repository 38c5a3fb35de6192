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
import { type BodyRule, isJsonObject, type JsonMembers, parseJsonObject, refuse } from "../JsonObject.ts"
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

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0

// -----------------------------------------------------------------------------
// One key
// -----------------------------------------------------------------------------

const utf8 = new TextEncoder()
/** As long as the longest `kid` in bytes. */
const kidRoom = new Uint8Array(1024)

const isKid = (value: unknown): value is string =>
  // A character takes at most three bytes.
  typeof value === "string" &&
  (value.length * 3 <= kidRoom.length || utf8.encodeInto(value, kidRoom).read === value.length)

const isTextList = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((item) => typeof item === "string")

const mayVerify = ({ key_ops, use }: JsonMembers): boolean =>
  (use === undefined || use === "sig") &&
  (key_ops === undefined || isEmptyList(key_ops) || (isTextList(key_ops) && key_ops.includes("verify")))

/** What one look at a member tells of its key. */
const privateTrait = 1
const leftOutTrait = 2
const containerTrait = 4

/**
 * Left out of the key: empty `key_ops` and `oth`, members whose type contradicts {@link Jwk} (all that
 * matter to the policy are judged by themselves), and `__proto__`, which would become the prototype of
 * whatever the key is assigned to. Private are the members of RFC 7518 sections 6.2.2, 6.3.2 and 6.4, and
 * of RFC 9964; `oth` is judged with the RSA numbers.
 */
const traitsOf = (name: string, value: unknown): number => {
  switch (name) {
    case "d":
    case "p":
    case "q":
    case "dp":
    case "dq":
    case "qi":
    case "k":
    case "priv":
      return privateTrait
    case "kty":
    case "use":
    case "alg":
    case "kid":
    case "x5u":
    case "x5t":
    case "x5t#S256":
    case "n":
    case "e":
    case "crv":
    case "x":
    case "y":
    case "pub":
      return typeof value === "string" ? 0 : leftOutTrait
    case "key_ops":
    case "oth":
      return isEmptyList(value) ? leftOutTrait : containerTrait
    case "x5c":
      return isTextList(value) ? containerTrait : leftOutTrait
    case "__proto__":
      return leftOutTrait
    default:
      return typeof value === "object" ? containerTrait : 0
  }
}

/** Those of all members: a key may have a hundred thousand of them, or a document thousands of keys. */
const traitsOfAll = (key: JsonMembers): number => {
  let traits = 0
  for (const name in key) traits |= traitsOf(name, key[name])
  return traits
}

const keptMembers = (key: JsonMembers): JsonMembers => {
  const kept: Record<string, unknown> = {}
  for (const name in key) if ((traitsOf(name, key[name]) & leftOutTrait) === 0) kept[name] = key[name]
  return kept
}

/** A key of which the numbers can still be spelled anew. */
type Spellable = { kty: string } & { -readonly [Name in keyof PublicNumbers]: PublicNumbers[Name] }

const canonicalJwk = (kty: string, key: JsonMembers, traits: number, numbers: PublicNumbers): Jwk => {
  const jwk: Spellable = { ...((traits & leftOutTrait) === 0 ? key : keptMembers(key)), kty }
  // Few of them are spelled anew, and to write a member takes longer than to look at it.
  const { e, n, pub, x, y } = numbers
  if (x !== undefined && x !== jwk.x) jwk.x = x
  if (y !== undefined && y !== jwk.y) jwk.y = y
  if (n !== undefined && n !== jwk.n) jwk.n = n
  if (e !== undefined && e !== jwk.e) jwk.e = e
  if (pub !== undefined && pub !== jwk.pub) jwk.pub = pub
  return (traits & containerTrait) === 0 ? Object.freeze(jwk) : freezeJson(jwk)
}

/** What of the settings decides about one key. */
interface KeyRules {
  readonly algorithms: (kind: KeyKind, alg: unknown) => KeyAlgorithms
  readonly minRsaBits: number
}

const judgeKey = (key: unknown, rules: KeyRules): Result.Result<UsableKey, DropReason> => {
  if (!isJsonObject(key) || typeof key["kty"] !== "string") return Result.fail("Malformed")
  const { alg, crv, kid, kty } = key
  if (kty === "oct") return Result.fail("SymmetricKey")
  const traits = traitsOfAll(key)
  if ((traits & privateTrait) !== 0) return Result.fail("PrivateKey")
  const kind = keyKind(kty, crv)
  if (Result.isFailure(kind)) return Result.fail(kind.failure)
  if (kid !== undefined && !isKid(kid)) return Result.fail("InvalidKid")
  if (!mayVerify(key)) return Result.fail("NotForSignatures")
  const algorithms = rules.algorithms(kind.success, alg)
  if (Result.isFailure(algorithms)) return Result.fail(algorithms.failure)
  const numbers = publicNumbers(kind.success, key, rules.minRsaBits)
  if (Result.isFailure(numbers)) return Result.fail(numbers.failure)
  const jwk = canonicalJwk(kty, key, traits, numbers.success)
  return Result.succeed({ kid, jwk, thumbprint: thumbprint(jwk), algorithms: algorithms.success })
}

// -----------------------------------------------------------------------------
// The set
// -----------------------------------------------------------------------------

const droppedKey = (key: unknown, reason: DropReason): DroppedKey =>
  isJsonObject(key) && isKid(key["kid"]) ? { kid: key["kid"], reason } : { reason }

const isSecret = (reason: DropReason): boolean => reason === "PrivateKey" || reason === "SymmetricKey"

/** What is kept of a key that nobody should have published: that it was there, so that it is dropped for the same reason again. */
const withoutSecret = (key: unknown, reason: DropReason): JsonMembers => {
  const { kid, kty } = isJsonObject(key) ? key : {}
  return { kty, ...(isKid(kid) && { kid }), ...(reason === "PrivateKey" && { d: "" }) }
}

/**
 * Judges the entries of a JWK Set. The same key twice (`kid`, thumbprint and algorithms) is one entry.
 *
 * **Details**
 *
 * Also judges a held set again under another policy, from its `source`, in which secrets that were published
 * are blotted out; `maxKeys` is not looked at here.
 *
 * **Gotchas**
 *
 * Objects and lists inside the members of usable keys are shared with `source` and frozen there.
 */
export const judge = (source: ReadonlyArray<unknown>, settings: Omit<KeyPolicySettings, "maxKeys">): ParsedJwks => {
  const keys: Array<UsableKey> = []
  const byKid = new KeysByKid()
  const dropped: Array<DroppedKey> = []
  const droppedAt: Array<number> = []
  const rules: KeyRules = { algorithms: keyAlgorithmsOf(settings.algorithms), minRsaBits: settings.minRsaBits }
  let kept: Array<unknown> | undefined
  for (const [index, entry] of source.entries()) {
    const judged = judgeKey(entry, rules)
    if (Result.isFailure(judged)) {
      dropped.push(droppedKey(entry, judged.failure))
      droppedAt.push(index)
      if (isSecret(judged.failure)) (kept ??= source.slice())[index] = withoutSecret(entry, judged.failure)
      continue
    }
    const key = judged.success
    if (byKid.add(key)) keys.push(key)
  }
  return { keys, byKid: byKid.lists, dropped, droppedAt, source: kept ?? source }
}

// -----------------------------------------------------------------------------
// The document
// -----------------------------------------------------------------------------

/** Reads a JWK Set (RFC 7517 section 5) and judges its keys. Of members that occur twice the last counts. */
export const parseDocument = (body: Uint8Array, settings: KeyPolicySettings): Result.Result<ParsedJwks, BodyRule> => {
  const document = parseJsonObject(body)
  if (Result.isFailure(document)) return Result.fail(document.failure)
  const { keys } = document.success
  if (!Array.isArray(keys)) return refuse("the body has no list `keys`")
  if (keys.length > settings.maxKeys) return refuse(`the list \`keys\` has more than ${settings.maxKeys} entries`)
  return Result.succeed(judge(keys, settings))
}
