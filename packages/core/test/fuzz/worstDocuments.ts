/**
 * How long the key policy takes for the worst documents that whoever controls a provider can think of,
 * beside JSON.parse of the same bytes.
 *
 *     node packages/core/test/fuzz/worstDocuments.ts
 *
 * prints a table, and fails where a family takes more than {@link ratioLimit} times as long. Every document
 * has exactly 1 MiB and passes the default limits. Those cost most whose bytes are cheap for JSON.parse and
 * dear for the policy: as many keys of curves as may be, little else in them, and long text or white space.
 */
import * as Result from "effect/Result"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import { pathToFileURL } from "node:url"
import { isEdwardsPoint } from "../../src/jwk/CurvePoint.ts"
import { parseDocument } from "../../src/jwk/KeyPolicy.ts"
import { defaultSettings } from "../../src/Provider.ts"

/** What is promised: the policy takes at most so many times as long as JSON.parse of the same bytes. */
export const ratioLimit = 20

const { maxKeys, maxResponseBytes } = defaultSettings

type Members = Readonly<Record<string, unknown>>

/** Makes the key of an index; equal indexes give equal keys. */
type KeyMaker = (index: number) => Members

// -----------------------------------------------------------------------------
// Keys
// -----------------------------------------------------------------------------

const bytesOf = (seed: string, length: number): Buffer =>
  crypto.createHash("shake256", { outputLength: length }).update(seed).digest()

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url")

const remembered = (make: KeyMaker): KeyMaker => {
  const keys = new Map<number, Members>()
  return (index) => {
    const key = keys.get(index) ?? make(index)
    keys.set(index, key)
    return key
  }
}

const nist = (crv: string, curve: string, length: number): KeyMaker =>
  remembered((index) => {
    const secret = bytesOf(`${crv} ${index}`, length)
    // Less than the order of the group.
    secret[0] = 0
    const point = crypto.createECDH(curve)
    point.setPrivateKey(secret)
    const [x, y] = [point.getPublicKey().subarray(1, 1 + length), point.getPublicKey().subarray(1 + length)]
    return { kty: "EC", crv, x: base64url(x), y: base64url(y) }
  })

const edwards = (crv: "Ed25519" | "Ed448", length: number, isOnCurve: boolean): KeyMaker =>
  remembered((index) => {
    for (let attempt = 0; ; attempt++) {
      const x = bytesOf(`${crv} ${index} ${attempt}`, length)
      if (crv === "Ed448") x[56] = (x[0] ?? 0) & 0x80
      if (isEdwardsPoint(crv, x) === isOnCurve) return { kty: "OKP", crv, x: base64url(x) }
    }
  })

const rsa = (bits: number): KeyMaker =>
  remembered((index) => {
    const n = bytesOf(`RSA ${bits} ${index}`, bits / 8)
    n[0] = (n[0] ?? 0) | 0x80
    n[n.length - 1] = (n.at(-1) ?? 0) | 1
    return { kty: "RSA", n: base64url(n), e: "AQAB" }
  })

const mlDsa = (alg: string, length: number): KeyMaker =>
  remembered((index) => ({ kty: "AKP", alg, pub: base64url(bytesOf(`${alg} ${index}`, length)) }))

const kinds = {
  "P-256": nist("P-256", "prime256v1", 32),
  "P-384": nist("P-384", "secp384r1", 48),
  "P-521": nist("P-521", "secp521r1", 66),
  Ed25519: edwards("Ed25519", 32, true),
  Ed448: edwards("Ed448", 57, true),
  "Ed25519 off the curve": edwards("Ed25519", 32, false),
  "Ed448 off the curve": edwards("Ed448", 57, false),
  "RSA-2048": rsa(2048),
  "RSA-4096": rsa(4096),
  "RSA-8192": rsa(8192),
  "ML-DSA-44": mlDsa("ML-DSA-44", 1312),
  "ML-DSA-65": mlDsa("ML-DSA-65", 1952),
  "ML-DSA-87": mlDsa("ML-DSA-87", 2592),
} satisfies Record<string, KeyMaker>

// -----------------------------------------------------------------------------
// Documents
// -----------------------------------------------------------------------------

/** What fills a document up to its size: text before it, a character, and text behind it. */
type Filling = readonly [string, string, string]

