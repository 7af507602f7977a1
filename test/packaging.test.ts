import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { USER_PAGES } from './support/user-pages.ts'

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

t.test('the package has everything that its README and its pages for users link to', async t => {
  const links = USER_PAGES.flatMap(page =>
    [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, path = '']) =>
      join(dirname(page), path),
    ),
  )
  t.ok(links.length >= 20, 'the links are found')
  const files = await packedFiles()
  for (const link of new Set(links))
    t.ok(
      files.some(path => path === link || path.startsWith(`${link}/`)),
      link,
    )
})

t.test('a package is built before it is packed, and a checkout is ready for `npx tap FILE`', async t => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.equal(scripts.prepack, 'rm -rf dist && npm run build', 'nothing of a build before is packed')
  t.match(scripts.prepare, /tap build$/)
})
