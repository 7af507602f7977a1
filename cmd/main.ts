import { parseArgs } from 'node:util'
import { didYouMean } from '../lib/config/nearest.ts'
import type { CommandArgs } from './command-args.ts'
import { EXIT } from './exit.ts'

interface Command {
  readonly summary: string
  readonly example: string
  readonly json: boolean
  readonly config: boolean
  /** What must stand behind the command's name, such as `URL`. */
  readonly operand?: string
  /** Options that only this command has; all take a value. */
  readonly options?: Readonly<Record<string, OwnOption>>
  run(args: CommandArgs): Promise<number>
}

interface OwnOption {
  readonly short?: string
  readonly value: string
  readonly help: string
}

// Each command's code is loaded only when it is called.
const COMMANDS: Readonly<Record<string, Command>> = {
  run: {
    summary: 'Serve. SIGHUP reloads, SIGTERM drains and exits, SIGUSR2 reopens log files.',
    example: 'causeway run --config /etc/causeway',
    json: false,
    config: true,
    run: async args => (await import('./run.ts')).run(args),
  },
  check: {
    summary: 'Read the configuration and say what is wrong with it.',
    example: 'causeway check --config site.toml',
    json: true,
    config: true,
    run: async args => (await import('./check.ts')).check(args),
  },
  status: {
    summary: 'Show what the running process does: threads, listeners, endpoints, the last reload.',
    example: 'causeway status --json',
    json: true,
    config: true,
    run: async args => (await import('./status.ts')).status(args),
  },
  reload: {
    summary: 'Make the running process take its configuration anew, and say how that went.',
    example: 'causeway reload',
    json: true,
    config: true,
    run: async args => (await import('./reload.ts')).reload(args),
  },
  healthcheck: {
    summary: 'Exit 0 if the running process is ready: for HEALTHCHECK in a container.',
    example: 'causeway healthcheck',
    json: true,
    config: true,
    run: async args => (await import('./healthcheck.ts')).healthcheck(args),
  },
  doctor: {
    summary:
      'Check a running site from outside, as its users and attackers see it, and name the setting to change.',
    example: 'causeway doctor https://www.example.com/ --post /admin/login/',
    json: true,
    config: false,
    operand: 'URL',
    options: {
      config: { short: 'c', value: 'PATH', help: 'check its time-outs, limits and probes, too' },
      health: { value: 'PATH', help: "page of a load balancer's health checks (default: /healthz)" },
      post: { value: 'PATH', help: 'send the form of this page, with nothing but its CSRF token' },
    },
    run: async ({ operand, options, json }) => (await import('./doctor.ts')).doctor(operand, options, json),
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

/** The command line without the program's name, to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined) return usageError('which command?')
  if (name === '--help' || name === '-h' || name === 'help') return print(helpOfAll())
  const command = COMMANDS[name === '--version' ? 'version' : name]
  if (command === undefined || !Object.hasOwn(COMMANDS, name === '--version' ? 'version' : name)) {
    const hint = didYouMean(name, Object.keys(COMMANDS))
    return usageError(`there is no command ${JSON.stringify(name)}${hint === undefined ? '' : `: ${hint}`}`)
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
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: command.operand !== undefined,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        ...(command.config ? { config: { type: 'string', short: 'c', default: DEFAULT_CONFIG } } : {}),
        ...(command.json ? { json: { type: 'boolean', default: false } } : {}),
        ...ownOptions(command),
      },
    })
    const { help, config, json, ...options } = values as GivenOptions
    const [operand = '', ...surplus] = positionals
    if (!help && command.operand !== undefined && (operand === '' || surplus.length > 0)) {
      return `give one ${command.operand}`
    }
    const own = command.config ? options : { config, ...options }
    return { help, config: config ?? DEFAULT_CONFIG, json: json ?? false, operand, options: own }
  } catch (error) {
    const message = error instanceof Error ? (error.message.split('. ', 1)[0] ?? '') : String(error)
    const forgotOption = command.config && message.startsWith('Unexpected argument')
    return forgotOption ? `${message}: the configuration is named by --config` : message
  }
}

type GivenOptions = { readonly help: boolean; readonly config?: string; readonly json?: boolean } & Readonly<
  Record<string, string | undefined>
>

function ownOptions({ options = {} }: Command) {
  const rows = Object.entries(options).map(([name, { short }]) => {
    return [name, { type: 'string' as const, ...(short === undefined ? {} : { short }) }] as const
  })
  return Object.fromEntries(rows)
}

function helpOfAll(): string {
  const width = Math.max(...Object.keys(COMMANDS).map(name => name.length))
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  return `causeway: a front server for app servers

Usage: causeway COMMAND [options]

${lines.join('\n')}

causeway COMMAND --help says more. Exit codes: 0 fine, 1 failed, 2 bad usage, 78 bad configuration.

Example: causeway run --config conf.d
`
}

function helpOf(
  name: string,
  { summary, example, json, config, operand, options: own = {} }: Command,
): string {
  let options = ''
  for (const [option, { short, value, help }] of Object.entries(own)) {
    const flag = short === undefined ? `    --${option}` : `-${short}, --${option}`
    options += `  ${`${flag} ${value}`.padEnd(18)} ${help}\n`
  }
  if (config)
    options += `  -c, --config PATH  TOML file, or folder of *.toml files (default: ${DEFAULT_CONFIG})\n`
  if (json) options += '      --json         JSON for programs\n'
  options += '  -h, --help         This text\n'
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