const longMember: Filling = [`],"a":"`, "a", `"}`]
const whiteSpace: Filling = ["]}", " ", ""]

/** A document of as many entries as fit, at most `count`. */
const documentOf = (entry: (index: number) => string, filling: Filling = longMember, count = maxKeys): string => {
  const [before, character, behind] = filling
  let size = Buffer.byteLength(`{"keys":[${before}${behind}`)
  const entries: Array<string> = []
  for (let index = 0; index < count; index++) {
    const text = entry(index)
    const bytes = Buffer.byteLength(text) + (index === 0 ? 0 : 1)
    if (size + bytes > maxResponseBytes) break
    size += bytes
    entries.push(text)
  }
  return `{"keys":[${entries.join(",")}${before}${character.repeat(maxResponseBytes - size)}${behind}`
}

const jsonOf = (make: KeyMaker) => (index: number) => JSON.stringify(make(index))

/** A document of as many keys as may be, that shares the bytes that are left among them. */
const shared = (make: KeyMaker, member: (bytes: number, index: number) => string): string => {
  let used = 64
  for (let index = 0; index < maxKeys; index++) used += jsonOf(make)(index).length + 1
  const share = Math.floor((maxResponseBytes - used) / maxKeys) - 1
  return documentOf((index) => `${jsonOf(make)(index).slice(0, -1)},${member(share, index)}}`)
}

const times = (count: number, item: (index: number) => string): string =>
  Array.from({ length: Math.floor(count) }, (_, index) => item(index)).join(",")

/** Ways to fill each key, by how many bytes there are for it. */
const fillings: Readonly<Record<string, (bytes: number, index: number) => string>> = {
  "a long member in each": (bytes) => `"a":"${"a".repeat(bytes - 6)}"`,
  "a long kid in each": (bytes) => `"kid":"${"k".repeat(Math.min(1024, bytes - 8))}"`,
  "a long kid beyond ASCII in each": (bytes) => `"kid":"${"é".repeat(Math.min(512, (bytes - 8) / 2))}"`,
  "many members in each": (bytes) => times(bytes / 8, (i) => `"${i.toString(36).padStart(3, "a")}":0`),
  "many members of its own in each": (bytes, index) =>
    times(bytes / 11, (i) => `"${(64 * index + i).toString(36).padStart(6, "a")}":0`),
  "members named by numbers in each": (bytes, index) =>
    times(bytes / 11, (i) => `"${100_000 + (((64 * index + i) * 37) % 900_000)}":0`),
  "a list of lists in each": (bytes) => `"a":[${times((bytes - 6) / 3, () => "[]")}]`,
  "a list of objects in each": (bytes) => `"a":[${times((bytes - 6) / 3, () => "{}")}]`,
  "a list of numbers in each": (bytes) => `"a":[${times((bytes - 6) / 2, () => "1")}]`,
  "deep nesting in each": (bytes) => `"a":${"[".repeat((bytes - 4) / 2)}${"]".repeat((bytes - 4) / 2)}`,
  "a long x5c in each": (bytes) => `"x5c":[${times((bytes - 8) / 3, () => `""`)}]`,
  "long key_ops in each": (bytes) => `"key_ops":[${times((bytes - 21) / 3, () => `""`)},"verify"]`,
}

/** Spellings of numbers that have to be written anew, by a key's number. */
const spellings: Readonly<Record<string, (text: string) => string>> = {
  "in the standard alphabet": (text) => Buffer.from(text, "base64url").toString("base64"),
  "with a space in front": (text) => ` ${Buffer.from(text, "base64url").toString("base64")}`,
  "with a space behind": (text) => `${text} `,
}

const respelled = (make: KeyMaker, spell: (text: string) => string): KeyMaker => {
  const numbers = new Set(["x", "y", "n", "pub"])
  return (index) =>
    Object.fromEntries(
      Object.entries(make(index)).map(([name, value]) => [
        name,
        numbers.has(name) && typeof value === "string" ? spell(value) : value,
      ]),
    )
}

const withLeadingZero = (text: string): string =>
  Buffer.concat([Buffer.alloc(1), Buffer.from(text, "base64url")]).toString("base64")

