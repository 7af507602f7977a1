import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const SOURCES = ['cmd', 'lib', 'upstreams', 'metrics']
const ENTRY = join('dist', 'cmd', 'causeway.js')

function newestSourceMs(): number {
  const files = SOURCES.flatMap(root =>
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.ts'))
      .map(name => statSync(join(root, name)).mtimeMs),
  )
  return Math.max(...files)
}

/**
 * Builds `dist/` when it is missing or older than the sources: what is measured is what would be published.
 */
export function buildIfOld(): void {
  if (existsSync(ENTRY) && statSync(ENTRY).mtimeMs > newestSourceMs()) return
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: ['ignore', 2, 2] })
}
