import { assert, describe, it } from "@effect/vitest"
import { isSpkiPin } from "../../src/security/SpkiPin.ts"

const base64 = (length: number): string => Buffer.alloc(length, 0xfb).toString("base64")

describe("isSpkiPin", () => {
  it.each(["d6qzRu9zOECb90Uez27xWltNsj0e1Md7GkYYkVoZWmM=", base64(32), `${"A".repeat(43)}=`])("accepts %s", (pin) =>
    assert.isTrue(isSpkiPin(pin)),
  )

  it.each([
    ["", "nothing"],
    [base64(31), "31 bytes"],
    [base64(33), "33 bytes"],
    [base64(20), "a SHA-1 digest"],
    [base64(32).slice(0, 43), "no padding"],
    [`${"A".repeat(42)}B=`, "bits beyond the last byte"],
    [Buffer.alloc(32, 0xfb).toString("base64url"), "base64url"],
    [`sha256/${base64(32)}`, "a prefix"],
    [` ${base64(32)}`, "white space"],
    [`${base64(32)}\n`, "a line end"],
    [Buffer.alloc(32, 1).toString("hex"), "hexadecimal"],
  ])("refuses '%s' (%s)", (pin) => assert.isFalse(isSpkiPin(pin)))
})