/** A key whose number is spelled in escapes, character by character. */
const escaped = (key: Members): string => {
  const x = String(key["x"])
  const escapes = Array.from(x, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)
  return JSON.stringify(key).replace(x, () => escapes.join(""))
}

/** One Ed25519 key with more members, alone in its document. */
const alone = (members: string): string =>
  documentOf(() => `${JSON.stringify(kinds.Ed25519(0)).slice(0, -1)},${members}}`, longMember, 1)

const aloneModulus = (n: string): string =>
  documentOf(() => JSON.stringify({ kty: "RSA", n, e: "AQAB" }), longMember, 1)

const modulus = String(kinds["RSA-2048"](0)["n"])

/** A document that may hurt, by what is in it. */
export interface Family {
  readonly name: string
  readonly text: () => string
}

/** Every family. */
export const families: ReadonlyArray<Family> = [
  ...Object.entries(kinds).flatMap(([kind, make]): ReadonlyArray<Family> => [
    { name: `${kind}, one long member`, text: () => documentOf(jsonOf(make)) },
    { name: `${kind}, white space`, text: () => documentOf(jsonOf(make), whiteSpace) },
    { name: `${kind}, kids`, text: () => documentOf(jsonOf((index) => ({ ...make(index), kid: `${index}` }))) },
  ]),
  ...Object.entries(fillings).map(([name, filling]) => ({
    name: `Ed448, ${name}`,
    text: () => shared(kinds.Ed448, filling),
  })),
  ...(["P-521", "Ed448", "RSA-8192", "ML-DSA-87"] as const).flatMap((kind) =>
    Object.entries(spellings).map(([name, spell]) => ({
      name: `${kind} ${name}`,
      text: () => documentOf(jsonOf(respelled(kinds[kind], spell)), whiteSpace),
    })),
  ),
  ...(["RSA-2048", "RSA-8192"] as const).map((kind) => ({
    name: `${kind} with a leading zero`,
    text: () => documentOf(jsonOf(respelled(kinds[kind], withLeadingZero)), whiteSpace),
  })),
  {
    name: "Ed448 with a member that is left out",
    text: () =>
      documentOf(
        jsonOf((index) => ({ ...kinds.Ed448(index), x5t: 0 })),
        whiteSpace,
      ),
  },
  {
    name: "Ed448, then some of it again",
    text: () =>
      documentOf(
        jsonOf((i) => kinds.Ed448(i % 1_900)),
        whiteSpace,
      ),
  },
  {
    name: "one Ed448 key again and again",
    text: () =>
      documentOf(
        jsonOf(() => kinds.Ed448(0)),
        whiteSpace,
      ),
  },
  {
    name: "one Ed448 key under many kids",
    text: () => documentOf(jsonOf((index) => ({ ...kinds.Ed448(0), kid: `${index}` }))),
  },
  {
    name: "P-256 off the curve",
    text: () => documentOf(jsonOf((index) => ({ ...kinds["P-256"](index), y: kinds["P-256"](index + 1)["y"] }))),
  },
  { name: "Ed25519 in escapes", text: () => documentOf((index) => escaped(kinds.Ed25519(index))) },
  {
    name: "all kinds",
    text: () => documentOf(jsonOf((index) => Object.values(kinds)[index % 8]?.(index) ?? {})),
  },
  { name: "Ed448 that is too long", text: () => documentOf(jsonOf(() => ({ ...kinds.Ed448(0), x: "A".repeat(455) }))) },
  { name: "one modulus of zeros", text: () => aloneModulus("A".repeat(1_048_000)) },
  { name: "one modulus behind zeros", text: () => aloneModulus("A".repeat(1_048_000) + modulus) },
  { name: "one modulus behind spaces", text: () => aloneModulus(" ".repeat(1_048_000) + modulus) },
  { name: "one modulus that is none", text: () => aloneModulus(`${"_".repeat(1_048_000)}.`) },
  {
    name: "one key, 100,000 members",
    text: () => alone(times(100_000, (i) => `"${i.toString(36).padStart(4, "a")}":0`)),
  },
  {
    name: "one key, 80,000 members named by numbers",
    text: () => alone(times(80_000, (i) => `"${1_000_000 + ((i * 7_919) % 8_999_999)}":0`)),
  },
  { name: "one key, 340,000 lists", text: () => alone(`"a":[${times(340_000, () => "[]")}]`) },
  { name: "one key, 340,000 objects", text: () => alone(`"a":[${times(340_000, () => "{}")}]`) },
  { name: "one key, 340,000 operations", text: () => alone(`"key_ops":[${times(340_000, () => `""`)},"verify"]`) },
  { name: "one key, 340,000 certificates", text: () => alone(`"x5c":[${times(340_000, () => `""`)}]`) },
  { name: "one key, 500,000 levels", text: () => alone(`"a":${"[".repeat(500_000)}${"]".repeat(500_000)}`) },
  { name: "entries that are numbers", text: () => documentOf(() => "1") },
  { name: "entries that are empty", text: () => documentOf(() => "{}") },
  { name: "entries that are kids", text: () => documentOf(() => `{"kid":"${"k".repeat(480)}"}`) },
]

