import { describe, expect, it } from "@effect/vitest"
import { select } from "../../src/jwk/JwksLookup.ts"
import { judge } from "../../src/jwk/KeyPolicy.ts"
import { defaultSettings } from "../../src/Provider.ts"
import { ed25519, keptKey, p256, rsa } from "./sampleKeys.ts"

const setOf = (...source: ReadonlyArray<unknown>) => judge(source, defaultSettings)

const rsaThumbprint = keptKey(rsa).thumbprint
const p256Thumbprint = keptKey(p256).thumbprint
const anyRsa = { ...rsa, alg: undefined }

const mismatch = { _tag: "Dropped", reason: "AlgorithmMismatch" }
const absent = { _tag: "Absent" }
const found = (jwk: object) => ({ _tag: "Found", key: { jwk } })

describe("select with a kid", () => {
  it("finds the key of that kid", () => {
    expect(select(setOf(rsa, p256), { kid: "1" })).toMatchObject(found(p256))
    expect(select(setOf({ ...rsa, kid: "" }), { kid: "" })._tag).toBe("Found")
  })

  it("knows nothing of a kid that the document lacks, however alike", () => {
    const set = setOf(p256, { ...ed25519 })
    for (const kid of ["2", "", "1 ", "undefined"]) expect(select(set, { kid })).toEqual(absent)
  })

  it("says why a key of that kid was dropped, the first one's reason if there are several", () => {
    const set = setOf({ ...rsa, use: "enc" }, { ...rsa, alg: "none" })
    expect(select(set, { kid: rsa.kid })).toEqual({ _tag: "Dropped", reason: "NotForSignatures" })
    expect(select(set, { kid: rsa.kid, alg: "RS256" })).toEqual({ _tag: "Dropped", reason: "NotForSignatures" })
  })

  it("prefers a usable key to a dropped one of the same kid", () => {
    expect(select(setOf({ ...rsa, use: "enc" }, rsa), { kid: rsa.kid })).toMatchObject(found(rsa))
  })

  it("wants the algorithm to fit the key's own alg, or its kty and crv", () => {
    const fits = (key: object, alg: string) => select(setOf({ ...key, kid: "k" }), { kid: "k", alg })
    expect(fits(rsa, "RS256")._tag).toBe("Found")
    expect(fits(rsa, "RS512")).toEqual(mismatch)
    expect(fits(anyRsa, "PS512")._tag).toBe("Found")
    expect(fits(anyRsa, "ES256")).toEqual(mismatch)
    for (const alg of ["none", "HS256", "unheard-of", "", "rs256"]) expect(fits(anyRsa, alg)).toEqual(mismatch)
    for (const own of ["EdDSA", "Ed25519", undefined]) {
      expect(fits({ ...ed25519, alg: own }, "EdDSA")._tag).toBe("Found")
      expect(fits({ ...ed25519, alg: own }, "Ed25519")._tag).toBe("Found")
      expect(fits({ ...ed25519, alg: own }, "Ed448")).toEqual(mismatch)
    }
  })

  it("tells keys of one kid apart by the algorithm, and finds them ambiguous without", () => {
    const set = setOf(rsa, { ...p256, kid: rsa.kid })
    expect(select(set, { kid: rsa.kid, alg: "RS256" })).toMatchObject(found(rsa))
    expect(select(set, { kid: rsa.kid, alg: "ES256" })).toMatchObject(found({ ...p256, kid: rsa.kid }))
    expect(select(set, { kid: rsa.kid, alg: "ES384" })).toEqual(mismatch)
    expect(select(set, { kid: rsa.kid })).toEqual({ _tag: "Ambiguous", thumbprints: [rsaThumbprint, p256Thumbprint] })
  })

  it("takes entries of one thumbprint for one key", () => {
    const set = setOf(rsa, { ...rsa, alg: "RS512" })
    expect(select(set, { kid: rsa.kid })).toMatchObject(found(rsa))
    expect(select(set, { kid: rsa.kid, alg: "RS512" })).toMatchObject(found({ ...rsa, alg: "RS512" }))
  })

  it("looks past a thumbprint that is not wanted", () => {
    const set = setOf(rsa, { ...p256, kid: rsa.kid })
    expect(select(set, { kid: rsa.kid, notThumbprint: rsaThumbprint })).toMatchObject(found({ ...p256, kid: rsa.kid }))
    expect(select(set, { kid: rsa.kid, notThumbprint: "another" })._tag).toBe("Ambiguous")
  })

  it("knows nothing where only the unwanted key is left, even if others were dropped or do not fit", () => {
    const query = { kid: rsa.kid, notThumbprint: rsaThumbprint }
    expect(select(setOf(rsa), query)).toEqual(absent)
    expect(select(setOf(rsa, { ...rsa, use: "enc" }), query)).toEqual(absent)
    expect(select(setOf(rsa, { ...p256, kid: rsa.kid }), { ...query, alg: "RS256" })).toEqual(absent)
    expect(select(setOf({ ...rsa, use: "enc" }), query)).toEqual({ _tag: "Dropped", reason: "NotForSignatures" })
  })
})

describe("select without a kid", () => {
  const query = { kid: undefined }

  it("finds the only key, whether it has a kid or not", () => {
    expect(select(setOf(rsa, { ...rsa, kid: "again" }), query)).toMatchObject(found(rsa))
    expect(select(setOf(ed25519), query)).toMatchObject(found(ed25519))
  })

  it("finds the only key that fits the algorithm", () => {
    expect(select(setOf(rsa, p256, ed25519), { ...query, alg: "ES256" })).toMatchObject(found(p256))
  })

  it("is ambiguous where several keys fit", () => {
    expect(select(setOf(rsa, p256), query)).toEqual({ _tag: "Ambiguous", thumbprints: [rsaThumbprint, p256Thumbprint] })
  })

  it("finds no key in a set without any, and none that fits in one without a fitting key", () => {
    expect(select(setOf(), query)).toEqual(absent)
    expect(select(setOf({ ...ed25519, use: "enc" }), query)).toEqual(absent)
    // Nothing says that the document meant one of these: a newer one may have the key.
    expect(select(setOf(rsa, p256), { ...query, alg: "EdDSA" })).toEqual(absent)
  })

  it("looks past a thumbprint that is not wanted", () => {
    expect(select(setOf(rsa, p256), { ...query, notThumbprint: rsaThumbprint })).toMatchObject(found(p256))
    expect(select(setOf(rsa), { ...query, notThumbprint: rsaThumbprint })).toEqual(absent)
  })
})
