import { open } from 'node:fs/promises'
import type { BalancePolicy } from '../lib/config/balance-policies.ts'
import { BALANCE_POLICIES } from '../lib/config/balance-policies.ts'
import { loadConfig } from '../lib/config/load.ts'
import type { UpstreamConfig } from '../lib/config/model.ts'
import { didYouMean } from '../lib/config/nearest.ts'
import { formatProblems } from '../lib/config/problem.ts'
import { type AccessLog, readAccessLog } from '../lib/simulate/access-log.ts'
import { type Description, readDescription } from '../lib/simulate/description.ts'
import { play } from '../lib/simulate/plan.ts'
import { reportJson, reportText } from '../lib/simulate/report.ts'
import type { CommandArgs } from './command-args.ts'
import { EXIT } from './exit.ts'

/** What the options say. */
interface Wishes {
  readonly policies: readonly BalancePolicy[]
  readonly caps: readonly number[]
  readonly seed: number
  readonly speed: number
}

/** Ends the command: what to print, and its exit code. */
class Stop extends Error {
  readonly code: number

  constructor(code: number, text: string) {
    super(text)
    this.code = code
  }
}

/**
 * `causeway simulate`: plays requests to the dispatcher on virtual time, for each policy, and compares.
 * Resolves to the exit code.
 */
export async function simulate({ config, options, json }: CommandArgs): Promise<number> {
  try {
    const wishes = readWishes(options)
    if (options['load'] === undefined && options['log'] === undefined)
      throw usage('specify --load FILE, --log FILE, or both')
    const fromConfig = options['config'] !== undefined || options['load'] === undefined
    const upstream = fromConfig
      ? await readUpstream(options['config'] ?? config, options['upstream'])
      : undefined
    const description = await describe(options, upstream)
    const log = await readLog(options['log'], options['upstream'] ?? upstream?.name)
    const rows = await play({ description, upstream, log, ...wishes })
    const result = { ok: true, seed: wishes.seed, rows: reportJson(rows) }
    process.stdout.write(json ? `${JSON.stringify(result, undefined, 2)}\n` : reportText(rows))
    return EXIT.fine
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    process.stderr.write(error.message)
    return error.code
  }
}

function usage(message: string): Stop {
  return new Stop(EXIT.usage, `causeway: ${message}\nTry: causeway simulate --help\n`)
}

/** Without --policy: all that need no key of the request. */
const POLICIES = BALANCE_POLICIES.filter(policy => policy !== 'hash')

function readWishes({
  policy,
  seed = '1',
  rate = 'x1',
  'max-inflight': caps,
}: CommandArgs['options']): Wishes {
  const speed = /^x(\d+(?:\.\d+)?)$/.exec(rate)?.[1]
  if (speed === undefined || Number(speed) === 0) throw usage('--rate requires a factor such as x2 or x0.5')
  return {
    policies: policy === undefined ? POLICIES : policy.split(',').map(readPolicy),
    caps: caps === undefined ? [] : caps.split(',').map(cap => readNumber('--max-inflight', cap, 1_000_000)),
    seed: readNumber('--seed', seed, Number.MAX_SAFE_INTEGER),
    speed: Number(speed),
  }
}

function readPolicy(word: string): BalancePolicy {
  const policy = BALANCE_POLICIES.find(known => known === word)
  if (policy !== undefined) return policy
  const hint = didYouMean(word, BALANCE_POLICIES) ?? `valid policies are ${BALANCE_POLICIES.join(', ')}`
  throw usage(`unknown policy ${JSON.stringify(word)}: ${hint}`)
}

function readNumber(option: string, text: string, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!(value <= max)) throw usage(`${option} requires whole numbers, got ${JSON.stringify(text)}`)
  return value
}

/** The upstream of that name, or the only one. */
async function readUpstream(path: string, name: string | undefined): Promise<UpstreamConfig> {
  const loaded = await loadConfig(path, process.env)
  if (!loaded.ok) throw new Stop(EXIT.config, formatProblems(loaded.problems))
  const { upstreams } = loaded.snapshot
  const found = upstreams.find(upstream => upstream.name === name)
  if (found !== undefined) return found
  const [only] = upstreams
  if (name === undefined && only !== undefined && upstreams.length === 1) return only
  const names = upstreams.map(upstream => upstream.name).join(', ')
  const there = names === '' ? `${path} has no upstream` : `${path} has ${names}`
  throw usage(
    name === undefined
      ? `choose an upstream with --upstream: ${there}`
      : `unknown upstream "${name}": ${there}`,
  )
}

async function describe(
  { load, log }: CommandArgs['options'],
  upstream: UpstreamConfig | undefined,
): Promise<Description | undefined> {
  if (load === undefined) return undefined
  const read = await readDescription(load, process.env, log !== undefined)
  if (!read.ok) throw new Stop(EXIT.config, formatProblems(read.problems))
  process.stderr.write(formatProblems(read.warnings))
  if (read.value.saysUpstream && upstream !== undefined)
    throw usage(`the upstream is defined both in ${load} and in the configuration: remove one of them`)
  return read.value
}

async function readLog(
  path: string | undefined,
  upstream: string | undefined,
): Promise<AccessLog | undefined> {
  if (path === undefined) return undefined
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new Stop(
      EXIT.failed,
      `causeway: ${path}: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}\n`,
    )
  })
  const log = await readAccessLog(file.readLines(), upstream)
  if (typeof log === 'string') throw new Stop(EXIT.failed, `causeway: ${path} ${log}\n`)
  return log
}
