/**
 * The keys that an event or a forced refresh speaks about, one by one, for an audit trail that can be read.
 */
import { isRecord } from "./Wire.ts"

/** One key that appeared, vanished, was replaced under its kid, or was dropped. */
export interface KeyChange {
  readonly kind: "added" | "removed" | "changed" | "dropped"
  readonly kid: string | undefined
  /** RFC 7638 thumbprint: of the key, or of the one that took its place. */
  readonly thumbprint: string | undefined
  /** The thumbprint that the kid named before. */
  readonly previous: string | undefined
  /** Why it was dropped. */
  readonly reason: string | undefined
}

const texts = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value) ? value.filter((each) => typeof each === "string") : []

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

const change = (kind: KeyChange["kind"], members: Partial<Omit<KeyChange, "kind">>): KeyChange => ({
  kind,
  kid: undefined,
  thumbprint: undefined,
  previous: undefined,
  reason: undefined,
  ...members,
})

/** What `details` tells about keys: those changed under one kid first, since that is what breaks logins. */
export const keyChanges = (tag: string, details: Readonly<Record<string, unknown>>): ReadonlyArray<KeyChange> => {
  if (tag === "KeyDropped") return [change("dropped", { kid: text(details["kid"]), reason: text(details["reason"]) })]
  const kids = isRecord(details["kids"]) ? details["kids"] : {}
  const changed = Array.isArray(details["changed"]) ? details["changed"].filter(isRecord) : []
  // A key that changed under its kid is also an added and a removed one; it is told once.
  const told = new Set(changed.flatMap(({ from, to }) => [from, to]))
  const plain = (kind: "added" | "removed", value: unknown): ReadonlyArray<KeyChange> =>
    texts(value)
      .filter((thumbprint) => !told.has(thumbprint))
      .map((thumbprint) => change(kind, { kid: text(kids[thumbprint]), thumbprint }))
  return [
    ...changed.map(({ kid, from, to }) =>
      change("changed", { kid: text(kid), previous: text(from), thumbprint: text(to) }),
    ),
    ...plain("added", details["added"]),
    ...plain("removed", details["removed"]),
  ]
}
