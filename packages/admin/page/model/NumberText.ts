/**
 * Counts and ratios as text.
 */

/** `10 000` with a thin space: it is read alike in every country. */
export const countText = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f")

/**
 * `part / whole` in percent, `-` where there is no whole. Only the full 100 % shows as 100, so that one miss in a
 * million is not hidden.
 */
export const ratioText = (part: number, whole: number): string => {
  if (whole <= 0) return "-"
  const percent = (part / whole) * 100
  if (percent === 0 || percent === 100) return `${percent} %`
  const tenths = Math.min(99.9, Math.max(0.1, Math.round(percent * 10) / 10))
  return `${tenths.toFixed(1)} %`
}

/** `1 key`, `3 keys`. */
export const pluralText = (count: number, one: string, many = `${one}s`): string =>
  `${countText(count)} ${count === 1 ? one : many}`
