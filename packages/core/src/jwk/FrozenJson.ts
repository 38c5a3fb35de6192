/**
 * Freezes values that came from JSON, however deep they nest.
 */

type Container = Readonly<Record<string, unknown>> | ReadonlyArray<unknown>

const isContainer = (value: unknown): value is Container => typeof value === "object" && value !== null

const isList = (value: Container): value is ReadonlyArray<unknown> => Array.isArray(value)

/** Freezes one object or list, and adds to `pending` what it holds. */
const freezeOne = (value: Container, pending: Array<Container>): void => {
  if (Object.isFrozen(value)) return
  Object.freeze(value)
  if (isList(value)) {
    for (const item of value) if (isContainer(item)) pending.push(item)
    return
  }
  // Most hold none: a list of all values would take longer to make than it takes to freeze them.
  for (const name in value) {
    const member = value[name]
    if (isContainer(member) && Object.hasOwn(value, name)) pending.push(member)
  }
}

/**
 * Freezes `value` and everything in it, in place.
 *
 * **Gotchas**
 *
 * What is frozen already is taken to be frozen through and through.
 */
export const freezeJson = <A>(value: A): A => {
  // A stack of our own: a document of 1 MiB can nest deeper than the call stack reaches.
  const pending: Array<Container> = []
  if (isContainer(value)) pending.push(value)
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) freezeOne(next, pending)
  return value
}
