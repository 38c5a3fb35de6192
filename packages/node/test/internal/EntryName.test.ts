import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import {
  entryName,
  hasPrefix,
  isEntryName,
  isTemporaryName,
  keyOf,
  temporaryName,
} from "../../src/internal/EntryName.ts"

const text = Arbitrary.schema(Schema.String)
const digest = "0123456789abcdef".repeat(4)

describe("The name of an entry's file", () => {
  it("can be read by people", () => {
    assert.strictEqual(entryName(`{effect-jwks}:acme.auth0.${digest}`), `{effect-jwks}%3aacme.auth0.${digest}.json`)
  })

  it.effect.prop(
    "is one for each key on file systems that know no case, short enough, and begins as its key does",
    [text, text],
    ([one, other]) =>
      Effect.sync(() => {
        // Halves of surrogate pairs have no UTF-8 form; keys of snapshots are ASCII.
        const keys = [one, other, `${one}${other}`, one.toUpperCase(), one.repeat(300), `${one.repeat(300)}a`].map(
          (key) => key.toWellFormed(),
        )
        const names = keys.map((key) => entryName(key))
        assert.strictEqual(new Set(names.map((name) => name.toLowerCase())).size, new Set(keys).size)
        for (const [index, name] of names.entries()) {
          const key = keys[index] ?? ""
          assert.match(name, /^[a-z0-9._{}%~-]{5,225}$/)
          assert.isTrue(isEntryName(name) && !isTemporaryName(name))
          assert.isTrue(hasPrefix(name, Array.from(key).slice(0, 5).join("")))
          assert.isTrue(key.startsWith(keyOf(name).replace(/\ufffd+$/, "")))
          if (!name.includes("~")) assert.strictEqual(keyOf(name), key)
        }
      }),
  )

  it("does not begin with another store's beginning", () => {
    const long = "x".repeat(200)
    assert.isFalse(hasPrefix(entryName("{a}:key"), "{ab}:"))
    assert.isFalse(hasPrefix(entryName(`{${long}a}:${digest}`), `{${long}b}:`))
  })

  it("is no name of a file that is being written", () => {
    const name = temporaryName(crypto.randomUUID())
    assert.isTrue(isTemporaryName(name))
    assert.isFalse(isEntryName(name))
  })
})
