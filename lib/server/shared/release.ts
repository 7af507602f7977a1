import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'

/**
 * Version of this package, from its package.json: beside the sources in a checkout, above dist/ when
 * published.
 */
export function releaseVersion(): string {
  const path = findPackageJSON(import.meta.url)
  if (path === undefined) return 'unknown'
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version?: unknown }
  return typeof version === 'string' ? version : 'unknown'
}
