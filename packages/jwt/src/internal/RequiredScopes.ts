/**
 * The scopes among the annotations of an endpoint or a group. Each has a key of its own, so whatever is merged into
 * annotations, in whichever order, adds scopes and takes none away. Pure.
 */
import * as Context from "effect/Context"

/** A scope-token (RFC 6749 section 3.3): anything else could be in no token, and would be asked of clients all the same. */
const isScope = (scope: unknown): boolean => typeof scope === "string" && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)

/** What is wrong with scopes that a program names. */
export const issuesOfScopes = (
  scopes: ReadonlyArray<string>,
): ReadonlyArray<{ readonly field: string; readonly rule: string }> =>
  scopes.flatMap((scope, index) =>
    isScope(scope)
      ? []
      : [
          {
            field: `scopes[${index}]`,
            rule: "must be one scope, without spaces, quotes and backslashes (RFC 6749 section 3.3)",
          },
        ],
  )

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
