import { type ParseArgsConfig, parseArgs } from 'node:util'
import { didYouMean } from '../lib/config/nearest.ts'
import type { CommandArgs } from './command-args.ts'
import { EXIT } from './exit.ts'

interface Command {
  readonly summary: string
  readonly example: string
  readonly json: boolean
  readonly config: boolean
  /** What stands behind the command's name, such as `UPSTREAM [ENDPOINT]`, or `URL...` for one and more. */
  readonly operand?: string
  /** Options that only this command has. */
  readonly options?: Readonly<Record<string, OwnOption>>
  run(args: CommandArgs): Promise<number>
}

interface OwnOption {
  readonly short?: string
  /** What it takes; undefined: nothing, it is there or not. */
  readonly value?: string
  readonly help: string
}

const TIMEOUT: OwnOption = { value: '30s', help: 'maximum wait' }

// Each command's code is loaded only when it is called.
const COMMANDS: Readonly<Record<string, Command>> = {
  run: {
    summary: 'Run the server. SIGHUP reloads, SIGTERM drains and exits, SIGUSR2 reopens log files.',
    example: 'causeway run --config /etc/causeway',
    json: false,
    config: true,
    run: async args => (await import('./run.ts')).run(args),
  },
  check: {
    summary: 'Validate the configuration and report its errors.',
    example: 'causeway check --config site.toml',
    json: true,
    config: true,
    run: async args => (await import('./check.ts')).check(args),
  },
  explain: {
    summary:
      'Explain how the configuration would handle a request: route, rewriting, upstream, queue, retries.',
    example: 'causeway explain POST https://www.example.com/admin/login/',
    json: true,
    config: true,
    operand: '[METHOD] URL',
    run: async args => (await import('./explain.ts')).explain(args),
  },
  status: {
    summary: 'Show the state of the running process: threads, listeners, endpoints, last reload.',
    example: 'causeway status --json',
    json: true,
    config: true,
    run: async args => (await import('./status.ts')).status(args),
  },
  reload: {
    summary: 'Make the running process reload its configuration, and report the result.',
    example: 'causeway reload',
    json: true,
    config: true,
    run: async args => (await import('./reload.ts')).reload(args),
  },
  drain: {
    summary: 'Send no new requests to an endpoint, or to a whole upstream, and wait until it is idle.',
    example: 'causeway drain app app:8000',
    json: true,
    config: true,
    operand: 'UPSTREAM [ENDPOINT]',
    options: {
      timeout: { ...TIMEOUT, help: 'maximum wait (default: server.drain)' },
      'no-wait': { help: 'do not wait' },
    },
    run: async args => (await import('./drain.ts')).drain(args),
  },
  ready: {
    summary: 'Undo a drain.',
    example: 'causeway ready app app:8000',
    json: true,
    config: true,
    operand: 'UPSTREAM [ENDPOINT]',
    run: async args => (await import('./ready.ts')).ready(args),
  },
  deploy: {
    summary:
      'Replace the endpoints of an upstream: wait until the new ones are ready, switch, drain the old ones.',
    example: 'causeway deploy app app-green:8000',
    json: true,
    config: true,
    operand: 'UPSTREAM [ENDPOINT...]',
    options: {
      timeout: { ...TIMEOUT, help: 'maximum wait until all of them are ready (default: 30s)' },
      configured: { help: 'return to the endpoints in the configuration' },
    },
    run: async args => (await import('./deploy.ts')).deploy(args),
  },
  healthcheck: {
    summary: 'Exit 0 if the running process is ready; for HEALTHCHECK in a container.',
    example: 'causeway healthcheck',
    json: true,
    config: true,
    run: async args => (await import('./healthcheck.ts')).healthcheck(args),
  },
  doctor: {
    summary:
      'Check a running site from outside, as users and attackers see it, and name the settings to change.',
    example: 'causeway doctor https://www.example.com/ --post /admin/login/',
    json: true,
    config: false,
    operand: 'URL',
    options: {
      config: { short: 'c', value: 'PATH', help: 'also check its timeouts, limits and probes' },
      health: { value: 'PATH', help: 'path of the load balancer health check (default: /healthz)' },
      post: { value: 'PATH', help: 'submit the form on this page, with nothing but its CSRF token' },
    },
    run: async ({ operand, options, json }) => (await import('./doctor.ts')).doctor(operand, options, json),
  },
  simulate: {
    summary:
      'Simulate a described load, or an access log, on the real dispatcher with a virtual clock, and compare policies.',
    example: 'causeway simulate --load pool.toml --policy p2c,peak-ewma --max-inflight 0,4',
    json: true,
    config: false,
    options: {
      load: { value: 'FILE', help: 'TOML file with [load], [[endpoints]], [[faults]] and [upstream]' },
      log: { value: 'FILE', help: 'access log to replay, instead of [load]' },
      config: { short: 'c', value: 'PATH', help: 'take the upstream settings from this configuration' },
      upstream: { value: 'NAME', help: 'upstream in the configuration and in the log' },
      policy: { value: 'A,B', help: 'policies to compare (default: all but hash)' },
      'max-inflight': {
        value: 'N,M',
        help: 'limits to compare, 0 for none (default: the limit of the upstream)',
      },
      rate: { value: 'xN', help: 'multiply the request rate by N' },
      seed: { value: 'N', help: 'seed of the random numbers (default: 1)' },
    },
    run: async args => (await import('./simulate.ts')).simulate(args),
  },
  schema: {
    summary: 'Print the JSON Schema of the configuration, for editors.',
    example: 'causeway schema > causeway.schema.json',
    json: false,
    config: false,
    run: async () => (await import('./schema.ts')).schema(),
  },
  version: {
    summary: 'Print the version.',
    example: 'causeway version --json',
    json: true,
    config: false,
    run: async args => (await import('./version.ts')).version(args),
  },
}

