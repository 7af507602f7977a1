import t from 'tap'
import { createLogger, type LogLevel } from '../lib/base/log.ts'

function logged(
  level: LogLevel,
  say: (log: ReturnType<typeof createLogger>) => void,
): Record<string, unknown>[] {
  const lines: string[] = []
  say(createLogger(level, { write: line => void lines.push(line) }))
  return lines.map(line => {
    if (line.indexOf('\n') !== line.length - 1) throw new Error(`not one line: ${line}`)
    return JSON.parse(line)
  })
}

t.test('a line has its level as a word, an ISO time, and what was said', async t => {
  const [line] = logged('info', log => log.warn({ upstream: 'app' }, 'endpoint down'))
  t.match(line, { level: 'warn', time: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/, upstream: 'app', msg: 'endpoint down' })
  t.same(Object.keys(line ?? {}), ['level', 'time', 'upstream', 'msg'], 'and nothing else')
})

t.test('what is below the level is not written', async t => {
  const lines = logged('warn', log => {
    log.info('no')
    log.error('yes')
  })
  t.match(lines, [{ msg: 'yes' }])
  t.equal(lines.length, 1)
})

t.test('a line break in a value stays inside its line', async t => {
  t.match(
    logged('info', log => log.info({ path: 'a\nb' }, 'x\ny')),
    [{ path: 'a\nb', msg: 'x\ny' }],
  )
})

t.test(
  'an error says its type, code, message, stack and causes, and none of its other properties',
  async t => {
    const cause = Object.assign(new TypeError('refused'), {
      code: 'ECONNREFUSED',
      headers: { cookie: 'secret' },
    })
    class OddError extends Error {
      override readonly name = 'OddError'
      readonly code = 'CONNECT_FAILED'
    }
    const [line] = logged('info', log => log.error({ err: new OddError('no way', { cause }) }, 'x'))
    t.match(line, {
      err: {
        type: 'OddError',
        code: 'CONNECT_FAILED',
        message: 'no way',
        stack: /log\.test/,
        cause: { type: 'TypeError', code: 'ECONNREFUSED', message: 'refused' },
      },
    })
    t.notMatch(JSON.stringify(line), /secret/)
  },
)

t.test('anything that is thrown can be logged, a circle of causes too', async t => {
  const circle = new Error('round')
  circle.cause = circle
  const lines = logged('info', log => {
    log.error({ err: circle })
    log.error({ err: 'just text' })
    log.error({ err: undefined })
  })
  t.match(lines[0], { err: { message: 'round', cause: { message: 'round' } } })
  t.match(lines[1], { err: { type: 'string', message: 'just text' } })
  t.equal(lines.length, 3)
})
