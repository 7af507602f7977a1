import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { orphanWarnings } from '../lib/server/workers/orphan-warning.ts'
import { boundCommand } from './support/bound-command.ts'
import { until, within } from './support/until.ts'

const CONFIG = `
[server]
workers = 1
[admin]
address = "127.0.0.1:0"
[listeners.web]
address = "127.0.0.1:0"
[upstreams.app]
run = { command = ["sleep", "1000"] }
[routes.app]
upstream = "app"
`
const NAMESPACE = ['--pid', '--fork', '--kill-child', '--mount-proc']
const noNamespace =
  spawnSync('unshare', [...NAMESPACE, 'true']).status === 0 ? false : 'no right to make a PID namespace'

t.test('process 1 with workers of its own is told to run below an init', { skip: noNamespace }, async t => {
  const path = join(t.testdir({ 'a.toml': CONFIG }), 'a.toml')
  const run = [...NAMESPACE, process.execPath, 'cmd/causeway.ts', 'run', '--config', path]
  const child = spawn(...boundCommand('unshare', run), { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  child.stdout?.on('data', (text: Buffer) => {
    said += text
  })
  await until(
    () => `the warning; it says ${said}`,
    () => /upstreams\.app\.run: causeway is process 1 here/.test(said),
    30_000,
  )
  child.kill('SIGKILL')
  await within('its end', once(child, 'exit'))
})

t.test('nobody else is', async t => {
  t.same(orphanWarnings({ upstreams: [] }, 1), [])
})
