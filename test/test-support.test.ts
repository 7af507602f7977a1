import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { boundCommand } from './support/bound-command.ts'
import { startCauseway } from './support/causeway.ts'
import { isRunning } from './support/process-state.ts'
import { until, within } from './support/until.ts'

// What the tests themselves promise to the machine that they run on.

const noSetpriv = boundCommand('x', [])[0] === 'x' ? 'no setpriv here' : false

t.test('a test that is killed for its time leaves no Causeway behind', { skip: noSetpriv }, async t => {
  const test = spawn(process.execPath, ['test/support/programs/hanging-test.ts'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => test.kill('SIGKILL'))
  const [said] = (await within('the test to start Causeway', once(test.stdout, 'data'), 60_000)) as [Buffer]
  const pid = Number(said.toString())
  t.ok(isRunning(pid), 'it runs')
  test.kill('SIGKILL')
  await until('Causeway to end', () => !isRunning(pid))
})

t.test('a test names its own admin address: the default one may be taken', async t => {
  const config = '[listeners.web]\naddress = "127.0.0.1:0"\n'
  await t.rejects(startCauseway(t, { config }), /names its own admin address/)
})

t.test('waiting in vain ends with what was waited for', async t => {
  await t.rejects(
    until('rain', () => false, 20),
    /waited \d+ ms in vain: rain/,
  )
  await t.rejects(within('snow', new Promise(() => undefined), 20), /waited \d+ ms in vain: snow/)
})
