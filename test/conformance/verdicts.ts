/** What h2spec says of one case. */
export type Verdict = 'pass' | 'fail' | 'skip'

export interface CaseResult {
  readonly verdict: Verdict
  /** What was expected and what came; empty where it passed. */
  readonly detail: string
}

/** By `section: title`, in the order of the report. */
export type Results = ReadonlyMap<string, CaseResult>

const CASE =
  /<testcase package="([^"]*)" classname="([^"]*)" time="[^"]*">\s*(?:<(failure|error|skipped)>([\s\S]*?)<\/\3>\s*)?<\/testcase>/g

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', '#34': '"', '#39': "'" }

const plain = (text: string) =>
  text.replace(/&(lt|gt|amp|#34|#39);/g, (_, name: string) => ENTITIES[name] ?? '')

/**
 * Reads h2spec's JUnit report. Throws where it holds a case that this does not understand: none may be lost.
 */
export function resultsOf(report: string): Results {
  const results = new Map<string, CaseResult>()
  for (const [, section = '', title = '', kind, detail = ''] of report.matchAll(CASE)) {
    const verdict: Verdict = kind === undefined ? 'pass' : kind === 'skipped' ? 'skip' : 'fail'
    const key = `${section}: ${plain(title)}`
    if (results.has(key)) throw new Error(`twice in the report: ${key}`)
    results.set(key, { verdict, detail: plain(detail).trim() })
  }
  const cases = report.split('<testcase ').length - 1
  if (results.size !== cases || cases === 0)
    throw new Error(`${results.size} of ${cases} cases were understood`)
  return results
}

/** Cases that pass there and do not here: what is held against Causeway. */
export function worse(here: Results, there: Results): readonly string[] {
  return [...there]
    .filter(([name, { verdict }]) => verdict === 'pass' && here.get(name)?.verdict !== 'pass')
    .map(([name]) => name)
}

/** Cases that not all have passed, or that not all have. */
export function uneven(all: readonly Results[]): readonly string[] {
  const names = new Set(all.flatMap(results => [...results.keys()]))
  return [...names].filter(name => all.some(results => results.get(name)?.verdict !== 'pass'))
}
