/**
 * Medians and ratios, as a table to read and as JSON to keep.
 */
import type { Times } from "./rounds.ts"

/** One contestant's result; nanoseconds per look-up. */
export interface Row {
  readonly id: string
  readonly name: string
  /** Median over the rounds. */
  readonly median: number
  readonly min: number
  readonly max: number
  /** The median as a multiple of jose's. */
  readonly toJose: number
  /** The median as a multiple of the plain map's. */
  readonly toMap: number
  readonly rounds: ReadonlyArray<number>
}

export interface Report {
  readonly node: string
  readonly tenants: number
  readonly keysEach: number
  readonly lookups: number
  /** Requests that the contestants made to fill their caches; none was made afterwards. */
  readonly requests: number
  readonly rows: ReadonlyArray<Row>
}

export const median = (numbers: ReadonlyArray<number>): number => {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low = Number.NaN, high = low] = sorted.slice(Math.ceil(middle) - 1, Math.floor(middle) + 1)
  return (low + high) / 2
}

/** A row for each contestant, the quickest first. */
export const rowsOf = (times: Times): ReadonlyArray<Row> => {
  const medians = new Map(Array.from(times, ([{ id }, rounds]) => [id, median(rounds)]))
  const ratioTo = (id: string, other: string): number =>
    (medians.get(id) ?? Number.NaN) / (medians.get(other) ?? Number.NaN)
  return Array.from(times, ([{ id, name }, rounds]) => ({
    id,
    name,
    median: median(rounds),
    min: Math.min(...rounds),
    max: Math.max(...rounds),
    toJose: ratioTo(id, "jose"),
    toMap: ratioTo(id, "map"),
    rounds,
  })).toSorted((a, b) => a.median - b.median)
}

/** How many times jose's median a contestant takes. */
export const ratioToJose = ({ rows }: Report, id: string): number =>
  rows.find((row) => row.id === id)?.toJose ?? Number.NaN

/** A report as a table of text. */
export const tableOf = ({ keysEach, lookups, node, requests, rows, tenants }: Report): string => {
  const cells = [
    ["hit, one after another", "ns/look-up", "min", "max", "x jose", "x Map"],
    ...rows.map(({ max, median, min, name, toJose, toMap }) => [
      name,
      median.toFixed(0),
      min.toFixed(0),
      max.toFixed(0),
      toJose.toFixed(2),
      toMap.toFixed(1),
    ]),
  ]
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)))
  const lines = cells.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  "),
  )
  return [
    `${tenants} tenants with ${keysEach} RSA keys each; ${lookups} random look-ups a round, medians of ${rows[0]?.rounds.length ?? 0} rounds; Node ${node}`,
    `${requests} requests filled the caches, none was made while measuring`,
    "",
    lines[0],
    widths.map((width) => "-".repeat(width)).join("  "),
    ...lines.slice(1),
  ].join("\n")
}
