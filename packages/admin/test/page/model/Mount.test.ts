import { describe, expect, it } from "vitest"
import { apiBase } from "../../../page/model/Mount.ts"

describe("the API's place", () => {
  it.each(["/", "/admin/", "/ops/admin/", "/admin", "/ops/admin"])("is below %s", (pathname) => {
    const address = new URL(`${apiBase(pathname)}api/providers`, `https://ops.example${pathname}`)
    expect(address.pathname).toBe(`${pathname.replace(/\/$/, "")}/api/providers`)
  })
})
