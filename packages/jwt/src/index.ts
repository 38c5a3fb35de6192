/**
 * Token verification with the keys of `@effect-jwks/core`: see `JwtVerifier`.
 */
export { JwtVerifier, JwtVerifierLive } from "./JwtVerifier.ts"
export type { JwtVerifierService } from "./JwtVerifierService.ts"
export * from "./JwtError.ts"
export {
  type AnswerOptions,
  type BearerChallenge,
  type BearerError,
  BearerMalformed,
  BearerMissing,
  bearerOf,
  challengeFor,
  type Refused,
  ScopeMissing,
  type Unauthorized,
  type Unavailable,
} from "./BearerAnswer.ts"
export type { ChallengeOptions } from "./internal/Challenge.ts"
export { scopesOf } from "./Scopes.ts"
export { type Abortable, JwksBridge, type KeyFunction, type KeyFunctionOptions } from "./JwksBridge.ts"
export type {
  AnyVerifyOptions,
  ExpectedIssuer,
  JwtProfile,
  JwtVerifierOptions,
  PerhapsWithClaims,
  VerifyOptions,
  VerifyOptionsWithClaims,
  VerifyPolicy,
} from "./VerifyOptions.ts"
export type { JwtHeader, JwtPayload, VerifiedJwt } from "./VerifiedJwt.ts"
