/**
 * Real documents and headers, where their folder is there: they are not ours to publish. The environment
 * variable `JWKS_CORPUS` names another folder.
 */
import * as fs from "node:fs"
import * as path from "node:path"

const folder = process.env["JWKS_CORPUS"] ?? "../shared/corpus"

const readJson = (file: string): unknown => JSON.parse(fs.readFileSync(file, "utf8"))

const headersFile = path.join(folder, "jwks-live-headers.json")

/** Header fields by lower-case name, one record for each response; empty where there is no folder. */
export const observedHeaders: ReadonlyArray<Readonly<Record<string, string>>> = fs.existsSync(headersFile)
  ? Object.values(readJson(headersFile) as Record<string, { readonly headers: Record<string, string> }>).map(
      ({ headers }) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    )
  : []

const documentFolder = path.join(folder, "jwks-live")

/** JWK Sets as they were published; empty where there is no folder. */
export const publishedDocuments: ReadonlyArray<Uint8Array> = fs.existsSync(documentFolder)
  ? fs
      .readdirSync(documentFolder)
      .filter((file) => file.endsWith(".json"))
      .toSorted()
      .map((file) => new Uint8Array(fs.readFileSync(path.join(documentFolder, file))))
  : []
