import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { closeQuietly, openInside } from '../lib/static/open-file.ts'
import { TestSite } from './support/static-site.ts'

const TREE = {
  'secret.txt': 'secret',
  'site-old': { 'a.css': 'secret' },
  site: {
    'a.css': 'body{}',
    '.env': 'secret',
    '.git': { config: 'secret' },
    '.well-known': { 'x.txt': 'known', '.hidden': 'secret' },
    css: { 'b.css': 'b', '.hidden': 'secret' },
  },
} as const

t.test('a link leads to no dotfile, nor into a folder whose name starts with a dot', async t => {
  const root = join(t.testdir(TREE), 'site')
  for (const [link, to] of [
    ['env.txt', '.env'],
    ['config', '.git/config'],
    ['git', '.git'],
    ['twice', 'env.txt'],
    ['known.txt', '.well-known/.hidden'],
    ['index.htm', 'css/.hidden'],
  ] as const)
    symlinkSync(to, join(root, link))
  symlinkSync('.well-known/x.txt', join(root, '.well-known-link'))
  symlinkSync('../.env', join(root, '.well-known', 'env'))
  symlinkSync('x.txt', join(root, '.well-known', 'y.txt'))
  const site = new TestSite(root)
  for (const path of [
    ...['/env.txt', '/config', '/git/config', '/git', '/git/', '/twice', '/known.txt', '/index.htm'],
    ...['/.well-known/env', '/.well-known-link'],
  ]) {
    const answer = await site.get(path)
    t.equal(answer.status, 404, path)
    t.equal(answer.body.length, 0, path)
  }
  t.equal((await site.get('/.well-known/y.txt')).body.toString(), 'known')
  const hidden = join(root, 'css', 'b.css.gz')
  symlinkSync('.hidden', hidden)
  const coded = await site.get('/css/b.css', ['Accept-Encoding', 'gzip'])
  t.equal(coded.body.toString(), 'b', 'nor by a sibling')
  symlinkSync(root, join(root, '..', '.release'))
  t.equal(
    (await new TestSite(join(root, '..', '.release')).get('/a.css')).status,
    200,
    'the root may lie anywhere',
  )
})

t.test('links that stay inside the root are followed, links that leave it are not', async t => {
  const dir = t.testdir(TREE)
  const root = join(dir, 'site')
  symlinkSync('a.css', join(root, 'link.css'))
  symlinkSync('css', join(root, 'folder'))
  // The shape of a mounted ConfigMap.
  mkdirSync(join(root, '..2026'))
  writeFileSync(join(root, '..2026', 'map.css'), 'map')
  symlinkSync('..2026/map.css', join(root, 'map.css'))
  symlinkSync('../secret.txt', join(root, 'out.txt'))
  symlinkSync(join(dir, 'secret.txt'), join(root, 'absolute.txt'))
  symlinkSync('..', join(root, 'up'))
  symlinkSync('../site-old', join(root, 'old'))
  symlinkSync('out.txt', join(root, 'twice.txt'))
  symlinkSync('loop', join(root, 'loop'))
  symlinkSync('nowhere', join(root, 'dangling'))
  const site = new TestSite(root)
  t.equal((await site.get('/link.css')).body.toString(), 'body{}')
  t.equal((await site.get('/folder/b.css')).body.toString(), 'b')
  t.equal((await site.get('/map.css')).body.toString(), 'map')
  t.equal((await site.get('/folder')).status, 301)
  for (const path of [
    '/out.txt',
    '/absolute.txt',
    '/up/secret.txt',
    '/up',
    '/up/',
    '/old/a.css',
    '/old',
    '/twice.txt',
    '/loop',
    '/dangling',
  ]) {
    const answer = await site.get(path)
    t.equal(answer.status, 404, path)
    t.equal(answer.body.length, 0, path)
  }
})

t.test('the root may be a link itself, and be switched', async t => {
  const dir = t.testdir({ one: { 'a.txt': 'one' }, two: { 'a.txt': 'two!', 'new.txt': 'new' } })
  const root = join(dir, 'current')
  symlinkSync('one', root)
  const site = new TestSite(root)
  t.equal((await site.get('/a.txt')).body.toString(), 'one')
  symlinkSync('two', join(dir, 'next'))
  renameSync(join(dir, 'next'), root)
  site.clock.pass(2000)
  t.equal((await site.get('/a.txt')).body.toString(), 'two!')
  t.equal((await site.get('/new.txt')).body.toString(), 'new')
})

/**
 * Puts a link in the place of a folder and back until it finds the file `stop`. In a process of its own, to
 * hit any moment.
 */
const SWAPPER = `
  const { existsSync, renameSync } = require('node:fs')
  const moves = [['real', 'spare'], ['link', 'real'], ['real', 'link'], ['spare', 'real']]
  while (!existsSync('../stop')) {
    for (const [from, to] of moves) renameSync(from, to)
  }
`

t.test('a folder swapped for a link while it is opened never gives away what is outside', async t => {
  const dir = t.testdir({ outside: { 'a.txt': 'secret' }, site: { real: { 'a.txt': 'public' } } })
  const root = join(dir, 'site')
  symlinkSync('../outside', join(root, 'link'))
  const outside = (await stat(join(dir, 'outside', 'a.txt'), { bigint: true })).ino
  const swapper = spawn(process.execPath, ['-e', SWAPPER], { cwd: root, stdio: 'inherit' })
  t.teardown(() => swapper.kill())
  const leaks = async () => {
    const opened = await openInside(root, 'real/a.txt')
    if (opened.kind !== 'file') return 0
    closeQuietly(opened.fd)
    return opened.stat.ino === outside ? 1 : 0
  }
  let leaked = 0
  // Both outcomes come up many times in this many rounds; without the look behind the open, leaks do too.
  for (let round = 0; round < 3000; round += 1) leaked += await leaks()
  writeFileSync(join(dir, 'stop'), '')
  const [code] = await once(swapper, 'exit')
  t.equal(code, 0)
  t.equal(leaked, 0)
  t.equal((await openInside(root, 'link/a.txt')).kind, 'refused')
  const restored = await openInside(root, 'real/a.txt')
  t.equal(restored.kind, 'file')
  if (restored.kind === 'file') closeQuietly(restored.fd)
})
