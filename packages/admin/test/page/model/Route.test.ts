import { describe, expect, it } from "vitest"
import { providerFragment, routeOf } from "../../../page/model/Route.ts"

describe("the address's fragment", () => {
  it("leads back to the provider that it was made for", () => {
    for (const provider of ["okta", "a/b", "100 %", "ä#?&"]) {
      const name = { tenant: "acme/eu", provider }
      expect(routeOf(providerFragment(name))).toEqual({ view: "provider", ...name })
    }
  })

  it("leads to the fleet where it is none of the page's", () => {
    for (const fragment of ["", "#", "#fleet", "#provider/acme", "#provider/a/b/c", "#provider/%/x", "#main"]) {
      expect(routeOf(fragment)).toEqual({ view: "fleet" })
    }
    expect(routeOf("#timeline")).toEqual({ view: "timeline" })
  })
})
