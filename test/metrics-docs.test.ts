import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { ERROR_CODES, endCauseOf, traitsOf } from '../lib/base/errors.ts'
import { CATALOGUE } from '../metrics/catalogue.ts'

const { CI } = process.env
const RETRY_WORDS = {
  never: 'no',
  unsent: 'unsent',
  unacted: 'unacted',
  idempotent: 'idempotent',
  once: 'once',
  elsewhere: 'elsewhere',
} as const
const ALERTS = 'metrics/alerts/causeway.yaml'

function rowsOf(file: string): string[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter(line => line.startsWith('| ') && !line.startsWith('| ---'))
}

t.test('metrics/README.md has one row for each metric, and says the same', async t => {
  const rows = CATALOGUE.map(({ name, type, labels, help }) => {
    const names = labels.length === 0 ? ' ' : ` ${labels.join(', ')} `
    return `| \`${name}\` | ${type} |${names}| ${help} |`
  })
  const documented = rowsOf('metrics/README.md').filter(row => row.startsWith('| `causeway_'))
  t.same(documented.toSorted(), rows.toSorted())
})

t.test('lib/ERRORS.md has one row for each code, with its word, status and retry', async t => {
  const rows = ERROR_CODES.map(code => {
    const { status, retry } = traitsOf(code)
    return `| ${code} | ${endCauseOf(code)} | ${status} | ${RETRY_WORDS[retry]} |`
  })
  const documented = rowsOf('lib/ERRORS.md').filter(row => !row.startsWith('| code |'))
  t.same(documented.map(row => row.split('|').slice(0, 5).join('|').concat('|')).toSorted(), rows.toSorted())
  for (const row of documented)
    t.ok(
      row
        .split('|')
        .slice(5, 7)
        .every(text => text.trim() !== ''),
      row,
    )
})

const skip =
  CI === undefined && spawnSync('promtool', ['--version']).error !== undefined
    ? 'promtool is not installed (Debian: prometheus)'
    : false

t.test('the alert rules are well-formed', { skip }, async t => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', ALERTS], { encoding: 'utf8' })
  t.equal(status, 0, stdout + stderr)
})

t.test('the alert rules name metrics that exist', async t => {
  const names = CATALOGUE.map(family => family.name)
  const used = readFileSync(ALERTS, 'utf8').match(/\bcauseway_[a-z_]+/g) ?? []
  t.ok(used.length > 10)
  for (const name of new Set(used)) t.ok(names.includes(name), name)
})
