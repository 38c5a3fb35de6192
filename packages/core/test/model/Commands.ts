/**
 * What a test can do to a registry and its providers, as data that can be generated and shrunk.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"

/** The providers: two tenants, one of them with two providers, all with the same kids. */
export const slots = ["acme/one", "umbrella/one", "acme/two"] as const

/** The URLs that each of them may be registered with. */
export const sites = ["a", "b"] as const

/** One of the providers. */
export type SlotName = (typeof slots)[number]

/** A provider's tenant and its name there. */
export const addressOf = (slot: SlotName) => {
  const [tenant = "", provider = ""] = slot.split("/")
  return { tenant, provider }
}

const Slot = Schema.Literals([...slots, "acme/one", "acme/one", "acme/one", "acme/one", "acme/one"])
/** `9` is never published; `none`: a token without a kid. */
const Kid = Schema.Literals(["1", "1", "2", "2", "3", "4", "9", "none"])

const ResolveKey = Schema.TaggedStruct("ResolveKey", {
  slot: Slot,
  kid: Kid,
  /** Whether the question names the provider. */
  named: Schema.Literals([true, true, true, false]),
  /** `another`: not the key that the set holds under this kid. */
  wish: Schema.Literals(["any", "any", "any", "fresh", "another"]),
})
const Resolve = Schema.TaggedStruct("Resolve", { slot: Slot })
const Refresh = Schema.TaggedStruct("Refresh", { slot: Slot })
/** Interrupts one of the callers that wait. */
const Interrupt = Schema.TaggedStruct("Interrupt", { which: Schema.Literals([0, 1, 2, 3]) })

/** Changes the document: another key under a kid, none, or two. */
const Publish = Schema.TaggedStruct("Publish", {
  slot: Slot,
  kid: Schema.Literals(["1", "1", "2", "2", "3", "4"]),
  change: Schema.Literals(["rekey", "rekey", "remove", "remove", "twin"]),
  /** Whether a refresh asks for it at once, and a caller for the kid. */
  seen: Schema.Literals(["not yet", "not yet", "by a refresh", "by a caller"]),
})
const Headers = Schema.TaggedStruct("Headers", {
  slot: Slot,
  maxAge: Schema.Literals(["none", "5", "60", "90", "120", "600", "7200", "200000"]),
  age: Schema.Literals(["none", "none", "30"]),
})
/** What the next responses are, or all until the provider heals. */
const Fault = Schema.TaggedStruct("Fault", {
  slot: Slot,
  kind: Schema.Literals([
    "500",
    "503",
    "503 for 1 s",
    "503 for 30 s",
    "503 for 3000 s",
    "404",
    "refuse",
    "hang",
    "garbage",
    "empty",
    "304",
  ]),
  next: Schema.Literals([1, 2, "all", "all"]),
  /** `until it is stale`: time goes on until the set has expired. */
  wait: Schema.Literals(["nothing", "until it is stale"]),
})
const Heal = Schema.TaggedStruct("Heal", { slot: Slot })
/** Holds the next response back, and sees to it that one is asked for. */
const Hold = Schema.TaggedStruct("Hold", {
  slot: Slot,
  by: Schema.Literals(["refresh", "unknown kid", "timer", "nobody"]),
})
const Release = Schema.TaggedStruct("Release", { slot: Slot })

const Advance = Schema.TaggedStruct("Advance", {
  millis: Schema.Literals([1, 300, 1_000, 1_000, 2_500, 2_500, 6_000, 20_000, 65_000, 65_000, 600_000, 3_700_000]),
})
/** To just past a moment of the set that is held. */
const AdvancePast = Schema.TaggedStruct("AdvancePast", {
  slot: Slot,
  moment: Schema.Literals(["refresh", "expiry", "staleUntil"]),
})

/** Registers, again or anew; `other transport` drops the set. */
const Register = Schema.TaggedStruct("Register", {
  slot: Slot,
  site: Schema.Literals(["a", "a", "b"]),
  change: Schema.Literals([
    "none",
    "none",
    "short window",
    "no window",
    "short maxTtl",
    "short maxTtl",
    "no grace",
    "short grace",
    "other transport",
  ]),
  /** Whether callers wait for a flight that it ends, or for the one that it starts. */
  waiters: Schema.Literals(["none", "none", "before", "after"]),
})
const Unregister = Schema.TaggedStruct("Unregister", { slot: Slot })

/** One step of a run; members that stand several times are met as often. */
export const Command = Schema.Union([
  ResolveKey,
  ResolveKey,
  ResolveKey,
  ResolveKey,
  ResolveKey,
  ResolveKey,
  ResolveKey,
  ResolveKey,
  ResolveKey,
  Resolve,
  Refresh,
  Interrupt,
  Interrupt,
  Publish,
  Publish,
  Publish,
  Headers,
  Fault,
  Fault,
  Fault,
  Heal,
  Hold,
  Hold,
  Hold,
  Release,
  Release,
  Advance,
  Advance,
  Advance,
  AdvancePast,
  Register,
  Register,
  Unregister,
])
/** One step of a run. */
export type Command = typeof Command.Type

/** How the providers of a run are registered, beside the defaults (milliseconds). */
export const Setup = Schema.Struct({
  seed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })),
  removedKeyGrace: Schema.Literals([0, 0, 900_000]),
  negativeCacheTtl: Schema.Literals([30_000, 30_000, 0]),
  burst: Schema.Literals([1, 2, 3]),
  every: Schema.Literals([10_000, 30_000, 120_000]),
  maxRetries: Schema.Literals([0, 1, 2]),
  /** Slow attempts leave room for what happens during a flight. */
  attemptTimeout: Schema.Literals([3_000, 20_000, 20_000]),
  /** How many of the providers are registered from the start. */
  registered: Schema.Literals([1, 2, 3, 3]),
})
/** How the providers of a run are registered. */
export type Setup = typeof Setup.Type

/** Everything that makes a run. */
export interface Plan {
  readonly setup: Setup
  readonly commands: ReadonlyArray<Command>
}

/** Runs of at most this many commands. */
export const plans = (longest: number): Arbitrary.Arbitrary<Plan> =>
  Arbitrary.all({
    setup: Arbitrary.schema(Setup),
    commands: Arbitrary.array(Arbitrary.schema(Command), { minLength: 1, maxLength: longest }),
  })
