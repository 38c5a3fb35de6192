/**
 * Freezes values that came from JSON, however deep they nest.
 */

/**
 * Freezes `value` and everything in it, in place.
 *
 * **Gotchas**
 *
 * What is frozen already is taken to be frozen through and through.
 */
export const freezeJson = <A>(value: A): A => {
  // A stack of our own: a document of 1 MiB can nest deeper than the call stack reaches.
  const pending: Array<unknown> = [value]
  while (pending.length > 0) {
    const next = pending.pop()
    if (typeof next !== "object" || next === null || Object.isFrozen(next)) continue
    Object.freeze(next)
    for (const member of Object.values(next)) {
      if (typeof member === "object" && member !== null) pending.push(member)
    }
  }
  return value
}
