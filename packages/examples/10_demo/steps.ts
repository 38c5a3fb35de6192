/**
 * All steps by name.
 */
import { register, resolve, revalidate, rotate, start } from "./routine.ts"
import { counts, flood, isolation, outage, recover } from "./trouble.ts"
import type { Step, StepName } from "./world.ts"

export const steps: Readonly<Record<StepName, Step>> = {
  start,
  register,
  resolve,
  revalidate,
  rotate,
  outage,
  recover,
  flood,
  isolation,
  counts,
}
