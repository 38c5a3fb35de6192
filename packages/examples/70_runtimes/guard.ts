/**
 * A door that lets tokens of one tenant's providers in: what every runtime of this folder serves.
 */
import {
  type BearerError,
  bearerOf,
  BearerMissing,
  challengeFor,
  JwtVerifier,
  type VerifiedJwt,
} from "@effect-jwks/jwt"
import * as Effect from "effect/Effect"

const verify = (authorization: string | null, tenant: string): Effect.Effect<VerifiedJwt, BearerError, JwtVerifier> => {
  const token = bearerOf(authorization)
  return token === undefined ? Effect.fail(new BearerMissing()) : JwtVerifier.verify(tenant, token)
}

/** The answer to a request: its subject's name, or why not. */
export const answer = ({ headers }: Request, tenant: string): Effect.Effect<Response, never, JwtVerifier> => {
  const authorization = headers.get("authorization")
  return Effect.match(verify(authorization, tenant), {
    onSuccess: ({ claims: { sub = "" } }) => new Response(`welcome, ${sub}`),
    onFailure: (error) => new Response("not let in", challengeFor(error, { authorization })),
  })
}
