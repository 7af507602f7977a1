import { lineAt, lineColumnOf, type Place } from './source.ts'

/**
 * One mistake (`error`: the configuration is not taken) or doubt (`warning`). Line and column are undefined
 * if a whole file is meant.
 */
export interface Problem {
  readonly severity: 'error' | 'warning'
  readonly file: string
  readonly line: number | undefined
  readonly column: number | undefined
  readonly message: string
  /** The line as written, values of secrets starred out. */
  readonly sourceLine: string | undefined
  /** What to do about it. */
  readonly hint: string | undefined
}

/** Collects problems while a configuration is read, so that all of them are told at once. */
export class Report {
  readonly #problems: Problem[] = []

  error(at: Place, message: string, hint?: string): void {
    this.#problems.push(problemAt('error', at, message, hint))
  }

  warning(at: Place, message: string, hint?: string): void {
    this.#problems.push(problemAt('warning', at, message, hint))
  }

  add(problem: Problem): void {
    this.#problems.push(problem)
  }

  get failed(): boolean {
    return this.#problems.some(problem => problem.severity === 'error')
  }

  /** By file, then by position. */
  sorted(): Problem[] {
    return this.#problems.toSorted(
      (a, b) =>
        Buffer.compare(Buffer.from(a.file), Buffer.from(b.file)) ||
        (a.line ?? 0) - (b.line ?? 0) ||
        (a.column ?? 0) - (b.column ?? 0),
    )
  }
}

/** The problems as a person reads them, in the manner of rustc; '' for none. */
export function formatProblems(problems: readonly Problem[]): string {
  return problems.map(formatProblem).join('\n')
}

/** `3 errors, 1 warning`; '' for none. */
export function countText(problems: readonly Problem[]): string {
  const errors = problems.filter(({ severity }) => severity === 'error').length
  const counts = [counted(errors, 'error'), counted(problems.length - errors, 'warning')]
  return counts.filter(text => text !== '').join(', ')
}

function counted(count: number, noun: string): string {
  return count === 0 ? '' : `${count} ${noun}${count === 1 ? '' : 's'}`
}

function formatProblem(problem: Problem): string {
  const { file, line, column, severity, message, sourceLine, hint } = problem
  const where = line === undefined ? file : `${file}:${line}:${column ?? 1}`
  let text = `${where}: ${severity}: ${message}\n`
  if (line !== undefined && sourceLine !== undefined) text += excerpt(line, column ?? 1, sourceLine)
  if (hint !== undefined) text += `  help: ${hint}\n`
  return text
}

function excerpt(line: number, column: number, sourceLine: string): string {
  const number = String(line)
  // Tabs are kept, so that the caret stands below its character whatever a tab's width is.
  const indent = [...sourceLine].slice(0, column - 1).map(char => (char === '\t' ? '\t' : ' '))
  return `  ${number} | ${sourceLine}\n  ${' '.repeat(number.length)} | ${indent.join('')}^\n`
}

function problemAt(
  severity: Problem['severity'],
  at: Place,
  message: string,
  hint: string | undefined,
): Problem {
  const { source, offset } = at
  if (offset === undefined) {
    return {
      severity,
      file: source.name,
      line: undefined,
      column: undefined,
      message,
      sourceLine: undefined,
      hint,
    }
  }
  const { line, column } = lineColumnOf(source, offset)
  return {
    severity,
    file: source.name,
    line,
    column,
    message,
    sourceLine: starSecrets(lineAt(source, offset)),
    hint,
  }
}

const SECRET_KEY = /token|secret|passw|_key|authorization|cookie/i
const SECRET_VALUE =
  /([\w-]*(?:token|secret|passw|_key|authorization|cookie)[\w-]*["']?\s*=\s*)("(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,}\]]+)/gi

/** Should a value under this key be kept out of messages? */
export function looksSecret(key: string): boolean {
  return SECRET_KEY.test(key)
}

/**
 * Messages end up in logs: what looks like a secret is starred out, character by character so that the caret
 * still fits.
 */
function starSecrets(line: string): string {
  return line.replace(SECRET_VALUE, (whole, key: string, value: string) => {
    const onlyReference = /^["']\$\{[^}]*\}["']$/.test(value)
    return onlyReference ? whole : key + '*'.repeat([...value].length)
  })
}
