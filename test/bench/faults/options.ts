import { parseArgs } from 'node:util'

export interface Options {
  readonly seconds: number
  /** Proxies by name; all if undefined. */
  readonly only: readonly string[] | undefined
  /** Part of the names of the scenes to play; all if undefined. */
  readonly scenes: string | undefined
  /** Exit 1 where a peer loses less than Causeway. */
  readonly strict: boolean
}

export const USAGE = `node test/bench/faults.ts [options]
  --seconds N   length of each run (20)
  --only A,B    of causeway, nginx, haproxy
  --scenes TEXT scenes with this in their name
  --strict      exit 1 when a peer is ahead on a row
`

/** Throws a TypeError that says what is wrong. */
export function readOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seconds: { type: 'string', default: '20' },
      only: { type: 'string' },
      scenes: { type: 'string' },
      strict: { type: 'boolean', default: false },
    },
  })
  const seconds = Number(values.seconds)
  if (!(seconds > 0)) throw new TypeError(`--seconds: expected a number above 0, got "${values.seconds}"`)
  return { seconds, only: values.only?.split(','), scenes: values.scenes, strict: values.strict }
}
