import { existsSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'

/**
 * Where Node may keep compiled code from one start to the next: beside the installed packages. Never in the
 * machine's common folder for temporary files, where somebody else could lay code for us. Undefined where
 * there is no such folder.
 */
export function compileCacheFolder(env: NodeJS.ProcessEnv): string | undefined {
  const chosen = env['NODE_COMPILE_CACHE']
  if (chosen !== undefined && chosen !== '') return chosen
  const packageFile = findPackageJSON(import.meta.url)
  if (packageFile === undefined) return undefined
  const modules = join(dirname(packageFile), 'node_modules')
  return existsSync(modules) ? join(modules, '.cache', 'causeway') : undefined
}
