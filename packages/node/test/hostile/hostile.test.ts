/**
 * Every case of the suite, through the registry and over real sockets.
 */
import { describe, it } from "@effect/vitest"
import { cases } from "./cases.ts"
import { play } from "./play.ts"

describe("Against a hostile provider stands", () => {
  for (const hostile of cases) {
    it.live(`[${hostile.guard}] ${hostile.title}`, () => play(hostile))
  }
})
