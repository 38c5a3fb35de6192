import { describe, expect, it } from "@effect/vitest"
import * as jose from "jose"
import { thumbprint } from "../../src/jwk/Thumbprint.ts"
import { ed25519, keptKey, rsa, sampleKeys } from "./sampleKeys.ts"

describe("thumbprint", () => {
  it("gives the example of RFC 7638 section 3.1", () => {
    expect(thumbprint(rsa)).toBe("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
  })

  it("gives the example of RFC 8037 appendix A.3", () => {
    expect(thumbprint(ed25519)).toBe("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
  })

  it.each(Object.keys(sampleKeys))("agrees with jose on %s", async (name) => {
    const key = keptKey(sampleKeys[name])
    expect(key.thumbprint).toBe(await jose.calculateJwkThumbprint(key.jwk as jose.JWK, "sha256"))
  })

  it("depends on the required members alone", () => {
    expect(thumbprint({ ...rsa, kid: "another", alg: "PS512", use: "sig", x: "AQAB" })).toBe(thumbprint(rsa))
  })
})
