/**
 * Who may ask for what.
 */
import * as Context from "effect/Context"
import * as Mac from "effect/crypto/Mac"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Unauthorized } from "../AdminErrors.ts"
import { Authorization } from "../JwksAdminApi.ts"
import type { AdminSettings } from "./AdminSettings.ts"

/** Whether a token is the right one, in a time that says neither how long it is nor where it differs. */
type TokenCheck = (presented: Redacted.Redacted) => Effect.Effect<boolean>

const encoder = new TextEncoder()

/** Compares HMAC tags under a key of this layer alone, so that nobody can know what is compared. */
const makeTokenCheck = Effect.fnUntraced(
  function* (token: string) {
    const mac = yield* Mac.Mac
    const key = yield* mac.generateKey(Mac.hmacSha256)
    const expected = yield* mac.sign(key, encoder.encode(token))
    const check: TokenCheck = (presented) =>
      Effect.orDie(mac.verify(key, expected, encoder.encode(Redacted.value(presented))))
    return check
  },
  Effect.orDie,
  Effect.provide(Mac.layerWebCrypto.pipe(Layer.provide(SecureRandom.layerWebCrypto))),
)

/** Nobody has a token. */
const noToken: TokenCheck = () => Effect.succeed(false)

/** What a caller without the right token is told. */
export const unauthorized = new Unauthorized({ message: "write the token: Authorization: Bearer <token>" })

/** Who may ask for what; a group that is not open, and whatever has no group, takes the token. */
export class Access extends Context.Service<
  Access,
  {
    readonly admits: (group: string | undefined, credential: Redacted.Redacted) => Effect.Effect<boolean>
    /** The same, for the request under way. */
    readonly admitsRequest: (
      group: string | undefined,
    ) => Effect.Effect<boolean, never, HttpServerRequest.HttpServerRequest>
  }
>()("@effect-jwks/admin/Access") {
  static readonly layer = ({ open, token }: Pick<AdminSettings, "open" | "token">): Layer.Layer<Access> =>
    Layer.effect(
      Access,
      Effect.map(token === undefined ? Effect.succeed(noToken) : makeTokenCheck(token), (isRight) => {
        const admits = (group: string | undefined, credential: Redacted.Redacted) =>
          group !== undefined && group !== "mutations" && open.has(group) ? Effect.succeed(true) : isRight(credential)
        return {
          admits,
          admitsRequest: (group) => Effect.flatMap(bearerOfRequest, (credential) => admits(group, credential)),
        }
      }),
    )
}

/** From the header, as the definition's guard has it; a query is never looked at. */
const bearerOfRequest = HttpApiBuilder.securityDecode(HttpApiSecurity.bearer).pipe(
  Effect.provideService(HttpServerRequest.ParsedSearchParams, {}),
)

/** The definition's guard. */
export const authorizationLayer: Layer.Layer<Authorization, never, Access> = Layer.effect(
  Authorization,
  Effect.map(Access, ({ admits }) =>
    Authorization.of({
      bearer: Effect.fnUntraced(function* (httpEffect, { credential, group }) {
        if (!(yield* admits(group.identifier, credential))) return yield* unauthorized
        return yield* httpEffect
      }),
    }),
  ),
)
