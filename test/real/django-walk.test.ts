import { spawnSync } from 'node:child_process'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startCauseway } from '../support/causeway.ts'
import { ask, missing, PYTHON } from './support.ts'

// The walk of docs/django.md, as a newcomer types it: from an empty folder to a styled admin page.
const skip = missing('django', 'gunicorn')

const page = readFileSync('docs/django.md', 'utf8')
const [, section = ''] = /^## From an empty folder[^\n]*\n([\s\S]*?)^## /m.exec(page) ?? []
const blocks = [...section.matchAll(/^```(sh|python|toml)\n([\s\S]*?)^```$/gm)].map(([, kind, text]) => ({
  kind,
  text,
}))

t.test('the walk works as written', { skip }, async t => {
  t.same(
    blocks.slice(0, 4).map(({ kind }) => kind),
    ['sh', 'python', 'toml', 'sh'],
  )
  const [start, settings, config, collect] = blocks.map(({ text = '' }) => text) as [
    string,
    string,
    string,
    string,
  ]
  const folder = t.testdir({})
  const type = (text: string) => {
    // The alias stands for this checkout; python3 may be another than the one that has Django.
    const lines = text.split('\n').filter(line => line !== '' && !/^alias |^causeway /.test(line))
    for (const line of lines) {
      const command = line.replace(/^python3/, PYTHON).replace(/^django-admin/, `${PYTHON} -m django`)
      const done = spawnSync('sh', ['-ec', command], { cwd: folder, encoding: 'utf8' })
      t.equal(done.status, 0, `${line}\n${done.stdout}${done.stderr}`)
    }
  }
  type(start)
  appendFileSync(join(folder, 'polls/settings.py'), settings)
  writeFileSync(join(folder, 'causeway.toml'), config)
  type(collect)
  const causeway = await startCauseway(t, {
    config: `${config.replaceAll('0.0.0.0:8080', '127.0.0.1:0')}\n[admin]\naddress = "127.0.0.1:0"\n`,
    cwd: folder,
  })
  const login = await ask(causeway.port(), { path: '/admin/login/' })
  t.match(login, { status: 200, text: 'Django administration' })
  const sheets = [...login.text.matchAll(/<link rel="stylesheet"[^>]*href="([^"]+)"/g)].map(
    ([, href = '']) => href,
  )
  t.ok(sheets.length > 0, 'it has styles')
  for (const path of sheets) {
    const sheet = await ask(causeway.port(), { path })
    t.match(sheet, { status: 200, headers: { 'content-type': /^text\/css/ } }, path)
    t.match(sheet.headers['cache-control'], 'immutable', path)
  }
})
