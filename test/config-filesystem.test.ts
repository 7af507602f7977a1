import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/config/load.ts'

// What a start would stumble over is found by `check` before it.

async function checked(folder: string, lines: string): Promise<string[]> {
  const path = join(folder, 'causeway.toml')
  const text = '[upstreams.app]\nendpoints = ["127.0.0.1:8000"]\n[routes.app]\nupstream = "app"\n'
  const listener = lines.includes('[listeners') ? '' : '[listeners.web]\naddress = "127.0.0.1:0"\n'
  writeFileSync(path, `${text}${listener}${lines}`)
  const loaded = await loadConfig(path, {}, 'check')
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  return problems.map(({ severity, message }) => `${severity}: ${message}`)
}

t.test('an access log that cannot be opened is refused', async t => {
  const folder = t.testdir({ there: '' })
  const log = (path: string) => checked(folder, `[log]\naccess = "${path}"\n`)
  t.match(await log(`${folder}/none/access.log`), [
    /^error: the folder of the access log, .*none, does not exist$/,
  ])
  t.match(await log(folder), [/^error: the access log \S+ is a folder$/])
  t.match(await log(`${folder}/there/access.log`), [
    /^error: the folder of the access log, .* is not a folder$/,
  ])
  t.same(await log(`${folder}/there`), [])
  t.same(await log(`${folder}/new.log`), [])
  t.notOk(existsSync(`${folder}/new.log`), 'a check leaves nothing behind')
})

t.test(
  'an access log that this user may not write is refused',
  { skip: process.geteuid?.() === 0 },
  async t => {
    const folder = t.testdir({ sealed: {}, closed: {}, 'sealed.log': '' })
    chmodSync(`${folder}/sealed`, 0o500)
    chmodSync(`${folder}/closed`, 0)
    chmodSync(`${folder}/sealed.log`, 0o400)
    const log = (path: string) => checked(folder, `[log]\naccess = "${path}"\n`)
    t.match(await log(`${folder}/sealed/access.log`), [/^error: .* cannot be written by this user/])
    t.match(await log(`${folder}/closed/access.log`), [/^error: .* cannot be written by this user/])
    t.match(await log(`${folder}/sealed.log`), [/^error: .* cannot be written by this user/])
  },
)

t.test('an access log to which no path leads is refused, and ends no check', async t => {
  const folder = t.testdir({ loop: t.fixture('symlink', 'loop') })
  for (const path of ['loop', 'loop/access.log'])
    t.match(await checked(folder, `[log]\naccess = "${folder}/${path}"\n`), [
      /^error: the access log \S+ cannot be opened: its symbolic links form a loop$/,
    ])
  t.match(await checked(folder, `[log]\naccess = "${folder}/${'x'.repeat(300)}"\n`), [
    /^error: the access log \S+ cannot be opened: its path is too long$/,
  ])
})

t.test('a pipe as access log is not waited for', async t => {
  const folder = t.testdir()
  spawnSync('mkfifo', [`${folder}/pipe`])
  t.same(await checked(folder, `[log]\naccess = "${folder}/pipe"\n`), [])
})

t.test('a socket that cannot be made is refused, of listeners and of admin', async t => {
  // A socket's path has at most 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'causeway-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'file'), '')
  const messages = await checked(
    folder,
    `[listeners.web]\naddress = "unix:/nonexistent/web.sock"\n[admin]\naddress = "unix:${folder}/file"\n`,
  )
  t.match(messages, [
    /^error: the folder of the socket, \/nonexistent, does not exist$/,
    /^error: \S+file already exists and is not a socket$/,
  ])
  t.same(await checked(folder, `[listeners.web]\naddress = "unix:${folder}/web.sock"\n`), [])
  t.same(readdirSync(folder).toSorted(), ['causeway.toml', 'file'])
})
