/**
 * Draws an index in proportion to its weight, with one random number and no loop: the alias method (Walker
 * 1977, tables built as by Vose, IEEE TSE 1991).
 */
export class WeightedDraw {
  readonly #size: number
  readonly #random: () => number
  /** Chance that column i gives i; otherwise it gives its alias. */
  readonly #chance: Float64Array
  readonly #alias: Int32Array

  constructor(weights: readonly number[], random: () => number) {
    this.#size = weights.length
    this.#random = random
    this.#chance = new Float64Array(weights.length)
    this.#alias = new Int32Array(weights.length)
    this.#fill(weights)
  }

  draw(): number {
    const spot = this.#random() * this.#size
    const column = Math.floor(spot)
    return spot - column < (this.#chance[column] as number) ? column : (this.#alias[column] as number)
  }

  /**
   * Draws an index that is not `index`; there must be two. Where the first draw hits it again, every other
   * one is as likely: a loop until it misses could run for long beside one heavy weight.
   */
  drawOther(index: number): number {
    const drawn = this.draw()
    if (drawn !== index) return drawn
    const other = Math.floor(this.#random() * (this.#size - 1))
    return other >= index ? other + 1 : other
  }

  #fill(weights: readonly number[]): void {
    const scale = weights.length / weights.reduce((sum, weight) => sum + weight, 0)
    const left = weights.map(weight => weight * scale)
    const small = [...left.keys()].filter(i => (left[i] as number) < 1)
    const large = [...left.keys()].filter(i => (left[i] as number) >= 1)
    while (small.length > 0 && large.length > 0) {
      const less = small.pop() as number
      const more = large.at(-1) as number
      this.#chance[less] = left[less] as number
      this.#alias[less] = more
      left[more] = (left[more] as number) - (1 - (left[less] as number))
      if ((left[more] as number) < 1) small.push(large.pop() as number)
    }
    // What remains is full, but for rounding.
    for (const i of [...small, ...large]) this.#chance[i] = 1
  }
}
