/**
 * Times as words. Every function takes the time that it speaks about and what it needs to know, never a clock.
 */

const second = 1_000

const two = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`

/** A length of time in at most two units: `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 6 h`. */
export const lengthText = (millis: number): string => {
  const seconds = Math.floor(Math.max(0, millis) / second)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  // Past ten minutes the seconds are noise that makes a column flicker.
  if (minutes < 60) return minutes < 10 ? two(minutes, "min", seconds % 60, "s") : `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return two(hours, "h", minutes % 60, "min")
  return two(Math.floor(hours / 24), "d", hours % 24, "h")
}

/** `in 3 min 5 s` for what is to come, `2 h 10 min ago` for what was, `now` within a second. */
export const relativeText = (at: number, now: number): string => {
  const distance = at - now
  if (Math.abs(distance) < second) return "now"
  return distance > 0 ? `in ${lengthText(distance)}` : `${lengthText(-distance)} ago`
}

const pad = (value: number, width = 2): string => String(value).padStart(width, "0")

/** The time of day by the viewer's clock, `14:03:09`; 24 hours, since operators compare it with logs. */
export const clockText = (at: number): string => {
  const date = new Date(at)
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`
}

/** The day by the viewer's calendar, `2026-11-21`. */
export const dayText = (at: number): string => {
  const date = new Date(at)
  return `${pad(date.getFullYear(), 4)}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`
}

/** Day and time; the day is left out where it is today. */
export const momentText = (at: number, now: number): string =>
  dayText(at) === dayText(now) ? clockText(at) : `${dayText(at)} ${clockText(at)}`
