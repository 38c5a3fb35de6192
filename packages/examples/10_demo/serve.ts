/**
 * What goes on after the steps: users log in, providers rotate and fail, and the operators' page shows it.
 */
import { JwksAdmin } from "@effect-jwks/admin"
import { JwksRegistry } from "@effect-jwks/core"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { randomBytes } from "node:crypto"
import { createServer } from "node:http"
import { client, type Idp } from "./idp.ts"
import { audienceOf, issueTokens, verifyLatest } from "./tokens.ts"
import type { World } from "./world.ts"

/** How the demo serves. */
export interface ServeOptions {
  /** Of the operators' page, on 127.0.0.1; 0 for a free one. */
  readonly port: number
  /** Nobody logs in and nothing fails by itself: timers alone go on. */
  readonly still: boolean
}

/** Serves the operators' page and the providers, for ever. */
export const serve = Effect.fnUntraced(function* (world: World, { port, still }: ServeOptions) {
  const token = yield* Config.Redacted("DEMO_TOKEN").pipe(
    Config.withDefault(Redacted.make(randomBytes(18).toString("base64url"))),
  )
  const registry = yield* JwksRegistry
  const Page = JwksAdmin.layer({ token }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { host: "127.0.0.1", port })),
    Layer.provide(Layer.succeed(JwksRegistry, registry)),
  )
  const context = yield* Layer.build(Page)
  const url = yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context)
  yield* Console.log("\nServing until SIGINT or SIGTERM. The operators' page, and its token:")
  yield* Console.log(`  ${url}/`)
  yield* Console.log(`  ${Redacted.value(token)}`)
  yield* Console.log("Tokens of users:")
  for (const { idp, tenant } of world.logins) {
    const form = `grant_type=client_credentials&scope=read&resource=${audienceOf(tenant)}`
    yield* Console.log(`  ${tenant.padEnd(8)} curl -u ${client.id}:${client.secret} -d '${form}' ${idp.tokenUrl}`)
  }
  yield* Console.log("Keys:")
  for (const { id, jwksUrl } of [world.a, world.b]) yield* Console.log(`  ${id.padEnd(8)} curl -i ${jwksUrl}`)
  if (!still) yield* Effect.forkScoped(live(world))
  return yield* Effect.never
})

// -----------------------------------------------------------------------------
// Life
// -----------------------------------------------------------------------------

/** Users log in, B rotates its keys now and then, and A has a bad time every few minutes. */
const live = (world: World) =>
  Effect.all([logIn(world), rotate(world.b), fail(world.a)], { concurrency: "unbounded", discard: true })

const logIn = (world: World) =>
  Effect.repeat(
    Effect.ignore(
      Effect.andThen(
        issueTokens(
          world,
          world.logins.filter(({ idp }) => idp === world.b),
        ),
        verifyLatest(world),
      ),
    ),
    Schedule.spaced("1 second"),
  )

const rotate = (idp: Idp) => Effect.repeat(Effect.andThen(Effect.sleep("40 seconds"), idp.rotate), Schedule.forever)

/** Its sets live for a minute: down for longer, they are served stale. */
const fail = (idp: Idp) =>
  Effect.sleep("30 seconds").pipe(
    Effect.andThen(idp.goDown),
    Effect.andThen(Effect.sleep("2 minutes")),
    Effect.andThen(idp.comeUp),
    Effect.andThen(Effect.sleep("1 minute")),
    Effect.repeat(Schedule.forever),
  )
