/**
 * Finds the one key of a set that a token asks for.
 */
import { type DropReason, isUnwanted, type ParsedJwks, type UsableKey } from "./Jwks.ts"

/** What a token says about its key. */
export interface KeyQuery {
  /** The token's `kid`; `undefined` where it has none. */
  readonly kid: string | undefined
  /** The token's `alg`: only keys that may verify it fit. */
  readonly alg?: string | undefined
  /** Keys that are not wanted: the token's signature does not match them. */
  readonly notThumbprint?: string | ReadonlyArray<string> | undefined
}

/** What a set has for a {@link KeyQuery}. */
export type KeySelection =
  /** One key fits. */
  | { readonly _tag: "Found"; readonly key: UsableKey }
  /** Different keys fit. */
  | { readonly _tag: "Ambiguous"; readonly thumbprints: ReadonlyArray<string> }
  /** The document holds this kid, but its key was dropped, or does not fit `alg` (`AlgorithmMismatch`). */
  | { readonly _tag: "Dropped"; readonly reason: DropReason }
  /** The document says nothing; a newer one may. */
  | { readonly _tag: "Absent" }

const absent: KeySelection = { _tag: "Absent" }

const fits = (key: UsableKey, alg: string): boolean => key.algorithms.some((algorithm) => algorithm === alg)

const noneLeft = (parsed: ParsedJwks, query: KeyQuery, candidates: ReadonlyArray<UsableKey>): KeySelection => {
  // Without the unwanted key, only a newer document can help.
  if (candidates.some(({ thumbprint }) => isUnwanted(query, thumbprint))) return absent
  // No kid says that the document meant one of these: a provider that rotates to another algorithm is asked again.
  if (query.kid === undefined) return absent
  if (candidates.length > 0) return { _tag: "Dropped", reason: "AlgorithmMismatch" }
  const dropped = parsed.dropped.find((key) => key.kid === query.kid)
  return dropped === undefined ? absent : { _tag: "Dropped", reason: dropped.reason }
}

/**
 * Selects by `kid`, or among all keys where the token has none; `alg` and `notThumbprint` narrow down.
 * Entries of one thumbprint are one key, and the first of them is the answer.
 */
export const select = (parsed: ParsedJwks, query: KeyQuery): KeySelection => {
  const { alg, kid } = query
  const candidates = kid === undefined ? parsed.keys : (parsed.byKid.get(kid) ?? [])
  const fitting = candidates.filter(
    (key) => !isUnwanted(query, key.thumbprint) && (alg === undefined || fits(key, alg)),
  )
  const [key] = fitting
  if (key === undefined) return noneLeft(parsed, query, candidates)
  const thumbprints = new Set(fitting.map((other) => other.thumbprint))
  return thumbprints.size === 1 ? { _tag: "Found", key } : { _tag: "Ambiguous", thumbprints: [...thumbprints] }
}
