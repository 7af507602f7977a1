import t from 'tap'
import { isFlat, slopeOf } from './support/slope.ts'

const at = (ys: readonly number[]) => ys.map((y, x) => ({ x, y }))

t.test('a rising line is not flat, its slope is exact', async t => {
  const slope = slopeOf(at([1, 3, 5, 7, 9]))
  t.equal(slope.perUnit, 2)
  t.equal(slope.margin, 0)
  t.notOk(isFlat(slope))
})

t.test('a line that falls is not flat either', async t => {
  t.notOk(isFlat(slopeOf(at([10, 8.1, 5.9, 4, 2]))))
})

t.test('noise around a level is flat', async t => {
  t.ok(isFlat(slopeOf(at([5, 7, 4, 6, 5, 6, 4, 7, 5]))))
})

t.test('a small drift that the noise cannot hide is seen', async t => {
  t.notOk(isFlat(slopeOf(at([100, 101.2, 101.9, 103.1, 104, 104.8, 106.1, 107]))))
})

t.test('samples that never change are flat', async t => {
  t.ok(isFlat(slopeOf(at([3, 3, 3, 3]))))
})

t.test('two samples prove nothing', async t => {
  t.equal(slopeOf(at([1, 9])).margin, Number.POSITIVE_INFINITY)
})

t.test('the margin is that of the t distribution (n = 4)', async t => {
  // Residuals -0.1, 0.2, -0.1, 0 and x from 0 to 3: s^2 = 0.06 / 2, spread 5.
  const slope = slopeOf(at([0 - 0.1, 1 + 0.3, 2 - 0.3, 3 + 0.1]))
  const expected = 4.303 * Math.sqrt(slopeResidue([-0.1, 1.3, 1.7, 3.1]) / 2 / 5)
  t.ok(Math.abs(slope.margin - expected) < 1e-9, `${slope.margin} is ${expected}`)
})

/** The sum of squared residuals of a line through four samples at 0 to 3, by the normal equations. */
function slopeResidue(ys: readonly [number, number, number, number]): number {
  const [a, b, c, d] = ys
  const mean = (a + b + c + d) / 4
  const slope = (-1.5 * a - 0.5 * b + 0.5 * c + 1.5 * d) / 5
  return ys.reduce((sum, y, x) => sum + (y - mean - slope * (x - 1.5)) ** 2, 0)
}
