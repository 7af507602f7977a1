import { createRequire } from 'node:module'
import { parse } from 'toml'
import { Report } from './problem.ts'
import { type Place, placeText, type Source } from './source.ts'
import { syntaxProblem, type TomlError } from './syntax.ts'
import { type Entry, type Leaf, type List, type Node, type Path, pathText, type Table } from './tree.ts'

/**
 * The syntax tree of `toml` 5.0.1, an inner module of that package: the only way to know where a value
 * stands. This file alone knows its shape, the version is pinned exactly, and test/config-positions.test.ts
 * fails if the shape moves.
 */
interface TomlParser {
  parse(text: string): readonly Statement[]
}

type Statement =
  | { readonly type: 'ObjectPath' | 'ArrayPath'; readonly value: readonly string[]; readonly offset: number }
  | ({ readonly type: 'Assign' } & Assignment)

interface Assignment {
  readonly key: readonly string[]
  readonly value: Value
  readonly offset: number
}

type Value =
  | { readonly type: 'String'; readonly value: string; readonly offset: number }
  | { readonly type: 'Integer'; readonly value: bigint; readonly offset: number }
  | { readonly type: 'Float'; readonly value: number; readonly offset: number }
  | { readonly type: 'Boolean'; readonly value: boolean; readonly offset: number }
  | { readonly type: 'Date' | 'LocalDateTime' | 'LocalDate' | 'LocalTime'; readonly offset: number }
  | { readonly type: 'Array'; readonly value: readonly Value[]; readonly offset: number }
  | { readonly type: 'InlineTable'; readonly value: readonly Assignment[]; readonly offset: number }

/** How a table came to be; TOML's rules on defining one twice depend on it. */
type Origin = 'header' | 'implicit' | 'dotted' | 'inline'

interface OpenTable extends Table {
  readonly entries: Map<string, Entry>
}

interface OpenList extends List {
  readonly items: Node[]
}

const parser = createRequire(import.meta.url)('toml/lib/parser.js') as TomlParser

/** A file as a tree with positions; undefined if its syntax is broken. Mistakes go to the report. */
export function readToml(source: Source, report: Report): Table | undefined {
  let statements: readonly Statement[]
  try {
    statements = parser.parse(source.text)
  } catch (error) {
    reportSyntax(source, error as TomlError, report)
    return undefined
  }
  const own = new Report()
  const root = new TreeBuilder(source, own).build(statements)
  // The library's own compiler knows rules that we do not repeat; what we have not found ourselves, it says.
  if (!own.failed) compileStrictly(source, own)
  for (const problem of own.sorted()) report.add(problem)
  return root
}

const MOST_SYNTAX_ERRORS = 20

/**
 * Tells the syntax errors of a file, not only the first: a broken line is blanked out, and the rest is read
 * again.
 */
function reportSyntax(source: Source, first: TomlError, report: Report): void {
  let error: TomlError | undefined = first
  let text = source.text
  for (let count = 0; error !== undefined && count < MOST_SYNTAX_ERRORS; count += 1) {
    const problem = syntaxProblem(error, { name: source.name, text })
    report.error({ source, offset: problem.offset }, problem.message, problem.hint)
    // Behind an unclosed list or text block nothing is where it seems to be.
    if (problem.spansLines) return
    text = blankLine(text, problem.offset)
    error = syntaxErrorOf(text)
  }
}

function syntaxErrorOf(text: string): TomlError | undefined {
  try {
    parser.parse(text)
    return undefined
  } catch (error) {
    return error as TomlError
  }
}

function blankLine(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1
  const newline = text.indexOf('\n', start)
  const end = newline < 0 ? text.length : newline
  return text.slice(0, start) + ' '.repeat(end - start) + text.slice(end)
}

function compileStrictly(source: Source, report: Report): void {
  try {
    parse(source.text)
  } catch (error) {
    const problem = syntaxProblem(error as TomlError, source)
    report.error({ source, offset: problem.offset }, problem.message, problem.hint)
  }
}

class TreeBuilder {
  readonly #source: Source
  readonly #report: Report
  readonly #origins = new Map<Node, Origin>()

  constructor(source: Source, report: Report) {
    this.#source = source
    this.#report = report
  }

  build(statements: readonly Statement[]): Table {
    const root = this.#table({ source: this.#source, offset: undefined }, 'header')
    let current = root
    let prefix: Path = []
    for (const statement of statements) {
      if (statement.type === 'Assign') {
        this.#assign(current, statement, prefix)
        continue
      }
      current = this.#open(root, statement)
      prefix = statement.value
    }
    return root
  }

