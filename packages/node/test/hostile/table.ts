/**
 * The table of cases in the specification, made from the cases themselves.
 *
 *     node packages/node/test/hostile/table.ts
 *
 * writes it anew.
 */
import { writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { cases, type Subject, subjects } from "./cases.ts"
import { type GuardName, guards } from "./guards.ts"
import type { Expected, HostileCase } from "./HostileCase.ts"

/** Where the table is. */
export const tablePath = resolve(import.meta.dirname, "../../../../docs/spec/hostile_cases.md")

/** How to write it anew. */
export const regenerate = "node packages/node/test/hostile/table.ts"

/** Text for a cell: nothing in it means anything to Markdown, and it is cut where it is long. */
const cell = (text: string): string =>
  (text.length > 160 ? `${text.slice(0, 159)}…` : text).replace(/[\\`*_<>|[\]]/g, "\\$&").replace(/\s+/g, " ")

const code = (text: string): string => `\`${text}\``

const list = (items: ReadonlyArray<string>): string =>
  items.length === 0 ? "none" : items.map((item) => code(item.length > 32 ? `${item.slice(0, 31)}…` : item)).join(", ")

/** What a reason says: in words, or with a code, which may be the beginning of one. */
const phrase = (says: string): string => {
  const [, name, end] = /^\(([A-Z_\d]+)(\)?)$/.exec(says) ?? []
  return name === undefined ? cell(says) : code(end === "" ? `${name}…` : name)
}

const outcome = (expected: Expected): string => {
  switch (expected._tag) {
    case "Fails": {
      const says = expected.says === undefined ? "" : `: ${phrase(expected.says)}`
      const [from = 0, to = 0] = expected.retries ?? []
      const retries = from === to ? `in ${to} s` : `within ${to} s`
      return `${code(expected.reason)}${says}${expected.retries === undefined ? "" : `; the next attempt ${retries}`}`
    }
    case "Holds": {
      const dropped = [...new Set(expected.dropped)]
      return `keys ${list(expected.kids)}${dropped.length === 0 ? "" : `; dropped as ${list(dropped)}`}`
    }
    case "Lives": {
      const stale = expected.staleSeconds === undefined ? "" : `, then may be stale for ${expected.staleSeconds} s`
      return `lives for ${expected.seconds} s${stale}`
    }
    case "Confirms":
      return "the held set is confirmed"
    case "Withholds":
      return `${code(expected.error)} for ${code(expected.kid)}`
    case "RefusesRegistration":
      return `${code("InvalidRegistration")} at ${code(expected.field)}: ${cell(expected.says)}`
  }
}

const row = ({ asFirst, expected, guard, title, when }: HostileCase): string => {
  const first = asFirst === undefined ? "" : `; as the first answer ${outcome(asFirst)}`
  return `| ${code(guard)} | ${cell(title)}${when === "first" ? " (first answer)" : ""} | ${outcome(expected)}${first} |`
}

const section = ({ cases: own, heading }: Subject): string => {
  const names = [...new Set(own.map(({ guard }) => guard))]
  return [
    `## ${heading}`,
    "",
    "| guard | what it sees to | in |",
    "| --- | --- | --- |",
    ...names.map((name: GuardName) => {
      const { what, where } = guards[name]
      return `| ${code(name)} | ${cell(what)} | ${where.map(code).join(", ")} |`
    }),
    "",
    "| guard | what happens | what comes of it |",
    "| --- | --- | --- |",
    ...own.map(row),
  ].join("\n")
}

/** The whole page. */
export const makeTable = (): string => `# Hostile cases

Purpose: list what a hostile provider, tenant or network may try, which guard stands against it, and what comes of it.

Made from the cases by \`${regenerate}\`; a test compares the two. Each of the ${cases.length} cases runs
through the registry, over sockets and with the transport of \`@effect-jwks/node\`. A provider first gives a good set with the key
\`static-1\`, then answers like this when it is asked again, unless the case is about its first answer. Where a reason is
named the flight fails with it, and the good set stays. In all cases nothing but GET is asked, nobody else is asked, no socket
is left open, and no error tells a query or a body.

Each of the ${Object.keys(guards).length} guards has a seeded fault that takes it out of the sources, and at least one of its cases turns red then
(\`pnpm check:faults guard_\`). Paths are under \`packages/\`.

${subjects.map(section).join("\n\n")}
`

if (import.meta.main) writeFileSync(tablePath, makeTable())
