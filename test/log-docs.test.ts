import { globSync, readFileSync } from 'node:fs'
import t from 'tap'

// docs/log.md lists every line that Causeway's own log may have.

/** Where a line is written, or its words are handed on: by a logger, the health board, a data thread. */
const CALL = /\b(?:log|logger|workers)\.(?:debug|info|warn|error|fatal)\(|#tell\(|\bevent: /g
const LAST_TEXT = /(?:'([^'\n]*)'|"([^"\n]*)")[,\s]*$/

/** The text from `start` to the end of its parentheses, or of its line where there are none. */
function argumentsAt(code: string, start: number): string {
  if (code[start - 1] !== '(') return /^[^,\n]*/.exec(code.slice(start))?.[0] ?? ''
  let open = 1
  for (let at = start; at < code.length; at += 1) {
    if (code[at] === '(') open += 1
    if (code[at] === ')') open -= 1
    if (open === 0) return code.slice(start, at)
  }
  return ''
}

function messagesIn(code: string): string[] {
  return [...code.matchAll(CALL)].flatMap(({ 0: call, index }) => {
    const [, single, double] = LAST_TEXT.exec(argumentsAt(code, index + call.length)) ?? []
    return single ?? double ?? []
  })
}

t.test('messages are found behind fields, over several lines and with an apostrophe', async t => {
  t.same(messagesIn("log.info({ a: b(c) }, 'one')\nlog.warn(\n  { x },\n  'two',\n)"), ['one', 'two'])
  t.same(messagesIn("log.info({}, \"it's\")\nlog.error(text)\npost({ event: 'three', a })"), [
    "it's",
    'three',
  ])
})

t.test('docs/log.md has each message of the log once, and no other', async t => {
  const code = globSync('{cmd,lib,upstreams,metrics}/**/*.ts').map(file => readFileSync(file, 'utf8'))
  const rows = readFileSync('docs/log.md', 'utf8').split('\n## ').slice(1).join('\n').split('\n')
  const cells = rows.filter(row => row.startsWith('| `')).map(row => row.split('|')[1] ?? '')
  const documented = cells.flatMap(cell => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text))
  t.same(documented.toSorted(), [...new Set(code.flatMap(messagesIn))].toSorted())
})
