import { parseArgs } from 'node:util'
import { tableOf } from '../bench/bench-run.ts'
import { isInstalled } from '../bench/peer.ts'
import { runInScope, type ScopedRun } from '../support/scoped-run.ts'
import { bad, notable, SCAN_MS, scan, startSite } from './findings.ts'

// What testssl.sh finds at a TLS listener that has nothing but certificates: `node
// test/conformance/testssl.ts`. A minute or two, offline. testssl.test.ts holds that it finds nothing bad.

const USAGE = `node test/conformance/testssl.ts [options]
  --port N           a server that runs on localhost, instead of Causeway
  --authority FILE   whoever has signed its certificate
Exit code 1 at any finding that is medium or worse.
`

async function main({ scope, folder }: ScopedRun): Promise<number> {
  const { values } = parseArgs({ options: { port: { type: 'string' }, authority: { type: 'string' } } })
  if (!isInstalled('testssl')) throw new Error('needed on the path: testssl')
  const port = values.port === undefined ? undefined : Number(values.port)
  if (port !== undefined && !(port > 0)) throw new TypeError(`--port: expected a port, got "${values.port}"`)
  const target = port === undefined ? await startSite(scope, folder) : { port, authority: values.authority }
  const findings = await scan(scope, folder, target)
  process.stdout.write(
    tableOf(
      ['severity', 'id', 'finding'],
      notable(findings).map(one => [one.severity, one.id, one.finding]),
    ),
  )
  const worst = bad(findings)
  process.stdout.write(`${findings.length} findings, ${worst.length} medium or worse\n`)
  return worst.length > 0 ? 1 : 0
}

await runInScope({ name: 'testssl', usage: USAGE, longestMs: SCAN_MS + 60_000 }, main)
