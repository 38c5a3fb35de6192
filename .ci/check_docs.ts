/**
 * Documentation governance: one README, `snake_case` names, an index that leads to every page, links that
 * lead somewhere.
 *
 *     node .ci/check_docs.ts
 */
import * as path from "node:path"
import { conclude, exists, filesUnder, read } from "./files.ts"

/** Pages that must be there. */
const canonical = ["README.md", "docs/index.md", "docs/governance.md", "docs/spec/index.md", "docs/guide/index.md"]

const snakeCase = /^[a-z][a-z0-9]*(?:_[a-z0-9]+)*(?:\.[a-z0-9]+)*$/

/** A link of a Markdown page. */
export interface Link {
  readonly target: string
  readonly line: number
}

/** The page with its code made blank, line by line. */
const withoutCode = (page: string): string => {
  let fence: string | undefined
  return page
    .split("\n")
    .map((line) => {
      const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1]
      if (fence !== undefined) {
        if (mark?.startsWith(fence) === true) fence = undefined
        return ""
      }
      if (mark !== undefined) {
        fence = mark
        return ""
      }
      return line.replace(/(`+)[^`]+\1/g, "")
    })
    .join("\n")
}

const inlineLink = /\[(?:[^[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g
const definition = /^\s{0,3}\[[^\]]+\]:\s*<?([^\s>]+)>?/gm

/** Every link of a page but those inside code. */
export const linksOf = (page: string): ReadonlyArray<Link> => {
  const text = withoutCode(page)
  return [...text.matchAll(inlineLink), ...text.matchAll(definition)].map((match) => ({
    target: match[1] ?? "",
    line: text.slice(0, match.index + match[0].length).split("\n").length,
  }))
}

/** The anchors of a page's headings, as GitHub makes them. */
export const anchorsOf = (page: string): ReadonlySet<string> => {
  const anchors = new Set<string>()
  // A heading keeps the text of its code and of its links.
  const headings = withoutFences(page).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)
  for (const [, heading = ""] of headings) {
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replace(/\s/g, "-")
    let anchor = slug
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`
    anchors.add(anchor)
  }
  for (const [, id = ""] of page.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(id)
  return anchors
}

const withoutFences = (page: string): string => page.replace(/^\s*(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\s*\1[`~]*\s*$/gm, "")

/** The index that has to lead to a page: the nearest one at or above it, but not the page itself. */
const indexFor = (page: string, pages: ReadonlyMap<string, string>): string => {
  let folder = path.posix.dirname(page)
  if (path.posix.basename(page) === "index.md") folder = path.posix.dirname(folder)
  while (folder !== "." && !pages.has(`${folder}/index.md`)) folder = path.posix.dirname(folder)
  return folder === "." ? "README.md" : `${folder}/index.md`
}

/** Everything that breaks the rules: `files` are all paths of the repository, `pages` its Markdown by path. */
export const problemsOf = (
  files: ReadonlyArray<string>,
  pages: ReadonlyMap<string, string>,
  isThere: (file: string) => boolean,
): ReadonlyArray<string> => {
  const problems: Array<string> = []

  for (const page of canonical) if (!pages.has(page)) problems.push(`${page}: missing`)

  for (const file of files) {
    if (/^readme\b/i.test(path.posix.basename(file)) && file !== "README.md") {
      problems.push(`${file}: README.md at the root is the only README; write the page under docs/guide/`)
    }
    if (file.startsWith("docs/")) {
      for (const name of file.split("/").slice(1)) {
        if (!snakeCase.test(name)) problems.push(`${file}: ${name} is not snake_case`)
      }
    }
  }

  const linked = new Map<string, Set<string>>()
  for (const [page, text] of pages) {
    const targets = new Set<string>()
    linked.set(page, targets)
    for (const { target, line } of linksOf(text)) {
      const at = `${page}:${line}`
      if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue // another site
      const [file = "", anchor] = target.split("#", 2).map((part) => decodeURI(part))
      const resolved = file === "" ? page : path.posix.join(path.posix.dirname(page), file)
      targets.add(resolved)
      if (file.startsWith("/") || resolved.startsWith("..")) problems.push(`${at}: ${target} leaves the repository`)
      else if (!isThere(resolved)) problems.push(`${at}: ${target} leads nowhere`)
      else if (anchor !== undefined && pages.has(resolved) && !anchorsOf(pages.get(resolved) ?? "").has(anchor)) {
        problems.push(`${at}: ${resolved} has no heading #${anchor}`)
      }
    }
  }

  for (const page of pages.keys()) {
    if (!page.startsWith("docs/")) continue
    const index = indexFor(page, pages)
    if (!(linked.get(index)?.has(page) ?? false)) problems.push(`${page}: not linked from ${index}`)
  }
  return problems
}

if (import.meta.main) {
  const files = filesUnder(".")
  const pages = new Map(files.filter((file) => file.endsWith(".md")).map((file) => [file, read(file)]))
  conclude("docs", problemsOf(files, pages, exists), `${pages.size} pages`)
}
