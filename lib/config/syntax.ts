import type { Source } from './source.ts'

/**
 * What `toml` throws: Peggy's SyntaxError with a location, or an Error with line and column (columns count
 * UTF-16 units).
 */
export interface TomlError extends Error {
  readonly location?: { readonly start: { readonly offset: number } }
  readonly expected?: readonly Expectation[] | null
  readonly line?: number
  readonly column?: number
}

type Expectation =
  | { readonly type: 'literal'; readonly text: string }
  | { readonly type: 'class'; readonly inverted: boolean; readonly parts: readonly unknown[] }
  | { readonly type: 'any' | 'end' | 'other' }

export interface SyntaxProblem {
  readonly offset: number
  readonly message: string
  readonly hint: string | undefined
  /** The mistake reaches over line ends, so that nothing behind it can be judged. */
  readonly spansLines: boolean
}

/** Where the parser stopped, and what it would have taken there. */
interface Stop {
  readonly source: Source
  readonly offset: number
  readonly found: string
  readonly wants: (literal: string) => boolean
  /** The line up to the stop. */
  readonly before: string
}

/** A syntax error in plain words instead of a list of character classes. */
export function syntaxProblem(error: TomlError, source: Source): SyntaxProblem {
  const offset = error.location?.start.offset
  if (offset === undefined) return libraryProblem(error, source)
  const stop = stopAt(source, offset, error.expected ?? [])
  return (
    unclosedString(stop) ??
    openAtTheEnd(stop) ??
    badValue(stop) ??
    badKey(stop) ??
    unclosedGroup(stop) ??
    badEnd(stop)
  )
}

function stopAt(source: Source, offset: number, expected: readonly Expectation[]): Stop {
  const literals = new Set<string>()
  for (const item of expected) {
    if (item.type === 'literal') literals.add(item.text)
    if (item.type === 'class' && item.inverted) literals.add('any character')
  }
  const lineStart = source.text.lastIndexOf('\n', offset - 1) + 1
  return {
    source,
    offset,
    found: source.text.slice(offset, offset + 1),
    wants: literal => literals.has(literal),
    before: source.text.slice(lineStart, offset),
  }
}

function libraryProblem(error: TomlError, source: Source): SyntaxProblem {
  const lineStart = nthLine(source.text, error.line ?? 1)
  const badEscape = error.message.startsWith('Invalid escape')
  return {
    offset: lineStart + (error.column ?? 1) - 1,
    message: error.message.charAt(0).toLowerCase() + error.message.slice(1).replace(/\.$/, ''),
    hint: badEscape ? 'write \\\\ for a backslash, or put the string in single quotes' : undefined,
    spansLines: false,
  }
}

function unclosedString(stop: Stop): SyntaxProblem | undefined {
  if (!stop.wants('any character')) return undefined
  const { text } = stop.source
  for (const quote of ['"""', "'''"]) {
    if (stop.wants(quote)) {
      const start = text.lastIndexOf(quote, stop.offset - 1)
      return told(start, `this text block is not closed`, `close it with ${quote}`, true)
    }
  }
  const quote = stop.wants('"') ? '"' : "'"
  // Whatever stands behind the opening quote is no quote, or it would have closed the string.
  const start = stop.offset - stop.before.length + stop.before.search(openQuote(quote))
  if (!['', '\n', '\r'].includes(stop.found)) {
    return told(
      stop.offset,
      `a string cannot contain the character ${shown(stop.found)}`,
      'write it as \\uXXXX',
    )
  }
  return told(start, 'this string is not closed', `close it with ${quote}`)
}

/** The file ends inside a list or a table. Not inside `[name`, which wants nothing but its bracket. */
function openAtTheEnd(stop: Stop): SyntaxProblem | undefined {
  if (stop.found !== '') return undefined
  const inList = stop.wants(']') && (stop.wants(',') || stop.wants('true'))
  if (!inList && !stop.wants('}')) return undefined
  const [close, group] = inList ? [']', 'list'] : ['}', 'table']
  return told(groupStart(stop), `this ${group} is not closed`, `close it with "${close}"`, true)
}

function openQuote(quote: string): RegExp {
  return quote === '"' ? /"(?:[^"\\]|\\.)*$/ : /'[^']*$/
}