const DEFAULT_CONFIG = 'conf.d'
const VERSION_OPTIONS: ReadonlySet<string> = new Set(['--version', '-v', '-V'])

/** What `--config` stands for where it is not given. */
function defaultConfig(): string {
  const { CAUSEWAY_CONFIG = '' } = process.env
  return CAUSEWAY_CONFIG === '' ? DEFAULT_CONFIG : CAUSEWAY_CONFIG
}

/** The command line without the program's name, to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined) return usageError('no command given')
  if (name === '--help' || name === '-h' || name === 'help') return print(helpOfAll())
  const word = VERSION_OPTIONS.has(name) ? 'version' : name
  const command = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined
  if (command === undefined) {
    const kind = name.startsWith('-') ? 'option' : 'command'
    return usageError(withHint(`unknown ${kind} ${JSON.stringify(name)}`, name, Object.keys(COMMANDS)))
  }
  const args = parse(rest, command)
  if (typeof args === 'string') return usageError(args, name)
  return args.help ? print(helpOf(name, command)) : command.run(args)
}

/** The arguments, or what is wrong with them. */
function parse(
  argv: readonly string[],
  command: Command,
): (CommandArgs & { readonly help: boolean }) | string {
  const options: NonNullable<ParseArgsConfig['options']> = {
    help: { type: 'boolean', short: 'h', default: false },
    ...(command.config ? { config: { type: 'string', short: 'c', default: defaultConfig() } } : {}),
    ...(command.json ? { json: { type: 'boolean', default: false } } : {}),
    ...ownOptions(command),
  }
  try {
    const allowPositionals = command.operand !== undefined
    const { values, positionals } = parseArgs({ args: [...argv], strict: true, allowPositionals, options })
    const { help, config, json, ...given } = values as unknown as GivenOptions
    const fault = help ? undefined : operandFault(positionals, command.operand)
    if (fault !== undefined) return fault
    const own = command.config ? given : { config, ...given }
    return {
      help,
      config: config ?? defaultConfig(),
      json: json ?? false,
      operands: positionals,
      operand: positionals[0] ?? '',
      options: Object.fromEntries(Object.entries(own).filter(isValue)),
      flags: new Set(Object.keys(own).filter(name => own[name] === true)),
    }
  } catch (error) {
    const message = error instanceof Error ? (error.message.split('. ', 1)[0] ?? '') : String(error)
    const [, unknown] = /^Unknown option '(--[^']+)'/.exec(message) ?? []
    if (unknown !== undefined)
      return withHint(
        message,
        unknown,
        Object.keys(options).map(name => `--${name}`),
      )
    const forgotOption = command.config && message.startsWith('Unexpected argument')
    return forgotOption ? `${message}: pass the configuration with --config` : message
  }
}

function withHint(message: string, word: string, words: readonly string[]): string {
  const hint = didYouMean(word, words)
  return hint === undefined ? message : `${message}: ${hint}`
}

type GivenOptions = { readonly help: boolean; readonly config?: string; readonly json?: boolean } & Readonly<
  Record<string, string | boolean | undefined>
>

function isValue(pair: [string, string | boolean | undefined]): pair is [string, string | undefined] {
  return typeof pair[1] !== 'boolean'
}

/** What is wrong with the words behind the command's name; an empty one is none. */
function operandFault(given: readonly string[], usage = ''): string | undefined {
  const words = usage.split(' ').filter(word => word !== '')
  const least = words.filter(word => !word.startsWith('[')).length
  const most = usage.includes('...') ? Number.POSITIVE_INFINITY : words.length
  if (given.length >= least && given.length <= most && !given.includes('')) return undefined
  return `expected ${words.length === 1 ? 'one argument' : 'arguments'}: ${usage}`
}

function ownOptions({ options = {} }: Command) {
  const rows = Object.entries(options).map(([name, { short, value }]) => {
    const type = value === undefined ? ('boolean' as const) : ('string' as const)
    return [name, { type, ...(short === undefined ? {} : { short }) }] as const
  })
  return Object.fromEntries(rows)
}

function helpOfAll(): string {
  const width = Math.max(...Object.keys(COMMANDS).map(name => name.length))
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  return `causeway: a front server for app servers

Usage: causeway COMMAND [options]

${lines.join('\n')}

causeway COMMAND --help shows details. Exit codes: 0 success, 1 failure, 2 usage error, 78 invalid configuration.

Example: causeway run --config conf.d
`
}

function helpOf(
  name: string,
  { summary, example, json, config, operand, options: own = {} }: Command,
): string {
  const rows = Object.entries(own).map(([option, { short, value, help }]): [string, string] => {
    return [`${short === undefined ? '   ' : `-${short},`} --${option} ${value ?? ''}`.trimEnd(), help]
  })
  if (config)
    rows.push([
      '-c, --config PATH',
      `TOML file, or folder of *.toml files (default: $CAUSEWAY_CONFIG, or ${DEFAULT_CONFIG})`,
    ])
  if (json) rows.push(['    --json', 'Print JSON'])
  rows.push(['-h, --help', 'Show this help'])
  const width = Math.max(...rows.map(([flag]) => flag.length))
  const options = rows.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}\n`).join('')
  return `${summary}\n\nUsage: causeway ${name}${operand === undefined ? '' : ` ${operand}`} [options]\n\n${options}\nExample: ${example}\n`
}

function print(text: string): number {
  process.stdout.write(text)
  return EXIT.fine
}

function usageError(message: string, command?: string): number {
  const more = command === undefined ? 'causeway --help' : `causeway ${command} --help`
  process.stderr.write(`causeway: ${message}\nTry: ${more}\n`)
  return EXIT.usage
}
