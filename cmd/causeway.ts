#!/usr/bin/env node
// The package's program. Whatever Node there is starts it, so it imports nothing by name that an older one
// lacks: a missing export is a SyntaxError before any line of ours runs.
import * as nodeModule from 'node:module'

const NEEDED = 24
const found = process.versions.node

if (Number(found.split('.')[0]) < NEEDED) {
  process.stderr.write(
    `causeway: this is Node.js ${found}, and Causeway needs version ${NEEDED} or newer: https://nodejs.org/en/download\n`,
  )
  process.exit(1)
}
// First of all, and everything else behind a dynamic import: what is compiled after this comes from the
// cache.
const { compileCacheFolder } = await import('./compile-cache.ts')
const folder = compileCacheFolder(process.env)
if (folder !== undefined) nodeModule.enableCompileCache(folder)
const { main } = await import('./main.ts')
process.exit(await main(process.argv.slice(2)))
