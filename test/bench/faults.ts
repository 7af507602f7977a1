import { lineOf } from '../faults/account.ts'
import { CausewayFront, type FrontKind } from '../faults/front.ts'
import { play, type Scene } from '../faults/play.ts'
import { SCENES } from '../faults/scenes.ts'
import { RunScope } from '../faults/scope.ts'
import { haproxy } from './faults/haproxy.ts'
import { nginx } from './faults/nginx.ts'
import { type Options, readOptions, USAGE } from './faults/options.ts'
import { behind, type Row, tableOf } from './faults/table.ts'
import { isInstalled } from './peer.ts'

// The scenes of `npm run test:faults` through Causeway and its peers, side by side in one table: `node
// test/bench/faults.ts`. Needs gunicorn. "Lost" is what the proxy could have saved. "POST in broken app" is
// what nobody may send again, because the app may have acted on it: it had arrived there, or lay in the app's
// kernel. What was refused before a byte was sent never counts there; each proxy's own log says so.

const causeway: FrontKind = {
  name: 'causeway',
  needs: 'node',
  start: (scope, plan) => CausewayFront.start(scope, plan),
}
const KINDS = [causeway, nginx, haproxy]

/** What is open: a run that breaks off leaves nobody behind. */
const scopes = new Set<RunScope>()

const say = (text: string) => process.stderr.write(`${text}\n`)

async function rowOf(scene: Scene, kind: FrontKind, seconds: number): Promise<Row> {
  const scope = new RunScope()
  scopes.add(scope)
  const names = { scene: scene.name, proxy: kind.name }
  try {
    const { account } = await play(scope, scene, kind, seconds * 1000)
    say(`${scene.name}, ${kind.name}: ${lineOf(account)}`)
    return { ...names, account }
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n')[0] as string) : String(error)
    say(`${scene.name}, ${kind.name}: ${error}`)
    return { ...names, why }
  } finally {
    await scope.close()
    scopes.delete(scope)
  }
}

async function run({ seconds, only, scenes, strict }: Options): Promise<number> {
  const kinds = KINDS.filter(({ name, needs }) => (only?.includes(name) ?? true) && isInstalled(needs))
  const chosen = SCENES.filter(({ name }) => scenes === undefined || name.includes(scenes))
  const rows: Row[] = []
  for (const scene of chosen) {
    for (const kind of kinds) rows.push(await rowOf(scene, kind, seconds))
  }
  process.stdout.write(tableOf(rows))
  const ahead = behind(rows)
  for (const peer of ahead) process.stdout.write(`ahead of Causeway: ${peer}\n`)
  return strict && ahead.length > 0 ? 1 : 0
}

async function breakOff(): Promise<void> {
  for (const scope of scopes) await scope.close()
  process.exit(1)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, breakOff)
try {
  process.exitCode = await run(readOptions(process.argv.slice(2)))
} catch (error) {
  if (!(error instanceof TypeError)) throw error
  process.stderr.write(`${error.message}\n${USAGE}`)
  process.exitCode = 2
}