function badValue(stop: Stop): SyntaxProblem | undefined {
  const wantsValue = stop.wants('true') && stop.wants('{')
  const start = wantsValue ? stop.offset : wordStart(stop)
  if (start === undefined) return undefined
  const word = /^[^\s,\]}#"'=]*/.exec(stop.source.text.slice(start))?.[0] ?? ''
  if (word !== '' && wantsValue && /^\s*\[+$/.test(stop.before)) {
    return told(groupStart(stop), 'this list is not closed', `close it with "]"`, true)
  }
  if (word !== '') {
    return told(
      start,
      `${word} is not a valid value`,
      `strings need quotes: ${JSON.stringify(unquoted(word))}`,
    )
  }
  if (!wantsValue) return undefined
  if (['', '\n', '\r', '#'].includes(stop.found)) return told(stop.offset, 'expected a value after "="')
  return told(stop.offset, `expected a value, got ${shown(stop.found)}`)
}

/** Without the curly quotes of word processors, which are none to TOML. */
function unquoted(word: string): string {
  return word.replace(/^[\u201c\u201d\u2018\u2019]|[\u201c\u201d\u2018\u2019]$/g, '')
}

/** Start of a bare word that began like a number or `true`: 127.0.0.1:8080, 10MiB, 2s, truely. */
function wordStart({ before, found, offset }: Stop): number | undefined {
  if (!/[\w.:/+-]/.test(found)) return undefined
  const word = /(?<=[=[,]\s*)[\w.:/+-]+$/.exec(before)?.[0]
  return word === undefined || /^\s*\[/.test(before) ? undefined : offset - word.length
}

function badKey(stop: Stop): SyntaxProblem | undefined {
  if (stop.wants('=') && !stop.wants('true')) {
    const key = stop.before.trim()
    const hint = stop.found === ':' ? `TOML writes ${key} = value` : 'write key = value'
    return told(stop.offset, `expected "=" after ${shown(key)}, got ${shown(stop.found)}`, hint)
  }
  if (stop.wants('[') && stop.wants('\n') && !stop.wants(',')) {
    return told(stop.offset, `expected a key or a [table], got ${shown(stop.found)}`)
  }
  if (/^\s*\[/.test(stop.before) && !stop.wants('\n')) {
    return told(stop.offset, `expected "]" at the end of the table's name, got ${shown(stop.found)}`)
  }
  return undefined
}

function unclosedGroup(stop: Stop): SyntaxProblem | undefined {
  for (const [close, group] of [
    [']', 'list'],
    ['}', 'table'],
  ] as const) {
    if (!stop.wants(close) || !stop.wants(',')) continue
    const start = groupStart(stop)
    const message = `expected "," or "${close}" in the ${group}, got ${shown(stop.found)}`
    const sameLine = start >= stop.offset - stop.before.length
    if (sameLine) return told(stop.offset, message)
    const line = stop.source.text.slice(0, start).split('\n').length
    return told(stop.offset, message, `the ${group} begins in line ${line}`, true)
  }
  return undefined
}

/**
 * Where the list or table that the stop is in begins: a guess that is only wrong where a string holds `= [`.
 */
function groupStart({ source, offset }: Stop): number {
  const starts = [...source.text.slice(0, offset).matchAll(/=[ \t]*(?=[[{])/g)]
  const last = starts.at(-1)
  return last === undefined ? offset : last.index + last[0].length
}

function badEnd(stop: Stop): SyntaxProblem {
  if (stop.wants('\n')) {
    return told(
      stop.offset,
      `expected the end of the line, got ${shown(stop.found)}`,
      'write one key = value per line',
    )
  }
  return told(stop.offset, `unexpected ${shown(stop.found)}`)
}

function told(offset: number, message: string, hint?: string, spansLines = false): SyntaxProblem {
  return { offset, message, hint, spansLines }
}

function shown(found: string): string {
  if (found === '') return 'the end of the file'
  if (found === '\n' || found === '\r') return 'the end of the line'
  return JSON.stringify(found)
}

function nthLine(text: string, line: number): number {
  let start = 0
  for (let i = 1; i < line; i += 1) start = text.indexOf('\n', start) + 1
  return start
}
