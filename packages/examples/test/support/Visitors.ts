/**
 * A provider on a socket, a runtime that lets its tokens in, and visitors.
 */
import type { JwksRegistryOptions, ProviderRegistration } from "@effect-jwks/core"
import { FakeProvider, type FakeProviderOptions } from "@effect-jwks/testing"
import * as Effect from "effect/Effect"
import type { JWTPayload } from "jose"
import type { Served } from "./Runtimes.ts"

/** What a visitor was told. */
export interface Told {
  readonly status: number
  readonly text: string
  readonly retryAfter: string | null
}

/** How the scene is set. */
export interface SceneOptions {
  readonly registration?: Partial<ProviderRegistration>
  readonly options?: Partial<JwksRegistryOptions>
  readonly provider?: FakeProviderOptions
}

/** A provider, the options that name it, and its tokens. */
export const makeScene = Effect.fnUntraced(function* ({ options, provider, registration }: SceneOptions = {}) {
  const idp = yield* FakeProvider.make({ keptRequests: 1_000, ...provider })
  const { issuer, jwksUrl } = idp
  const registered = { tenant: "acme", provider: "idp", jwksUrl, issuer, requireHttps: false, ...registration }
  const given: JwksRegistryOptions = {
    requireHttps: false,
    allowPrivateAddresses: ["127.0.0.1"],
    providers: [registered],
    ...options,
  }
  /** A token of the provider, perhaps with a kid that it does not have. */
  const token = (kid?: string) =>
    idp.token({ sub: "ada" } satisfies JWTPayload, kid === undefined ? {} : { header: { kid } })
  return { idp, given, token }
})

/** A runtime for as long as the scope lives. */
export const running = (start: () => Promise<Served>) =>
  Effect.acquireRelease(Effect.promise(start), ({ program }) => Effect.promise(program.stop))

/** Knocks with a token, or without one. */
export const knock = ({ origin }: Served, token?: string, signal?: AbortSignal): Effect.Effect<Told> =>
  Effect.promise(async () => {
    const response = await fetch(origin, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(signal === undefined ? {} : { signal }),
    })
    return { status: response.status, text: await response.text(), retryAfter: response.headers.get("retry-after") }
  })

/** Many who knock at once. */
export const crowd = (served: Served, tokens: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Told>> =>
  Effect.forEach(tokens, (token) => knock(served, token), { concurrency: "unbounded" })

/** How many were told what. */
export const tally = (told: ReadonlyArray<Told>): Readonly<Record<number, number>> => {
  const counts: Record<number, number> = {}
  for (const { status } of told) counts[status] = (counts[status] ?? 0) + 1
  return counts
}
