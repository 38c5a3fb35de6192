/**
 * The scopes among the annotations of an endpoint or a group. Each has a key of its own, so whatever is merged into
 * annotations, in whichever order, adds scopes and takes none away. Pure.
 */
import * as Context from "effect/Context"

const prefix = "@effect-jwks/jwt/RequiredScope/"

/** Annotations that require these scopes. */
export const requiring = (scopes: ReadonlyArray<string>): Context.Context<never> =>
  scopes.reduce(
    (annotations, scope) =>
      Context.add(annotations, Context.Reference(`${prefix}${scope}`, { defaultValue: () => false }), true),
    Context.empty(),
  )

/** The scopes that annotations require, in the order in which they were added. */
export const requiredIn = (annotations: Context.Context<never>): ReadonlyArray<string> =>
  Array.from(annotations.mapUnsafe.keys()).flatMap((key) => (key.startsWith(prefix) ? [key.slice(prefix.length)] : []))
