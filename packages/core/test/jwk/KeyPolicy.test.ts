import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as jose from "jose"
import { DropReason, type ParsedJwks } from "../../src/jwk/Jwks.ts"
import { judge, parseDocument, type KeyPolicySettings } from "../../src/jwk/KeyPolicy.ts"
import { defaultSettings } from "../../src/Provider.ts"
import { dropReason, ed25519, ed448, keptKey, mlDsa44, p256, p384, p521, rsa, sampleKeys } from "./sampleKeys.ts"

const parse = (text: string | Uint8Array, settings: Partial<KeyPolicySettings> = {}) =>
  parseDocument(typeof text === "string" ? new TextEncoder().encode(text) : text, { ...defaultSettings, ...settings })

const parsed = (text: string | Uint8Array): ParsedJwks => Result.getOrThrow(parse(text))

const ruleOf = (text: string | Uint8Array, settings: Partial<KeyPolicySettings> = {}): string | undefined => {
  const result = parse(text, settings)
  return Result.isFailure(result) ? result.failure.rule : undefined
}

const judged = (...source: ReadonlyArray<unknown>): ParsedJwks => judge(source, defaultSettings)

describe("judge", () => {
  it.each(Object.keys(sampleKeys))("keeps %s as published, and as jose imports it", async (name) => {
    const key = keptKey(sampleKeys[name])
    expect(key.jwk).toEqual(sampleKeys[name])
    // WebCrypto knows Ed448 and ML-DSA on the newest runtimes alone.
    if (name !== "ed448" && name !== "mlDsa44") await jose.importJWK(key.jwk, key.algorithms[0])
  })

  it("drops a key for the first reason that applies, in the documented order", () => {
    const d = "AQAB"
    const longKid = "k".repeat(1025)
    expect(dropReason({ kty: 1, d })).toBe("Malformed")
    expect(dropReason({ kty: "oct", k: d, kid: 1 })).toBe("SymmetricKey")
    expect(dropReason({ kty: "unknown", d })).toBe("PrivateKey")
    expect(dropReason({ kty: "unknown", kid: longKid })).toBe("UnsupportedKeyType")
    expect(dropReason({ kty: "OKP", crv: "X25519", use: "enc", kid: longKid })).toBe("UnsupportedCurve")
    expect(dropReason({ ...rsa, use: "enc", kid: longKid })).toBe("InvalidKid")
    expect(dropReason({ ...rsa, use: "enc", alg: "RSA-OAEP" })).toBe("NotForSignatures")
    expect(dropReason({ ...rsa, alg: "none", n: "AQAB" }, { algorithms: [] })).toBe("AlgorithmMismatch")
    expect(dropReason({ ...rsa, n: "AQAB" }, { algorithms: [] })).toBe("AlgorithmNotAllowed")
    expect(dropReason({ ...rsa, n: "?", oth: [1] })).toBe("RsaMultiPrime")
    expect(dropReason({ ...rsa, n: "AA", e: "?" })).toBe("InvalidEncoding")
    expect(dropReason({ ...rsa, n: "AA", e: "AA" })).toBe("RsaModulusTooSmall")
  })

  it.each([undefined, null, true, 1, "RSA", [], [rsa], {}, { kty: null }, { kty: ["RSA"] }, { n: rsa.n, e: rsa.e }])(
    "drops %j as malformed",
    (entry) => {
      expect(dropReason(entry)).toBe("Malformed")
    },
  )

  it("drops key types and curves that it does not know", () => {
    expect(dropReason({ ...rsa, kty: "DSA" })).toBe("UnsupportedKeyType")
    expect(dropReason({ ...p256, crv: "secp256k1" })).toBe("UnsupportedCurve")
    expect(dropReason({ ...ed25519, crv: "X25519" })).toBe("UnsupportedCurve")
    expect(dropReason({ ...ed25519, crv: undefined })).toBe("UnsupportedCurve")
  })

  it("drops shared secrets", () => {
    expect(dropReason({ kty: "oct", k: "AyM1SysPpbyDfgZld3umj1qzKObwVMko", alg: "HS256" })).toBe("SymmetricKey")
  })

  it.each(["d", "p", "q", "dp", "dq", "qi", "k", "priv"])(
    "drops keys with the private member %s, whatever its value",
    (name) => {
      for (const key of [rsa, p256, ed25519, ed448, mlDsa44]) {
        expect(dropReason({ ...key, [name]: "AQAB" })).toBe("PrivateKey")
        expect(dropReason({ ...key, [name]: null })).toBe("PrivateKey")
      }
    },
  )

  it("drops a kid that is no string or over 1 KiB of UTF-8, and keeps a key without one", () => {
    for (const kid of [null, 1, ["1"], {}, false]) expect(dropReason({ ...rsa, kid })).toBe("InvalidKid")
    expect(dropReason({ ...rsa, kid: "k".repeat(1024) })).toBeUndefined()
    expect(dropReason({ ...rsa, kid: "k".repeat(1025) })).toBe("InvalidKid")
    expect(dropReason({ ...rsa, kid: "é".repeat(512) })).toBeUndefined()
    expect(dropReason({ ...rsa, kid: "é".repeat(513) })).toBe("InvalidKid")
    expect(keptKey({ ...rsa, kid: "" }).kid).toBe("")
    expect(keptKey(ed25519)).toMatchObject({ kid: undefined })
  })

  it("drops keys that are not for verifying", () => {
    for (const use of ["enc", "SIG", "", null, ["sig"]]) expect(dropReason({ ...rsa, use })).toBe("NotForSignatures")
    for (const key_ops of [["sign"], ["encrypt", "wrapKey"], "verify", null, {}, ["verify", 1]]) {
      expect(dropReason({ ...rsa, key_ops })).toBe("NotForSignatures")
    }
    expect(dropReason({ ...rsa, use: "enc", key_ops: ["verify"] })).toBe("NotForSignatures")
    expect(dropReason({ ...rsa, use: "sig", key_ops: ["sign", "verify"] })).toBeUndefined()
  })

  it("takes empty key_ops and oth for absent", () => {
    expect(keptKey({ ...rsa, key_ops: [], oth: [] }).jwk).toEqual(rsa)
    expect(keptKey({ ...p256, key_ops: [], oth: [] }).jwk).toEqual(p256)
  })

  it("drops an alg that is no signature algorithm of the key", () => {
    for (const alg of ["none", "HS256", "RSA-OAEP", "ES256", "", null]) {
      expect(dropReason({ ...rsa, alg })).toBe("AlgorithmMismatch")
    }
    expect(dropReason({ ...p256, alg: "ES512" })).toBe("AlgorithmMismatch")
    expect(dropReason({ ...mlDsa44, alg: undefined })).toBe("AlgorithmMismatch")
  })

  it("drops keys whose algorithms the provider does not allow", () => {
    expect(dropReason(rsa, { algorithms: ["PS256", "ES256"] })).toBe("AlgorithmNotAllowed")
    expect(keptKey({ ...rsa, alg: undefined }, { algorithms: ["PS256", "ES256"] }).algorithms).toEqual(["PS256"])
    expect(keptKey(ed25519, { algorithms: ["Ed25519"] }).algorithms).toEqual(["EdDSA", "Ed25519"])
    expect(keptKey(ed448, { algorithms: ["EdDSA"] }).algorithms).toEqual(["EdDSA", "Ed448"])
  })

  it("reaches every drop reason", () => {
    const { dropped } = judged(
      null,
      { kty: "DSA" },
      { kty: "EC", crv: "secp256k1" },
      { kty: "oct" },
      { ...rsa, d: "AQAB" },
      { ...rsa, kid: 1 },
      { ...rsa, n: "?" },
      { ...rsa, n: "AQAB" },
      { ...rsa, n: "_".repeat(1367) + "w" },
      { ...rsa, n: `${rsa.n.slice(0, -2)}AA` },
      { ...rsa, e: "Ag" },
      { ...rsa, oth: [1] },
      { ...p256, x: p256.y },
      { ...mlDsa44, pub: "AQAB" },
      { ...rsa, alg: "none" },
      { ...rsa, use: "enc" },
    )
    const reasons = [...dropped.map(({ reason }) => reason), dropReason(rsa, { algorithms: ["ES256"] })]
    expect(new Set(reasons)).toEqual(new Set(DropReason.literals))
  })

  it("keeps the usable keys of a set beside its unusable ones, both in document order", () => {
    const source = [p384, { ...rsa, use: "enc" }, rsa, null, p256, { kty: "XYZ", kid: "s" }]
    const { byKid, dropped, keys, source: kept } = judge(source, defaultSettings)
    expect(keys.map(({ jwk }) => jwk)).toEqual([p384, rsa, p256])
    expect(dropped).toEqual([
      { kid: rsa.kid, reason: "NotForSignatures" },
      { reason: "Malformed" },
      { kid: "s", reason: "UnsupportedKeyType" },
    ])
    expect([...byKid.keys()]).toEqual([undefined, rsa.kid, p256.kid])
    expect(kept).toBe(source)
  })

  it("keeps no secret that was published, and drops its key for the same reason again", () => {
    const source = [{ kty: "oct", kid: "s", k: "c2VjcmV0" }, rsa, { ...p256, d: "c2VjcmV0", priv: "c2VjcmV0" }]
    const first = judge(source, defaultSettings)
    expect(JSON.stringify(first.source)).not.toContain("c2VjcmV0")
    expect(judge(first.source, defaultSettings)).toEqual(first)
    expect(first.dropped.map(({ reason }) => reason)).toEqual(["SymmetricKey", "PrivateKey"])
    expect(JSON.stringify(source)).toContain("c2VjcmV0")
  })

  it("takes the same key twice for one key, whatever its spelling", () => {
    const { byKid, keys } = judged(rsa, { ...rsa, e: "AAEAAQ==" }, { ...rsa, use: "sig" }, p384, p384)
    expect(keys).toHaveLength(2)
    expect(byKid.get(rsa.kid)).toHaveLength(1)
    expect(byKid.get(undefined)).toHaveLength(1)
  })

  it("keeps different keys of one kid, and one key with different algorithms or kids, side by side", () => {
    const source = [rsa, { ...rsa, alg: "RS512" }, { ...rsa, kid: "other" }, { ...p256, kid: rsa.kid }]
    const { byKid, keys } = judged(...source)
    expect(keys).toHaveLength(4)
    expect(byKid.get(rsa.kid)?.map(({ algorithms }) => algorithms)).toEqual([["RS256"], ["RS512"], ["ES256"]])
  })

  it("freezes the keys through and through, but no entry of the source", () => {
    const source = { ...rsa, x5c: ["MIIB"], extra: { deep: [{}] } }
    const { jwk } = keptKey(source)
    expect(Object.isFrozen(jwk)).toBe(true)
    expect(Object.isFrozen(jwk.x5c)).toBe(true)
    expect(Object.isFrozen(source.extra.deep[0])).toBe(true)
    expect(Object.isFrozen(source)).toBe(false)
  })

  it("keeps members that it has no opinion about, and leaves out those whose type contradicts RFC 7517", () => {
    const extra = { x5u: "https://example.com/", x5c: ["MIIB"], x5t: "AQAB", "x5t#S256": "AQAB", issuer: { a: 1 } }
    expect(keptKey({ ...rsa, ...extra }).jwk).toEqual({ ...rsa, ...extra })
    expect(keptKey({ ...rsa, x5u: 1, x5c: "MIIB", x5t: null, "x5t#S256": [], crv: null, y: 2 }).jwk).toEqual(rsa)
  })

  it("judges a held set again under another policy, from its source", () => {
    const held = judged({ ...rsa, n: rsa.n, alg: undefined }, p256)
    const again = judge(held.source, { algorithms: ["RS256"], minRsaBits: 2048 })
    expect(again.keys.map(({ algorithms }) => algorithms)).toEqual([["RS256"]])
    expect(again.dropped).toEqual([{ kid: p256.kid, reason: "AlgorithmNotAllowed" }])
    expect(judge(again.source, defaultSettings)).toEqual(held)
  })

  const names = Arbitrary.schema(Schema.Literals(Object.keys(sampleKeys)))
  const order = Arbitrary.array(Arbitrary.schema(Schema.Int), { minLength: 12, maxLength: 12 })
  const changes = Arbitrary.schema(
    Schema.Struct({
      use: Schema.optionalKey(Schema.Literals(["sig", "enc", ""])),
      alg: Schema.optionalKey(Schema.Literals(["RS256", "ES256", "EdDSA", "none"])),
      kid: Schema.optionalKey(Schema.Union([Schema.String, Schema.Null])),
      key_ops: Schema.optionalKey(Schema.Array(Schema.Literals(["verify", "sign"]))),
      d: Schema.optionalKey(Schema.String),
      x: Schema.optionalKey(Schema.String),
    }),
  )

  it.prop("gives the same answer in any order of members", [names, changes, order], ([name, changes, order]) => {
    const members = Object.entries({ ...sampleKeys[name], ...changes })
    const shuffled = members.toSorted((a, b) => (order[members.indexOf(a)] ?? 0) - (order[members.indexOf(b)] ?? 0))
    const { byKid, dropped, keys } = judged(Object.fromEntries(members))
    expect(judged(Object.fromEntries(shuffled))).toMatchObject({ byKid, dropped, keys })
  })

  it.prop("gives each key the same answer in any order of keys", [order], ([order]) => {
    const source = [...Object.values(sampleKeys), { ...rsa, use: "enc" }, { ...p256, x: p256.y }]
    const shuffled = source.toSorted((a, b) => (order[source.indexOf(a)] ?? 0) - (order[source.indexOf(b)] ?? 0))
    const { dropped, keys } = judged(...source)
    expect(new Set(judged(...shuffled).keys)).toEqual(new Set(keys))
    expect(new Set(judged(...shuffled).dropped)).toEqual(new Set(dropped))
  })

  it.prop("changes nothing in what it kept before", [names, changes], ([name, changes]) => {
    const { byKid, keys } = judged({ ...sampleKeys[name], ...changes })
    const again = judged(...keys.map(({ jwk }) => jwk))
    expect(again).toMatchObject({ byKid, dropped: [], keys })
  })

  it.prop(
    "accounts for any JSON in place of a key or a member",
    [Arbitrary.schema(Schema.Json), names],
    ([json, name]) => {
      const key = sampleKeys[name] ?? {}
      const source = [json, ...Object.keys(key).map((member) => ({ ...key, [member]: json }))]
      const { dropped, keys } = judged(...source)
      expect(keys.length + dropped.length).toBeLessThanOrEqual(source.length)
      expect(DropReason.literals).toEqual(expect.arrayContaining(dropped.map(({ reason }) => reason)))
      for (const { jwk } of keys) expect(typeof jwk.kty).toBe("string")
    },
  )
})

