/**
 * The main job, at work: two real OpenID providers, three tenants, and what happens to keys over time.
 *
 *     pnpm demo                   every step; status 0 if all of them held
 *     pnpm demo --break rotate    sabotages a step: the table must say so, and the status is 1
 *     pnpm demo --serve           goes on until it is told to stop, with a page to look at
 *
 * Tokens, sockets and timeouts are real. Only the clock is moved ahead by the demo, since no registry
 * accepts a lifetime under 30 s; the column "clock" says when and how far.
 */
import { JwksMetrics, JwksRegistry } from "@effect-jwks/core"
import { JwtVerifierLive } from "@effect-jwks/jwt"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Persistence from "effect/persistence/Persistence"
import * as References from "effect/References"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import { counting } from "./checks.ts"
import { DemoClock } from "./clock.ts"
import { steps } from "./steps.ts"
import { serve } from "./serve.ts"
import * as Table from "./table.ts"
import { makeWorld, type StepName, stepNames, type World } from "./world.ts"

/** Some step did not hold; the table has said so. */
class DemoFailed extends Schema.TaggedError<DemoFailed>()("DemoFailed", { step: Schema.String }) {
  override readonly [Runtime.errorReported] = false
}

/** The arguments make no sense; the help has said so. */
class WrongUsage extends Schema.TaggedError<WrongUsage>()("WrongUsage", {}) {
  override readonly [Runtime.errorExitCode] = 2
  override readonly [Runtime.errorReported] = false
}

// Whatever hangs, the process does not.
const watchdog = setTimeout(() => {
  console.error("demo: not done after 30 s")
  process.exit(1)
}, 30_000)
watchdog.unref()

/** The steps held, and the process waits to be told to stop. */
let isServing = false

/** Runs the steps until one fails. */
const runSteps = Effect.fnUntraced(function* (world: World) {
  const begunAt = performance.now()
  let failed: StepName | undefined
  yield* Console.log(Table.header())
  for (const step of stepNames) {
    if (failed !== undefined) {
      yield* Console.log(Table.skipped(step))
      continue
    }
    const startedAt = performance.now()
    const aheadBefore = world.clock.aheadMillis
    const { counts, result } = yield* counting(world, Effect.exit(steps[step].run(world)))
    if (Exit.isFailure(result)) failed = step
    yield* Console.log(
      Table.row({
        step,
        happened: Exit.isSuccess(result) ? result.value : messageOf(result.cause),
        counts,
        jumpedMillis: world.clock.aheadMillis - aheadBefore,
        tookMillis: performance.now() - startedAt,
        held: Exit.isSuccess(result),
      }),
    )
  }
  const took = `${((performance.now() - begunAt) / 1_000).toFixed(1)} s`
  if (failed === undefined) return yield* Console.log(`\nEvery step held, in ${took}.`)
  yield* Console.log(`\nStep ${failed} FAILED, after ${took}.`)
  return yield* new DemoFailed({ step: failed })
})

const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

const JwksLive = JwtVerifierLive.pipe(
  Layer.provideMerge(JwksRegistry.layer({ requireHttps: false, allowPrivateAddresses: ["127.0.0.1"] })),
  Layer.provide([Persistence.layerMemory, JwksMetrics.layer]),
  Layer.provideMerge(FetchHttpClient.layer),
)

const demo = Command.make(
  "demo",
  {
    broken: Flag.Literals("break", stepNames).pipe(
      Flag.withDescription("Sabotage a step; the table must say that it failed"),
      Flag.optional,
    ),
    serve: Flag.Boolean("serve").pipe(
      Flag.withDescription("Go on after the steps, with the operators' page, until SIGINT or SIGTERM"),
      Flag.withDefault(false),
    ),
    port: Flag.Int("port").pipe(Flag.withDescription("Of the page; a free one if none is given"), Flag.withDefault(0)),
    still: Flag.Boolean("still").pipe(
      Flag.withDescription("While serving, nobody logs in and nothing fails by itself"),
      Flag.withDefault(false),
    ),
  },
  Effect.fnUntraced(function* (flags) {
    const broken = Option.getOrUndefined(flags.broken)
    const clock = new DemoClock()
    if (broken !== undefined) yield* Console.log(`Sabotaged: ${broken} (${steps[broken].sabotage}).\n`)
    yield* Effect.gen(function* () {
      const world = yield* makeWorld(clock, broken)
      yield* runSteps(world)
      if (!flags.serve) return
      clearTimeout(watchdog)
      isServing = true
      return yield* serve(world, flags)
    }).pipe(Effect.scoped, Effect.provide(JwksLive), Effect.provideService(Clock.Clock, clock))
  }),
).pipe(Command.withDescription("Two OpenID providers, three tenants, and what happens to their keys"))

demo.pipe(
  Command.run({ version: "0.0.0" }),
  Effect.catchTag("ShowHelp", ({ errors }) => (errors.length === 0 ? Effect.void : new WrongUsage())),
  Effect.provideService(References.MinimumLogLevel, "None"),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    teardown: (exit, onExit) => (isServing ? onExit(0) : Runtime.defaultTeardown(exit, onExit)),
  }),
)
