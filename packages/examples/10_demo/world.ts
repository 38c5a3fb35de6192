/**
 * Who is in the demo, two providers and three tenants whose users log in at them, and what a step is.
 */
import type { JwksRegistry } from "@effect-jwks/core"
import type { JwtVerifier } from "@effect-jwks/jwt"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type { DemoClock } from "./clock.ts"
import { Idp } from "./idp.ts"

/** The steps, in order. */
export const stepNames = [
  "start",
  "register",
  "resolve",
  "revalidate",
  "rotate",
  "outage",
  "recover",
  "flood",
  "isolation",
  "counts",
] as const

export type StepName = (typeof stepNames)[number]

/** Does something to the providers or asks the registry, and judges what came of it. */
export interface Step {
  /** What `--break` does to it, so that it can not hold. */
  readonly sabotage: string
  /** Says what happened. */
  readonly run: (world: World) => Effect.Effect<string, Error, JwksRegistry | JwtVerifier | HttpClient.HttpClient>
}

/** A tenant whose users log in at a provider. */
export interface Login {
  readonly tenant: string
  readonly idp: Idp
}

export interface World {
  readonly clock: DemoClock
  readonly a: Idp
  readonly b: Idp
  readonly logins: ReadonlyArray<Login>
  /** The latest token of each login. */
  readonly tokens: Map<Login, string>
  /** The step that is sabotaged. */
  readonly broken: StepName | undefined
  /** How often the registry was asked for a key. */
  asked: number
}

/** Two providers, for as long as the scope lives; tenant acme uses A, globex B, initech both. */
export const makeWorld = Effect.fnUntraced(function* (clock: DemoClock, broken: StepName | undefined) {
  const a = yield* Idp.start("idp-a", "RS256", clock)
  const b = yield* Idp.start("idp-b", "ES256", clock)
  const world: World = {
    clock,
    a,
    b,
    logins: [
      { tenant: "acme", idp: a },
      { tenant: "globex", idp: b },
      { tenant: "initech", idp: a },
      { tenant: "initech", idp: b },
    ],
    tokens: new Map(),
    broken,
    asked: 0,
  }
  return world
})
