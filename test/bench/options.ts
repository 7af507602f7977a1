import { parseArgs } from 'node:util'

/** What is measured: three kinds of traffic, one that is not part of the usual run, and idle connections. */
export const CASES = ['proxied', 'proxied-10k', 'static-10k', 'connect', 'idle'] as const
export type CaseName = (typeof CASES)[number]
const USUAL: readonly CaseName[] = ['proxied', 'proxied-10k', 'static-10k', 'idle']

export interface Options {
  readonly rounds: number
  /** Length of one measured window. */
  readonly seconds: number
  /** Load before the window, so that code is compiled and connections are open. */
  readonly warmSeconds: number
  /** Keep-alive connections of the load. */
  readonly connections: number
  /** Idle connections whose memory is measured. */
  readonly idleConnections: number
  readonly cases: readonly CaseName[]
  /** Peers by name; undefined for all. */
  readonly only: readonly string[] | undefined
  /** Another checkout, built, that is measured as well. */
  readonly before: string | undefined
  readonly json: boolean
  /** A missed mark ends with exit code 1. */
  readonly strict: boolean
}

export const USAGE = `npm run bench -- [options]
  --rounds N        rounds, each with fresh processes (3)
  --seconds N       length of one measured window (4)
  --warm N          load before each window, in seconds (3)
  --connections N   keep-alive connections (64)
  --idle N          idle connections whose memory is measured (10000)
  --cases A,B       of ${CASES.join(', ')} (all but connect)
  --only A,B        of causeway, nginx, nginx-buffered, haproxy, caddy, node-undici, http-proxy-3
  --before FOLDER   measures the build of another checkout as well, as causeway-before
  --json            one JSON document instead of tables
  --strict          exit 1 when a mark is missed
`

function list(text: string | undefined): readonly string[] | undefined {
  return text?.split(',').filter(part => part !== '')
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new TypeError(`--${name}: expected a number above 0, got "${text}"`)
  return value
}

function cases(text: string | undefined): readonly CaseName[] {
  const names = list(text)
  if (names === undefined) return USUAL
  const unknown = names.find(name => !CASES.includes(name as CaseName))
  if (unknown !== undefined)
    throw new TypeError(`--cases: no case "${unknown}" (there are ${CASES.join(', ')})`)
  return CASES.filter(name => names.includes(name))
}

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
      connections: { type: 'string', default: '64' },
      idle: { type: 'string', default: '10000' },
      cases: { type: 'string' },
      only: { type: 'string' },
      before: { type: 'string' },
      json: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  return {
    rounds: positive('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
    warmSeconds: positive('warm', values.warm),
    connections: positive('connections', values.connections),
    idleConnections: positive('idle', values.idle),
    cases: cases(values.cases),
    only: list(values.only),
    before: values.before,
    json: values.json,
    strict: values.strict,
  }
}
