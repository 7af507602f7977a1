/** One address with what runs on it. */
export interface Choice<T> {
  readonly name: string
  readonly target: T
  inflight: number
}

/** The less loaded of two random ones. */
export function pick<T>(choices: readonly Choice<T>[]): Choice<T> {
  const i = Math.floor(Math.random() * choices.length)
  const j = (i + 1 + Math.floor(Math.random() * (choices.length - 1))) % choices.length
  const a = choices[i] as Choice<T>
  const b = choices[j] as Choice<T>
  return a.inflight <= b.inflight ? a : b
}
