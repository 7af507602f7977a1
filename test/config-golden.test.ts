import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/config/load.ts'
import { formatProblems } from '../lib/config/problem.ts'

// Each case is a folder: `in.toml` or the folder `in`, and the messages it leads to. UPDATE_GOLDEN=1 writes
// the messages anew.
const CASES = resolve(import.meta.dirname, 'golden/config')
const ENVIRONMENT = { HOST: '127.0.0.1', BALANCE: 'rounds', APP_ADDRESS: 'app' }
const { UPDATE_GOLDEN } = process.env
const start = process.cwd()

t.afterEach(() => process.chdir(start))

for (const name of readdirSync(CASES)) {
  t.test(`${name}: every mistake is told, with its place`, async t => {
    const messages = join(CASES, name, 'messages.txt')
    const actual = await messagesOf(name)
    if (UPDATE_GOLDEN !== undefined) writeFileSync(messages, actual)
    t.equal(actual, readFileSync(messages, 'utf8'))
  })
}

async function messagesOf(name: string): Promise<string> {
  process.chdir(join(CASES, name))
  const loaded = await loadConfig(existsSync('in.toml') ? 'in.toml' : 'in', ENVIRONMENT)
  const text = formatProblems(loaded.ok ? loaded.warnings : loaded.problems)
  return `${loaded.ok ? 'accepted' : 'refused'}\n\n${text.replaceAll(process.cwd(), '<here>')}`
}
