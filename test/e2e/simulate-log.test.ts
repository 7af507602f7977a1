import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'

// The log that a real process has written can be played again.

const REQUESTS = 60

interface Result {
  readonly rows: readonly {
    readonly policy: string
    readonly requests: number
    readonly ok: number
    readonly max_ms: number
    readonly endpoints: readonly { readonly name: string; readonly answered: number }[]
  }[]
}

async function simulate(...args: string[]): Promise<Result> {
  const command = [resolve('cmd/causeway.ts'), 'simulate', '--json', ...args]
  const { stdout } = await promisify(execFile)(process.execPath, command)
  return JSON.parse(stdout) as Result
}

t.test('the access log of a site, played to the dispatcher', async t => {
  const apps = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
  for (const app of apps) app.on('/', ok())
  const folder = t.testdir({})
  const log = join(folder, 'access.log')
  const site = join(folder, 'site.toml')
  const config = configText({
    endpoints: apps.map(({ port }) => port),
    upstream: 'balance = "round-robin"\nmax_inflight = 4',
    more: `[log]\naccess = "${log}"`,
  })
  writeFileSync(site, config)
  const causeway = await startCauseway(t, { config })
  for (let n = 0; n < REQUESTS; n += 1) {
    const method = n % 3 === 0 ? 'POST' : 'GET'
    const answer = await fetch(`http://127.0.0.1:${causeway.port()}/?${n}`, { method })
    t.equal(answer.status, 200)
    await answer.arrayBuffer()
  }
  t.equal(await causeway.stop(), 0)
  t.equal(readFileSync(log, 'utf8').trimEnd().split('\n').length, REQUESTS)

  const names = apps.map(({ port }) => `127.0.0.1:${port}`).toSorted()
  const { rows } = await simulate('--log', log, '--config', site, '--policy', 'round-robin,p2c')
  t.same(
    rows.map(({ policy, requests, ok }) => ({ policy, requests, ok })),
    [
      { policy: 'round-robin', requests: REQUESTS, ok: REQUESTS },
      { policy: 'p2c', requests: REQUESTS, ok: REQUESTS },
    ],
  )
  t.same(
    rows[0]?.endpoints.map(({ name }) => name),
    names,
  )
  // All but the last had been answered when the last one came.
  t.ok(rows[0]?.endpoints.every(({ answered }) => answered >= REQUESTS / 2 - 1))

  const pool = join(folder, 'pool.toml')
  writeFileSync(pool, '[[endpoints]]\nname = "other"\nservice = "80ms"\n')
  const other = await simulate('--log', log, '--load', pool, '--policy', 'p2c', '--rate', 'x1000')
  t.match(other.rows, [{ requests: REQUESTS, ok: REQUESTS, endpoints: [{ name: 'other' }] }])
  t.ok((other.rows[0]?.max_ms ?? 0) > 0.9 * REQUESTS * 80, 'one worker takes them one by one')
})