  /** `[a.b]` or `[[a.b]]`: the table that the lines below it fill. */
  #open(root: OpenTable, header: Extract<Statement, { type: 'ObjectPath' | 'ArrayPath' }>): OpenTable {
    const brackets = header.type === 'ArrayPath' ? 2 : 1
    const places = this.#keyPlaces(header.offset + brackets, header.value.length)
    const parent = this.#descend(root, header.value, places, 'implicit', [])
    const name = header.value.at(-1) as string
    const keyAt = places.at(-1) as Place
    if (header.type === 'ArrayPath') return this.#append(parent, name, keyAt, header.value)
    const known = parent.entries.get(name)
    if (known === undefined) return this.#add(parent, name, keyAt, this.#table(keyAt, 'header'))
    if (known.node.kind === 'table' && this.#origins.get(known.node) === 'implicit') {
      this.#origins.set(known.node, 'header')
      return known.node as OpenTable
    }
    this.#twice(keyAt, header.value, known)
    return this.#table(keyAt, 'header')
  }

  #append(parent: OpenTable, name: string, keyAt: Place, path: Path): OpenTable {
    const table = this.#table(keyAt, 'header')
    const known = parent.entries.get(name)
    if (known === undefined) this.#add(parent, name, keyAt, this.#list(keyAt, [table]))
    else if (known.node.kind === 'list') (known.node as OpenList).items.push(table)
    else this.#twice(keyAt, path, known)
    return table
  }

  #assign(table: OpenTable, { key, value, offset }: Assignment, prefix: Path): void {
    const places = this.#keyPlaces(offset, key.length)
    const parent = this.#descend(table, key, places, 'dotted', prefix)
    const name = key.at(-1) as string
    const keyAt = places.at(-1) as Place
    const known = parent.entries.get(name)
    if (known !== undefined) this.#twice(keyAt, [...prefix, ...key], known)
    else this.#add(parent, name, keyAt, this.#value(value, [...prefix, ...key]))
  }

  /** Walks to the table that the last of `keys` belongs in, and makes those that are missing. */
  #descend(
    from: OpenTable,
    keys: readonly string[],
    places: readonly Place[],
    made: Origin,
    prefix: Path,
  ): OpenTable {
    let table = from
    for (const [i, key] of keys.slice(0, -1).entries()) {
      const keyAt = places[i] as Place
      const known = table.entries.get(key)
      let next = known?.node
      if (next?.kind === 'list') next = next.items.at(-1)
      if (next?.kind === 'table') {
        table = next as OpenTable
        continue
      }
      if (known !== undefined) this.#twice(keyAt, [...prefix, ...keys.slice(0, i + 1)], known)
      const fresh = this.#table(keyAt, made)
      table = known === undefined ? this.#add(table, key, keyAt, fresh) : fresh
    }
    return table
  }

  #value(value: Value, path: Path): Node {
    const at = this.#place(value.offset)
    switch (value.type) {
      case 'String':
      case 'Float':
      case 'Boolean':
        return leaf(at, value.value)
      case 'Integer':
        return this.#integer(at, value.value)
      case 'Date':
      case 'LocalDateTime':
      case 'LocalDate':
      case 'LocalTime':
        return leaf(at, new Date(0))
      case 'Array':
        return this.#list(
          at,
          value.value.map((item, i) => this.#value(item, [...path, i])),
        )
      case 'InlineTable':
        return this.#inlineTable(at, value.value, path)
    }
  }

  #integer(at: Place, value: bigint): Leaf {
    if (value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER) return leaf(at, Number(value))
    const [what, end] = value > 0 ? ['large', Number.MAX_SAFE_INTEGER] : ['small', Number.MIN_SAFE_INTEGER]
    this.#report.error(at, `the number ${value} is too ${what}: the limit is ${end}`)
    return { ...leaf(at, end), unresolved: true }
  }

  #inlineTable(at: Place, assignments: readonly Assignment[], path: Path): Table {
    const table = this.#table(at, 'inline')
    for (const assignment of assignments) this.#assign(table, assignment, path)
    return table
  }

  #table(at: Place, origin: Origin): OpenTable {
    const table: OpenTable = { kind: 'table', at, entries: new Map() }
    this.#origins.set(table, origin)
    return table
  }

  #list(at: Place, items: Node[]): OpenList {
    return { kind: 'list', at, items }
  }

  #add<N extends Node>(parent: OpenTable, key: string, keyAt: Place, node: N): N {
    parent.entries.set(key, { keyAt, node })
    return node
  }

  #twice(at: Place, path: Path, first: Entry): void {
    this.#report.error(at, `${pathText(path)} is defined twice (first at ${placeText(first.keyAt)})`)
  }

  /** Where each part of a dotted key stands, from the offset of the first. */
  #keyPlaces(offset: number, count: number): Place[] {
    const places: Place[] = []
    let at = offset
    for (let i = 0; i < count; i += 1) {
      at = skipBlanks(this.#source.text, at)
      places.push(this.#place(at))
      at = skipBlanks(this.#source.text, keyEnd(this.#source.text, at)) + 1 // the dot
    }
    return places
  }

  #place(offset: number): Place {
    return { source: this.#source, offset }
  }
}

function leaf(at: Place, value: Leaf['value']): Leaf {
  return { kind: 'leaf', at, value, template: undefined, unresolved: false }
}

function skipBlanks(text: string, from: number): number {
  let at = from
  while (text[at] === ' ' || text[at] === '\t') at += 1
  return at
}

/** End of one part of a key: bare, "basic" or 'literal'. */
function keyEnd(text: string, start: number): number {
  const quote = text[start]
  let at = start + 1
  if (quote === '"' || quote === "'") {
    while (at < text.length && text[at] !== quote) at += quote === '"' && text[at] === '\\' ? 2 : 1
    return at + 1
  }
  while (at < text.length && /[A-Za-z0-9_-]/.test(text[at] as string)) at += 1
  return at
}
