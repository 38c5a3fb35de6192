/**
 * The options checked and made definite. No message repeats what was given: it may hold the token.
 */
import { InvalidRegistration } from "@effect-jwks/core"
import { checker, listOf, secret, text } from "@effect-jwks/core/OptionSchema"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import type { JwksAdminOptions, OpenGroup, ReadinessPolicy } from "../AdminOptions.ts"

/** How the API is served, with nothing left open. */
export interface AdminSettings {
  /** In the clear; `undefined`: nobody has one. */
  readonly token: string | undefined
  readonly open: ReadonlySet<string>
  readonly readiness: ReadinessPolicy
  /** Empty, or with a leading and without a trailing slash. */
  readonly path: string
}

const tokenRule =
  "must be 16 to 1024 characters from A-Z a-z 0-9 - . _ ~ + / with = at the end or not (RFC 6750), best wrapped in Redacted"
const openRule = 'must be a list of "health", "metrics" and "read"; what changes something always needs the token'
const readinessRule = 'must be "all", "some" or { critical: [{ tenant, provider }] }'
const groups: ReadonlyArray<OpenGroup> = ["health", "metrics", "read"]

const anyText = text(readinessRule, (value) => value !== "")

const Options = Schema.Struct({
  token: secret(tokenRule, (token) => token.length <= 1024 && /^[A-Za-z0-9._~+/-]{16,}=*$/.test(token)),
  open: listOf(Schema.Literals(groups).annotate({ message: openRule }), openRule),
  readiness: Schema.Union([
    Schema.Literals(["all", "some"]),
    Schema.Struct({
      critical: listOf(Schema.Struct({ tenant: anyText, provider: anyText }), readinessRule),
    }),
  ]).annotate({ message: readinessRule }),
  path: text(
    'must be "/" or a path such as "/admin/jwks", of A-Z a-z 0-9 - . _ ~ and slashes',
    (path) => path === "/" || /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$/.test(path),
  ),
})
  .mapFields(Struct.map(Schema.optionalKey))
  .annotate({
    message: "must be an object of options for the admin API",
    messageUnexpectedKey: "is no option of the admin API; check its spelling",
  })

const check = checker(Options)

/** Checks the options and makes them definite. */
export const resolveSettings = (options: JwksAdminOptions): Result.Result<AdminSettings, InvalidRegistration> =>
  Result.mapError(
    Result.flatMap(check(options), ({ open = [], path = "/", readiness = "some", token }) =>
      token === undefined && open.length === 0
        ? Result.fail([{ field: "token", rule: `is required where nothing is open: ${tokenRule}` }])
        : Result.succeed({ token, open: new Set<string>(open), readiness, path: path === "/" ? "" : path }),
    ),
    (issues) => new InvalidRegistration({ issues }),
  )
