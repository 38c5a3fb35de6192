/**
 * Invokes the handler of `lambda.ts` with one token after the other, as the platform does, and says after each what
 * was answered and which timers were left. Nothing here ends the process.
 *
 *     JWKS_OPTIONS=... node invoke.program.ts <token>...
 */
import { handler } from "../../70_runtimes/lambda.ts"

for (const token of process.argv.slice(2)) {
  const { statusCode } = await handler({ headers: { authorization: `Bearer ${token}` } })
  const timers = process.getActiveResourcesInfo().filter((name) => name === "Timeout")
  console.log(JSON.stringify({ statusCode, timers }))
}
console.log("returned")
