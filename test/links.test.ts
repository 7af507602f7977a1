import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import t from 'tap'

// Every relative link of every Markdown file leads to an existing file, and its anchor to a heading there.

const ROOT = resolve(import.meta.dirname, '..')
const FOLDERS = ['docs', 'examples', 'conf.d', 'docker', 'findings', 'lib', 'metrics', 'test', 'upstreams']

const pages = [
  ...readdirSync(ROOT),
  ...FOLDERS.flatMap(folder =>
    readdirSync(join(ROOT, folder), { recursive: true }).map(name => join(folder, String(name))),
  ),
].filter(name => name.endsWith('.md') && statSync(join(ROOT, name)).isFile())

/** The text without code: brackets in code are not links. */
function prose(text: string): string {
  return text.replaceAll(/^( *)```[^\n]*\n[\s\S]*?^\1```$/gm, '').replaceAll(/`[^`\n]*`/g, '')
}

function linksOf(text: string): string[] {
  const links = [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
  return links.filter(link => !/^[a-z]+:/.test(link))
}

/**
 * Anchors of a page's headings: lower case, no punctuation, "-" for a space, and a number where one occurs
 * again.
 */
function anchorsOf(text: string): ReadonlySet<string> {
  const anchors = new Set<string>()
  const plain = text.replaceAll(/^( *)```[^\n]*\n[\s\S]*?^\1```$/gm, '')
  for (const [, heading = ''] of plain.matchAll(/^#{1,6} +(.+)$/gm)) {
    const words = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .trim()
      .toLowerCase()
    const anchor = words.replaceAll(/[^\p{L}\p{M}\p{N}_ -]/gu, '').replaceAll(' ', '-')
    let free = anchor
    for (let i = 1; anchors.has(free); i += 1) free = `${anchor}-${i}`
    anchors.add(free)
  }
  return anchors
}

/** Why a link is broken; undefined if it is not. */
function brokenBy(page: string, link: string): string | undefined {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path)
  if (relative(ROOT, target).startsWith('..')) return 'lies outside of the repository'
  if (!existsSync(target)) return 'no such file'
  if (anchor === undefined) return undefined
  return anchorsOf(readFileSync(target, 'utf8')).has(anchor) ? undefined : 'no such heading'
}

t.test('anchors are named as GitHub names them, and code has no links', async t => {
  const text =
    '# TLS, HTTP/2 and more\n## `[a.NAME]`\n## Twice\n## Twice\n```\n# no heading [x](y)\n```\n`[x](y)` [z](w#v)'
  t.same([...anchorsOf(text)], ['tls-http2-and-more', 'aname', 'twice', 'twice-1'])
  t.same(linksOf(text), ['w#v'])
})

t.test('every link leads to an existing file and heading', async t => {
  const links = pages.flatMap(page =>
    linksOf(readFileSync(join(ROOT, page), 'utf8')).map(link => ({ page, link })),
  )
  t.ok(links.length > 50, `${links.length} links are found`)
  const broken = links.flatMap(({ page, link }) => {
    const why = brokenBy(page, link)
    return why === undefined ? [] : [`${page}: ${link}: ${why}`]
  })
  t.same(broken, [])
})