describe("parseDocument", () => {
  const document = JSON.stringify({ keys: [rsa, p256] })

  it("reads a JWK Set, with or without a byte order mark", () => {
    expect(parsed(document).keys.map(({ jwk }) => jwk)).toEqual([rsa, p256])
    expect(parsed(Uint8Array.of(0xef, 0xbb, 0xbf, ...new TextEncoder().encode(document)))).toEqual(parsed(document))
  })

  it("keeps the entries as published", () => {
    expect(parsed(document).source).toEqual([rsa, p256])
  })

  it("reads a set without keys, and one whose keys are all dropped", () => {
    expect(parsed(`{"keys":[]}`)).toMatchObject({ keys: [], dropped: [], source: [] })
    expect(parsed(`{"keys":[1]}`)).toMatchObject({ keys: [], dropped: [{ reason: "Malformed" }] })
  })

  it.for([
    ["nothing", ""],
    ["HTML", "<html><body>Sign in</body></html>"],
    ["JSON that breaks off", document.slice(0, -1)],
    ["two byte order marks", `\ufeff\ufeff${document}`],
    ["250,000 open brackets", "[".repeat(250_000)],
  ] as const)("refuses %s as no JSON", ([, text]) => {
    expect(ruleOf(text)).toBe("the body is not JSON, or nests too deeply")
  })

  it.for([
    ["ISO-8859-1", Uint8Array.of(...new TextEncoder().encode(`{"keys":[],"a":"`), 0xe9, 0x22, 0x7d)],
    ["UTF-16", Uint8Array.of(0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00)],
    ["text that breaks off inside a character", Uint8Array.of(0x7b, 0xe2, 0x82)],
  ] as const)("refuses %s as no UTF-8", ([, body]) => {
    expect(ruleOf(body)).toBe("the body is not UTF-8 text")
  })

  it.each(["null", "true", "1", `"keys"`, "[]", `[{"keys":[]}]`])("refuses %s as no object", (text) => {
    expect(ruleOf(text)).toBe("the body is not a JSON object")
  })

  it.each(["{}", `{"keys":null}`, `{"keys":{}}`, `{"keys":"rsa"}`, `{"Keys":[]}`, `{"__proto__":{"keys":[]}}`])(
    "refuses %s without a list of keys",
    (text) => {
      expect(ruleOf(text)).toBe("the body has no list `keys`")
    },
  )

  it("fails a document with more than maxKeys entries, usable or not", () => {
    expect(ruleOf(`{"keys":[1,2,3]}`, { maxKeys: 3 })).toBeUndefined()
    expect(ruleOf(`{"keys":[1,2,3,4]}`, { maxKeys: 3 })).toBe("the list `keys` has more than 3 entries")
    expect(ruleOf(JSON.stringify({ keys: Array.from({ length: 2048 }, () => rsa) }))).toBeUndefined()
    expect(ruleOf(JSON.stringify({ keys: Array.from({ length: 2049 }, () => rsa) }))).toBe(
      "the list `keys` has more than 2048 entries",
    )
  })

  it("takes the last of members that occur twice", () => {
    expect(parsed(`{"keys":[1],"keys":[${JSON.stringify(rsa)}]}`).keys).toHaveLength(1)
    expect(parsed(`{"keys":[{"kty":"oct",${JSON.stringify(rsa).slice(1)}]}`).keys).toHaveLength(1)
  })

  it("reads a member that nests 250,000 levels", () => {
    const deep = "[".repeat(250_000) + "]".repeat(250_000)
    const { keys } = parsed(`{"keys":[{"deep":${deep},${JSON.stringify(rsa).slice(1)}]}`)
    expect(keys).toHaveLength(1)
    expect(Object.isFrozen(keys[0]?.jwk["deep"])).toBe(true)
  })

  it("takes nothing from __proto__, and does not pass it on", () => {
    const inherited = `{"keys":[{"__proto__":${JSON.stringify(rsa)}}]}`
    expect(parsed(inherited).dropped).toEqual([{ reason: "Malformed" }])
    const [key] = parsed(`{"keys":[{"__proto__":{"d":"x","polluted":true},${JSON.stringify(rsa).slice(1)}]}`).keys
    expect(Object.getPrototypeOf(key?.jwk)).toBe(Object.prototype)
    expect(Object.hasOwn(key?.jwk ?? {}, "__proto__")).toBe(false)
    expect(Object.assign({}, key?.jwk)).not.toHaveProperty("polluted")
    expect({}).not.toHaveProperty("polluted")
  })

  it("keeps kids apart that name members of an object", () => {
    const kids = ["__proto__", "constructor", "toString", "..", "a/b+c=d:e"]
    const { byKid } = parsed(JSON.stringify({ keys: kids.map((kid) => ({ ...rsa, kid })) }))
    expect([...byKid.keys()]).toEqual(kids)
  })

  it("never quotes the body", () => {
    const secret = "c2VjcmV0"
    for (const text of [secret, `"${secret}"`, `{"${secret}":1}`, `{"keys":"${secret}"}`, `{"keys":[${secret}]}`]) {
      expect(ruleOf(text)).not.toContain(secret)
    }
  })

  it.each([ed448, ed25519, p521, rsa])(
    "judges 2048 keys of $kty $crv in less than a second of processor time",
    (key) => {
      const text = JSON.stringify({ keys: Array.from({ length: 2048 }, (_, i) => ({ ...key, kid: `${i}` })) })
      const before = process.cpuUsage()
      expect(parsed(text).keys).toHaveLength(2048)
      expect(process.cpuUsage(before).user).toBeLessThan(1_000_000)
    },
  )

  it.prop("answers any JSON with a set or a rule", [Arbitrary.schema(Schema.Json)], ([json]) => {
    for (const text of [JSON.stringify(json), JSON.stringify({ keys: json }), JSON.stringify({ keys: [json] })]) {
      expect(Result.isResult(parse(text))).toBe(true)
    }
  })
})
