import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import t from 'tap'

// What `npm pack` puts into the package, and what a person with the package alone can do.

const run = promisify(execFile)

interface Packed {
  readonly files: readonly { readonly path: string }[]
}

/** Paths of the files that the package would have; `dist` as it is now, without a build. */
async function packedFiles(): Promise<string[]> {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'])
  const [{ files }] = JSON.parse(stdout) as [Packed]
  return files.map(({ path }) => path)
}

t.test('the package has everything that its README links to', async t => {
  const readme = readFileSync('README.md', 'utf8')
  const links = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, path = '']) => path)
  t.ok(links.length >= 5, 'the links are found')
  const files = await packedFiles()
  for (const link of links)
    t.ok(
      files.some(path => path === link || path.startsWith(`${link}/`)),
      link,
    )
})

t.test('a package is built before it is packed, and a checkout is ready for `npx tap FILE`', async t => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.equal(scripts.prepack, 'npm run build')
  t.match(scripts.prepare, /tap build$/)
})
