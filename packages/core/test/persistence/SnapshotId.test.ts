import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { ownerText, snapshotId } from "../../src/persistence/SnapshotId.ts"

const owner = (tenant: string, provider: string) => ({ tenant, provider })

describe("a snapshot's storage key", () => {
  it("is readable, and ends with a digest", () => {
    assert.match(snapshotId(owner("acme", "auth0")), /^acme\.auth0\.[0-9a-f]{64}$/)
  })

  it("is the same for ever: what is stored must be found again", () => {
    assert.strictEqual(
      snapshotId(owner("acme", "idp")),
      // printf '["acme","idp"]' | sha256sum
      "acme.idp.66888557147b8e21f824b06c024c2631bd2dfcfc9d0bf1e1d70d9d9cf4f49006",
    )
  })

  it.prop(
    "has at most 130 lower-case characters that every file system takes, whatever the ids are",
    { tenant: Schema.String, provider: Schema.String, repeat: Schema.Literals([1, 10, 50]) },
    ({ provider, repeat, tenant }) => {
      const id = snapshotId(owner(tenant.repeat(repeat), provider.repeat(repeat)))
      assert.match(id, /^[a-z0-9_-]{0,32}\.[a-z0-9_-]{0,32}\.[0-9a-f]{64}$/)
      assert.isAtMost(id.length, 130)
    },
  )

  it("has 130 characters for the longest ids, and no path for hostile ones", () => {
    assert.lengthOf(snapshotId(owner("t".repeat(128), "p".repeat(128))), 130)
    for (const id of ["..", "../../etc/passwd", "a/b", "a\\b", "con", "a:b", "*", "\0", "{x}", "é"]) {
      assert.match(snapshotId(owner(id, id)), /^[a-z0-9_-]+\.[a-z0-9_-]+\.[0-9a-f]{64}$/, id)
    }
  })

  it.prop(
    "tells any two owners apart",
    { a: Schema.String, b: Schema.String, c: Schema.String, d: Schema.String },
    ({ a, b, c, d }) => {
      const same = a === c && b === d
      assert.strictEqual(snapshotId(owner(a, b)) === snapshotId(owner(c, d)), same)
      assert.strictEqual(ownerText(owner(a, b)) === ownerText(owner(c, d)), same)
    },
  )

  it("tells owners apart that differ in case, in a separator, in who has which id, or past what is readable", () => {
    const owners = [
      owner("acme", "idp"),
      owner("ACME", "idp"),
      owner("acme", "IDP"),
      owner("idp", "acme"),
      owner("acme.idp", ""),
      owner("", "acme.idp"),
      owner("acme.", "idp"),
      owner("acme", ".idp"),
      owner("acme_", "idp"),
      owner("acme/", "idp"),
      owner('acme","idp', ""),
      owner("t".repeat(40), "p"),
      owner("t".repeat(41), "p"),
      owner("\ud800", "p"),
      owner("\ud801", "p"),
      owner("\ufffd", "p"),
    ]
    // As a file system that does not tell upper from lower case sees them.
    assert.strictEqual(new Set(owners.map((one) => snapshotId(one).toLowerCase())).size, owners.length)
  })
})
