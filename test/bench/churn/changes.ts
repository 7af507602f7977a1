import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import type { Running } from '../../support/causeway.ts'
import type { MadeCertificate } from '../../support/certificates.ts'
import { ask, get } from '../../support/raw-client.ts'
import { until } from '../../support/until.ts'
import type { Act } from './acts.ts'
import {
  accessLogOf,
  certificateOf,
  endpointsOf,
  type Ground,
  keyOf,
  newestPath,
  replaceFile,
  siteOf,
} from './site.ts'

/** Every so many reloads a configuration comes that cannot be taken. */
const BROKEN_EVERY = 5

/** What an operator changes while traffic runs. */
export function changesOf(
  causeway: Running,
  ground: Ground,
  certificates: readonly MadeCertificate[],
): readonly Act[] {
  return [
    { name: 'reloads with new names', restMs: 3000, turn: n => reload(causeway, ground, n + 1) },
    {
      ...{ name: 'endpoint files', restMs: 2000 },
      turn: async n => replaceFile(endpointsOf(ground), endpointsText(ground, n)),
    },
    {
      ...{ name: 'certificates', restMs: 7000 },
      turn: async n => swapCertificate(ground, certificates[n % certificates.length]),
    },
    { name: 'rotated logs', restMs: 30_000, turn: () => rotate(causeway, ground) },
  ]
}

async function reload(causeway: Running, ground: Ground, generation: number): Promise<void> {
  const broken = generation % BROKEN_EVERY === 0
  const text = broken
    ? `${siteOf(ground, generation)}\n[routes.bad]\nupstream = "nobody"\n`
    : siteOf(ground, generation)
  const result = await causeway.reload(text)
  if (result !== (broken ? 'failure' : 'success')) throw new Error(`a reload ended as ${result}`)
  if (broken) return
  const { status } = await ask(causeway.port('web'), get(newestPath(generation)))
  if (status !== 200) throw new Error(`a new route answered ${status}`)
}

/** The first app is always there, the others come and go. */
export function endpointsText({ appPorts }: Ground, n: number): string {
  const there = appPorts.filter((_, i) => i === 0 || ((n >> (i - 1)) & 1) === 1)
  return there.map(port => `127.0.0.1:${port} weight=${1 + (n % 3)}\n`).join('')
}

/** The key first: for a moment the pair does not fit, which must not matter. */
export function swapCertificate(ground: Ground, made: MadeCertificate | undefined): void {
  if (made === undefined) return
  replaceFile(keyOf(ground), readFileSync(made.keyFile))
  replaceFile(certificateOf(ground), readFileSync(made.certificateFile))
}

/** As logrotate does. */
async function rotate(causeway: Running, ground: Ground): Promise<void> {
  const file = accessLogOf(ground)
  renameSync(file, `${file}.1`)
  causeway.signal('SIGUSR2')
  await until('the new access log', () => existsSync(file))
  rmSync(`${file}.1`)
}
