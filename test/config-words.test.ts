import { globSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import toml from 'toml'
import { loadConfig } from '../lib/config/load.ts'
import { type Section, tomlKey } from '../lib/config/option.ts'
import { NAMED_SECTIONS, SINGLE_SECTIONS } from '../lib/config/schema.ts'
import { TestAuthority } from './support/certificates.ts'
import { FULL } from './support/full-config.ts'

// A word that is accepted and does nothing would be the worst that a configuration can have: nobody would
// tell its author.

type Value = string | number | boolean | Date | readonly Value[] | Tree
interface Tree {
  readonly [key: string]: Value
}

const isTree = (value: Value | undefined): value is Tree =>
  typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date)

function written(value: Value): string {
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`
  if (isTree(value)) return `{ ${entries(value).join(', ')} }`
  return JSON.stringify(value)
}

const entries = (tree: Tree) =>
  Object.entries(tree).map(([key, value]) => `${JSON.stringify(key)} = ${written(value)}`)

/** The tree without what stands at `path`; a step into a list goes into each of its tables. */
function without(value: Value, [step = '', ...rest]: readonly string[]): Value {
  if (Array.isArray(value)) return value.map(item => (isTree(item) ? without(item, [step, ...rest]) : item))
  if (!isTree(value)) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => {
      if (key !== step) return [[key, inner]]
      return rest.length === 0 ? [] : [[key, without(inner, rest)]]
    }),
  )
}

/** Paths of all words below a section; the steps below a dictionary are its own. */
function wordsOf(section: Section, above: readonly string[]): string[][] {
  return Object.entries(section).flatMap(([name, option]) => {
    const path = [...above, tomlKey(name)]
    return option.fields === undefined ? [path] : wordsOf(option.fields, path)
  })
}

function valueAt(value: Value | undefined, [step, ...rest]: readonly string[]): Value | undefined {
  if (step === undefined) return value
  if (Array.isArray(value))
    return value
      .filter(isTree)
      .map(item => valueAt(item, [step, ...rest]))
      .find(Boolean)
  return isTree(value) ? valueAt(value[step], rest) : undefined
}

/** Words that name files, and values that are none of their defaults. */
const MORE = (authority: TestAuthority) => {
  const { certificateFile, keyFile } = authority.issue({ names: ['site.test'] })
  const pair = `certificate = "${certificateFile}", key = "${keyFile}"`
  return `
[listeners.files]
address = "127.0.0.1:8443"
tls = { ${pair} }
mtls = { ca = "${authority.file}", mode = "optional" }
[upstreams.secure]
endpoints = ["https://app:8443"]
tls = { ca = "${authority.file}", ${pair} }
health = { type = "tcp" }
body = "stream"
[routes.secure]
hosts = ["secure.test"]
upstream = "secure"
maintenance = { enabled = false }
`
}

/** Words with one value only: that of their default. */
const ONE_VALUE = ['log.format']

t.test('every word changes what runs, or is missed', async t => {
  const folder = t.testdir({})
  const authority = new TestAuthority(folder)
  const outcome = async (tree: Value) => {
    const path = join(folder, 'causeway.toml')
    await writeFile(path, isTree(tree) ? `${entries(tree).join('\n')}\n` : '')
    const loaded = await loadConfig(path, { PEBBLE_CA: authority.file })
    if (!loaded.ok) return loaded.problems.map(({ message }) => message)
    const { hash, ...snapshot } = loaded.snapshot
    return snapshot
  }
  const full = toml.parse(FULL + MORE(authority)) as Tree
  const whole = await outcome(full)
  t.notOk(Array.isArray(whole), 'all of them together may run')
  const words = [
    ...Object.entries(SINGLE_SECTIONS)
      .flatMap(([name, section]) => wordsOf(section, [name]))
      .filter(word => valueAt(full, word) !== undefined),
    ...Object.entries(NAMED_SECTIONS).flatMap(([name, section]) =>
      wordsOf(section, []).flatMap(word => tablesWith(full[name], word).map(table => [name, table, ...word])),
    ),
  ]
  const known = new Set(words.map(nameOf))
  const all = [
    ...Object.entries(SINGLE_SECTIONS).flatMap(([name, section]) => wordsOf(section, [name])),
    ...Object.entries(NAMED_SECTIONS).flatMap(([name, section]) => wordsOf(section, [name])),
  ].map(word => word.join('.'))
  t.same(
    all.filter(word => !known.has(word)),
    [],
    'the full configuration has each of them',
  )
  const before = JSON.stringify(whole)
  const moved = new Set(ONE_VALUE)
  for (const word of words) {
    if (!moved.has(nameOf(word)) && JSON.stringify(await outcome(without(full, word))) !== before)
      moved.add(nameOf(word))
  }
  t.same(
    all.filter(word => !moved.has(word)),
    [],
    'each of them changes something',
  )
})

/** Names in the model of all rows, those of tables too. */
function rowsOf(section: Section): string[] {
  return Object.entries(section).flatMap(([name, { fields }]) =>
    fields === undefined ? [name] : [name, ...rowsOf(fields)],
  )
}

/** Comments, strings and templates. */
const TEXT = /\/\*[\s\S]*?\*\/|(?<=\s)\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g

/** The code without what says a word and does not read it. */
const bare = (code: string) => code.replace(TEXT, text => text.match(/\$\{[^}]*\}/g)?.join(' ') ?? '')

t.test('every word is read by somebody who acts by it', async t => {
  const isSection = (file: string) => file.startsWith('lib/config/') && /section|model/.test(file)
  const code = ['cmd', 'lib', 'upstreams', 'metrics']
    .flatMap(folder => globSync(`${folder}/**/*.ts`))
    .filter(file => !isSection(file))
    .map(file => bare(readFileSync(file, 'utf8')))
    .join('\n')
  const rows = [...Object.values(SINGLE_SECTIONS), ...Object.values(NAMED_SECTIONS)].flatMap(rowsOf)
  t.same(
    rows.filter(name => !new RegExp(`\\b${name}\\b`).test(code)),
    [],
  )
})

/** A word without the name of the table that it stands in. */
function nameOf([section = '', ...steps]: readonly string[]): string {
  return [section, ...(section in NAMED_SECTIONS ? steps.slice(1) : steps)].join('.')
}

/** The tables of a section that use this word. */
function tablesWith(tables: Value | undefined, word: readonly string[]): string[] {
  if (!isTree(tables)) return []
  return Object.keys(tables).filter(name => valueAt(tables[name], word) !== undefined)
}
