import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { until } from '../support/until.ts'
import {
  earlyAnswer,
  expectContinue,
  headThenGet,
  health,
  sendfile,
  streams,
  truncation,
} from './answer-scenes.ts'
import {
  brokenUpload,
  chunkedUpload,
  hopByHop,
  hostAndTarget,
  identity,
  intactFields,
  largeHead,
  oneOrigin,
  paths,
  pipelining,
  protocolVersion,
  strictness,
  twoCookieLines,
  underscores,
} from './request-scenes.ts'
import type { Scene, Stage } from './scene.ts'
import { SERVERS, type ServerKind } from './servers.ts'
import { ask, TRUSTING } from './support.ts'

// The same views through every kind of app server. What each is for: the first word of its name is the
// demand's subject; all of them were broken by some proxy in front of some server.

const internal = (root: string) => `
[routes.internal]
path = "/internal/"
static = { root = "${root}", internal = true }
`
const UPSTREAM = `timeouts = { idle = "2s" }
health = { path = "/healthz", host = "site.example", interval = "200ms", timeout = "200ms" }`

const SCENES: readonly (readonly [string, Scene])[] = [
  ['identity: nothing that a client says of itself is believed', identity],
  ['names: fields with an underscore do not reach the app', underscores],
  ['hops: fields of the connection and httpoxy do not reach the app', hopByHop],
  ['origin: one scheme, one host, one port, from the proxy that is trusted', oneOrigin],
  ['host: it keeps its port; an absolute target is cut to its path', hostAndTarget],
  ['chunked: an upload of unknown length arrives whole', chunkedUpload],
  ['abort: an upload that breaks off costs no worker', brokenUpload],
  ['HEAD: a body behind it poisons no later answer', headThenGet],
  ['streams: an answer without a length comes piece by piece', streams],
  ['truncation: an answer that breaks off is seen to break off', truncation],
  ['pipelining: every request is answered, in order', pipelining],
  ['strictness: what could be read in two ways reaches no app', strictness],
  ['cookies: two lines are one', twoCookieLines],
  ['fields: what Django needs arrives intact, and so does what it sets', intactFields],
  ['continue: a client that expects it is told to go on', expectContinue],
  ['early answers: an answer to an unread upload reaches the client', earlyAnswer],
  ['protocol: the app is always spoken to in HTTP/1.1', protocolVersion],
  ['heads: a request head that is too large says so', largeHead],
  ['sendfile: files by X-Accel-Redirect and X-Sendfile, whole, in part, and never directly', sendfile],
  ['paths: the target arrives as it was sent', paths],
  ['health: probes name the host that the app allows', health],
]

for (const kind of SERVERS) {
  t.test(kind.name, { skip: kind.skip }, async t => {
    const stage = await startStage(t, kind)
    for (const [name, scene] of SCENES) await t.test(name, async t => scene(t, stage))
  })
}

t.test(
  'manage.py check --deploy is silent about what stands in docker/django',
  { skip: SERVERS[0]?.skip ?? false },
  async t => {
    const env = {
      ...process.env,
      SECRET_KEY: 'k'.repeat(20) + 'Zq3-9x'.repeat(10),
      ALLOWED_HOSTS: 'site.example',
      HTTPS: 'on',
    }
    const folder = join(import.meta.dirname, '../../docker/django')
    const check = spawnSync(
      '/usr/bin/python3',
      ['manage.py', 'check', '--deploy', '--fail-level', 'WARNING'],
      {
        cwd: folder,
        env: { ...env, PYTHONDONTWRITEBYTECODE: '1' },
        encoding: 'utf8',
      },
    )
    t.match(check, { status: 0, stdout: 'System check identified no issues (0 silenced).' }, check.stderr)
  },
)

async function startStage(t: Test, kind: ServerKind): Promise<Stage> {
  const folder = t.testdir({ files: { 'note.txt': '0123456789', 'ü .txt': 'umlaut' } })
  const files = join(folder, 'files')
  const env = { HOLD_FOLDER: folder, PROTECTED_FOLDER: files, DJANGO_ALLOWED_HOSTS: '127.0.0.1,site.example' }
  const { app, endpoint } = await kind.start(t, env)
  const config = configText({ endpoints: [endpoint], upstream: UPSTREAM, more: TRUSTING + internal(files) })
  const causeway = await startCauseway(t, { config })
  await until(
    'the app to answer',
    async () => (await ask(causeway.port(), { path: '/healthz' })).status === 200,
  )
  return { kind, app, causeway, web: causeway.port(), trusting: causeway.port('trusting'), folder }
}
