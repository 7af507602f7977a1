import { parseArgs } from 'node:util'

/** What is measured at the edge. */
export const EDGE_CASES = [
  'handshake-full',
  'handshake-resumed',
  'tls-proxied',
  'h2-proxied',
  'h2-static-10k',
] as const
export type EdgeCase = (typeof EDGE_CASES)[number]

export interface Options {
  readonly rounds: number
  /** Length of one measured window. */
  readonly seconds: number
  /** Load before the window, so that code is compiled and connections to the app are open. */
  readonly warmSeconds: number
  readonly cases: readonly EdgeCase[]
  /** Peers by name; undefined for all. */
  readonly only: readonly string[] | undefined
  readonly json: boolean
  /** A mark that is missed or not measured ends with exit code 1. */
  readonly strict: boolean
}

export const USAGE = `node test/bench/edge.ts [options]
  --rounds N     rounds, each with fresh processes (3)
  --seconds N    length of one measured window (4)
  --warm N       load before each window, in seconds (3)
  --cases A,B    of ${EDGE_CASES.join(', ')} (all)
  --only A,B     of causeway, nginx, haproxy, caddy (all)
  --json         one JSON document instead of tables
  --strict       exit 1 when a mark is missed or could not be measured
`

/**
 * Reads the command line; undefined when only help was asked for. Throws a TypeError that says what is wrong.
 */
export function readOptions(argv: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '4' },
      warm: { type: 'string', default: '3' },
      cases: { type: 'string' },
      only: { type: 'string' },
      json: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  return {
    rounds: whole('rounds', values.rounds),
    seconds: whole('seconds', values.seconds),
    warmSeconds: whole('warm', values.warm),
    cases: cases(values.cases),
    only: list(values.only),
    json: values.json,
    strict: values.strict,
  }
}

function list(text: string | undefined): readonly string[] | undefined {
  return text?.split(',').filter(part => part !== '')
}

function whole(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) {
    throw new TypeError(`--${name}: expected a whole number above 0, got "${text}"`)
  }
  return value
}

function cases(text: string | undefined): readonly EdgeCase[] {
  const names = list(text) ?? EDGE_CASES
  const unknown = names.find(name => !EDGE_CASES.includes(name as EdgeCase))
  if (unknown !== undefined) {
    throw new TypeError(`--cases: no case "${unknown}" (there are ${EDGE_CASES.join(', ')})`)
  }
  return EDGE_CASES.filter(name => names.includes(name))
}
