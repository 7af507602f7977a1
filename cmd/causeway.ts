#!/usr/bin/env node
import { enableCompileCache } from 'node:module'
import { compileCacheFolder } from './compile-cache.ts'

// First of all, and everything else behind a dynamic import: what is compiled after this comes from the cache.
const folder = compileCacheFolder(process.env)
if (folder !== undefined) enableCompileCache(folder)
const { main } = await import('./main.ts')
process.exit(await main(process.argv.slice(2)))
