/**
 * What changed from one key set to the next, by thumbprint.
 */
import type { KeyChanges } from "../Resolved.ts"
import type { ParsedJwks } from "./Jwks.ts"

const thumbprintsOf = (parsed: ParsedJwks | undefined): ReadonlySet<string> =>
  new Set(parsed?.keys.map((key) => key.thumbprint))

/** The thumbprint of a `kid` that names exactly one key. */
const soleThumbprint = (parsed: ParsedJwks, kid: string): string | undefined => {
  const thumbprints = new Set(parsed.byKid.get(kid)?.map((key) => key.thumbprint))
  const [thumbprint] = thumbprints
  return thumbprints.size === 1 ? thumbprint : undefined
}

const changedKids = (before: ParsedJwks, after: ParsedJwks): KeyChanges["changed"] =>
  [...after.byKid.keys()].flatMap((kid) => {
    if (kid === undefined) return []
    const from = soleThumbprint(before, kid)
    const to = soleThumbprint(after, kid)
    return from === undefined || to === undefined || from === to ? [] : [{ kid, from, to }]
  })

/**
 * Compares two sets. A `kid` that named one key and now names another is `changed`, and those two keys
 * are then neither `added` nor `removed`. Everything is in document order.
 */
export const diff = (before: ParsedJwks | undefined, after: ParsedJwks): KeyChanges => {
  const changed = before === undefined ? [] : changedKids(before, after)
  const former = thumbprintsOf(before)
  const current = thumbprintsOf(after)
  const replaced = new Set(changed.map(({ from }) => from))
  const replacing = new Set(changed.map(({ to }) => to))
  return {
    added: [...current].filter((thumbprint) => !former.has(thumbprint) && !replacing.has(thumbprint)),
    removed: [...former].filter((thumbprint) => !current.has(thumbprint) && !replaced.has(thumbprint)),
    changed,
  }
}