// -----------------------------------------------------------------------------
// The measurement
// -----------------------------------------------------------------------------

/** Something that reads a document. */
type Reader = (body: Uint8Array) => unknown

const utf8 = new TextDecoder("utf-8", { fatal: true })

const readJson: Reader = (body) => JSON.parse(utf8.decode(body))

/** Medians of both contestants. */
export interface Measured {
  readonly jsonMillis: number
  readonly policyMillis: number
  /** The policy's time in times of JSON.parse. */
  readonly ratio: number
}

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

const millisOf = (read: Reader, body: Uint8Array): number => {
  const start = performance.now()
  read(body)
  return performance.now() - start
}

/** Lets a reader and JSON.parse take turns at one document. */
export const measure = (body: Uint8Array, read: Reader, rounds: number): Measured => {
  const json: Array<number> = []
  const policy: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    json.push(millisOf(readJson, body))
    policy.push(millisOf(read, body))
    json.push(millisOf(readJson, body))
  }
  const [jsonMillis, policyMillis] = [median(json), median(policy)]
  return { jsonMillis, policyMillis, ratio: policyMillis / jsonMillis }
}

/** As {@link measure}, and again with more rounds while the ratio is over the limit: others use the machine too. */
export const measureWithin = (body: Uint8Array, read: Reader, limit: number): Measured => {
  let measured = measure(body, read, 5)
  for (let attempt = 0; attempt < 4 && measured.ratio > limit; attempt++) measured = measure(body, read, 21)
  return measured
}

/** A line of the table. */
export interface FamilyReport extends Measured {
  readonly name: string
  readonly bytes: number
  readonly keys: number
  readonly dropped: number
}

const readPolicy: Reader = (body) => parseDocument(body, defaultSettings)

const reportOf = ({ name, text }: Family): FamilyReport => {
  const body = new TextEncoder().encode(text())
  const { dropped, keys } = Result.getOrThrow(parseDocument(body, defaultSettings))
  const measured = measureWithin(body, readPolicy, ratioLimit)
  return { name, bytes: body.length, keys: keys.length, dropped: dropped.length, ...measured }
}

/** Measures every family, after the compiler has seen the policy at work. */
export const reports = (): ReadonlyArray<FamilyReport> => {
  for (const { text } of families.slice(0, 12)) measure(new TextEncoder().encode(text()), readPolicy, 5)
  return families.map(reportOf).toSorted((a, b) => b.ratio - a.ratio)
}

const [, script, option] = process.argv
if (script !== undefined && pathToFileURL(fs.realpathSync(script)).href === import.meta.url) {
  const all = reports()
  if (option === "--json") {
    console.log(JSON.stringify(all))
  } else {
    console.log("ratio  policy ms  JSON ms   kept dropped  family")
    for (const { dropped, jsonMillis, keys, name, policyMillis, ratio } of all) {
      const cells = [
        ratio.toFixed(1).padStart(5),
        policyMillis.toFixed(2).padStart(10),
        jsonMillis.toFixed(2).padStart(8),
      ]
      console.log([...cells, `${keys}`.padStart(6), `${dropped}`.padStart(7), ` ${name}`].join(" "))
    }
  }
  process.exitCode = all.every(({ ratio }) => ratio <= ratioLimit) ? 0 : 1
}
