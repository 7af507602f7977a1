import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

// Access logs that cannot be written hold up neither traffic nor start nor stop, and are told.

const app = await RecordingUpstream.start(t)
const start = (file: string) =>
  startCauseway(t, { config: configText({ endpoints: [app.port], more: `[log]\naccess = "${file}"` }) })

async function logProblems({ adminUrl }: Running): Promise<readonly string[]> {
  const status = (await (await fetch(`${adminUrl}/status`)).json()) as {
    readonly log_problems: readonly string[]
  }
  return status.log_problems
}

t.test('a disk that is full: a line in the log, a sentence in status, and traffic goes on', async t => {
  const causeway = await start('/dev/full')
  t.same(await logProblems(causeway), [])
  t.equal((await ask(causeway.port(), get('/a'))).status, 200)
  const line = await causeway.line('the failure', ({ msg }) =>
    String(msg).startsWith('log file cannot be written'),
  )
  t.match(line, { level: 'warn', file: '/dev/full', problem: 'no space left on the device' })
  t.match(await logProblems(causeway), [
    /^log \/dev\/full: no space left on the device; \d+ lines lost so far$/,
  ])
  t.equal((await ask(causeway.port(), get('/b'))).status, 200)
  await assertClean(t, causeway, [app])
})

t.test('a FIFO that nobody reads: it starts, serves and stops', async t => {
  const fifo = join(t.testdir({}), 'access')
  execFileSync('mkfifo', [fifo])
  const causeway = await start(fifo)
  for (let i = 0; i < 600; i += 1) await ask(causeway.port(), get(`/${'long'.repeat(100)}`))
  causeway.signal('SIGUSR2')
  await causeway.line('the reopening', ({ msg }) => msg === 'log files reopened')
  await assertClean(t, causeway, [app])
})
