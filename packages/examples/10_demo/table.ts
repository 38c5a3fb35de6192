/**
 * The table: one line for each step as it ends, with what both sides of the wire counted meanwhile.
 */
import { styleText } from "node:util"
import type { Counts } from "./checks.ts"

/** A step that ran. */
export interface Row {
  readonly step: string
  readonly happened: string
  readonly counts: Counts
  /** How far the demo's clock was moved. */
  readonly jumpedMillis: number
  /** Real time. */
  readonly tookMillis: number
  readonly held: boolean
}

const widths = [7, 10, 5, 7, 6, 5, 9]

const line = (step: string, happened: string, cells: ReadonlyArray<string | number>): string =>
  [step.padEnd(10), happened.padEnd(52), ...cells.map((cell, column) => String(cell).padStart(widths[column] ?? 0))]
    .join(" ")
    .trimEnd()

/** Whose counts they are, over the titles. */
export const header = (): string =>
  [
    " ".repeat(73) + "at the sockets".padStart(14) + "in the registry".padStart(21),
    line("step", "what happened", ["clock", "requests", "304", "hits", "misses", "stale", "took"]),
  ]
    .map((text) => styleText("bold", text))
    .join("\n")

/** A step as a line of the table, with a second one for why it failed. */
export const row = ({ counts, happened, held, jumpedMillis, step, tookMillis }: Row): string => {
  const cells = line(step, held ? happened : "", [
    jumpedMillis === 0 ? "" : elapsed(jumpedMillis),
    counts.requests,
    counts.notModified,
    counts.hits,
    counts.misses,
    counts.stale,
    `${Math.round(tookMillis)} ms`,
  ])
  return held ? `${cells}  ${styleText("green", "ok")}` : `${cells}  ${styleText("red", "FAILED")}\n  ${happened}`
}

/** A step that never ran, since one before it failed. */
export const skipped = (step: string): string => styleText("dim", line(step, "not run", []))

const elapsed = (millis: number): string =>
  millis < 60_000 ? `+${millis / 1_000} s` : `+${Math.round(millis / 60_000)} min`
