import type { Finding } from './finding.ts'

/** One line a finding, problems last, where a terminal still shows them. */
export function reportText(findings: readonly Finding[]): string {
  const order: readonly Finding['level'][] = ['ok', 'hint', 'problem']
  const lines = findings.toSorted((a, b) => order.indexOf(a.level) - order.indexOf(b.level)).map(lineOf)
  const count = (level: Finding['level']) => findings.filter(finding => finding.level === level).length
  const problems = count('problem')
  const verdict = problems === 0 ? 'no problem' : counted(problems, 'problem')
  return `${[...lines, `${verdict}, ${counted(count('hint'), 'hint')}, ${count('ok')} ok`].join('\n')}\n`
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function lineOf({ level, check, where, what, fix }: Finding): string {
  const advice = fix === undefined ? '' : ` => ${fix}`
  // What a site answers may hold anything: a line stays a line, and a terminal's control codes stay off.
  return `${level.padEnd(7)}  ${check.padEnd(11)}  ${where}: ${what}${advice}`.replaceAll(
    /[\p{Cc}\p{Cf}]+/gu,
    ' ',
  )
}
