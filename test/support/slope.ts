/** A straight line through samples, by least squares, with how sure its slope is. */
export interface Slope {
  /** Units of y for one unit of x. */
  readonly perUnit: number
  /** Half the width of the 95 % confidence interval of `perUnit`; Infinity with fewer than three samples. */
  readonly margin: number
}

export interface Point {
  readonly x: number
  readonly y: number
}

/** Two-sided 97.5 % quantiles of Student's t for 1, 2, 3 ... degrees of freedom. */
const T_QUANTILES = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086,
]
const T_MANY = 1.96

/** The slope of `points`. Points without spread in x have none: 0, with an infinite margin. */
export function slopeOf(points: readonly Point[]): Slope {
  const n = points.length
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / n
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / n
  const spread = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0)
  if (n < 3 || spread === 0) return { perUnit: 0, margin: Number.POSITIVE_INFINITY }
  const perUnit = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0) / spread
  const left = points.reduce((sum, { x, y }) => sum + (y - meanY - perUnit * (x - meanX)) ** 2, 0)
  return { perUnit, margin: quantile(n - 2) * Math.sqrt(left / (n - 2) / spread) }
}

/** True where the confidence interval holds zero, or every sample is the same. */
export function isFlat({ perUnit, margin }: Slope): boolean {
  return Math.abs(perUnit) <= margin
}

function quantile(freedom: number): number {
  return T_QUANTILES[freedom - 1] ?? T_MANY
}
