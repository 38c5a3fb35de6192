import { describe, expect, it } from "vitest"
import { firstQuery, queryString, sortedBy } from "../../../page/model/ListQuery.ts"

describe("the list's query", () => {
  it("begins with what is broken", () => {
    expect(queryString(firstQuery, 0, 50)).toBe("sort=health&order=asc&offset=0&limit=50")
  })

  it("names what it is asked for", () => {
    const query = { ...firstQuery, search: " a&b ", tenant: "acme", health: "stale" } as const
    expect(queryString(query, 50, 50)).toBe(
      "search=a%26b&tenant=acme&health=stale&sort=health&order=asc&offset=50&limit=50",
    )
  })

  it("turns round where it is sorted so already", () => {
    const byFailures = sortedBy(firstQuery, "failures")
    expect(byFailures).toMatchObject({ sort: "failures", order: "desc" })
    expect(sortedBy(byFailures, "failures")).toMatchObject({ sort: "failures", order: "asc" })
    expect(sortedBy(byFailures, "name")).toMatchObject({ sort: "name", order: "asc" })
  })
})
