import type { Test } from 'tap'
import t from 'tap'
import { until } from '../support/until.ts'
import { type Engine, findEngine } from './engine.ts'
import { untilHealthy } from './health.ts'
import { buildFront, FRONT_IMAGE, removeImages, START_MS } from './project.ts'

// The image by itself, as docker/Dockerfile makes it.

const found = findEngine()
const name = 'causeway-test-image'
/** Beside Node and Debian. */
const MAX_PROGRAM_BYTES = 20 * 1024 * 1024

async function image(t: Test, engine: Engine): Promise<void> {
  t.teardown(async () => {
    await engine.try('rm', '--force', name)
    await removeImages(engine)
  })
  await engine.try('rm', '--force', name) // what a broken run has left
  await buildFront(engine)

  await t.test('it runs as a user that is no root, and owns nothing of the program', async t => {
    t.equal(await engine.inspect(FRONT_IMAGE, '{{.Config.User}}'), '10001:10001')
    const script = `
      const refused = path => { try { fs.writeFileSync(path, '') } catch (error) { return error.code } }
      console.log(process.getuid(), refused('/app/dist/x'), refused('/etc/causeway/x'))`
    const said = await engine.do('run', '--rm', '--entrypoint', 'node', FRONT_IMAGE, '-e', script)
    t.equal(said.trim(), '10001 EACCES EACCES')
  })

  await t.test('it says what it is, how to ask for its health and how to stop it', async t => {
    const config = JSON.parse(await engine.inspect(FRONT_IMAGE, '{{json .Config}}')) as Record<
      string,
      unknown
    >
    t.match(config, {
      Entrypoint: ['tini', '--', 'node', '/app/dist/cmd/causeway.js'],
      Cmd: ['run'],
      StopSignal: /^(SIGTERM|15)$/,
      ExposedPorts: { '8080/tcp': {} },
      Labels: { 'org.opencontainers.image.title': 'Causeway' },
    })
    const { Test } =
      JSON.parse(await engine.inspect(FRONT_IMAGE, '{{json .HealthCheck}}').catch(() => 'null')) ??
      JSON.parse(await engine.inspect(FRONT_IMAGE, '{{json .Config.Healthcheck}}'))
    t.same(Test, ['CMD', 'node', '/app/dist/cmd/causeway.js', 'healthcheck'])
  })

  await t.test('it has what it runs with and no more', async t => {
    const script = `
      const files = fs.readdirSync('/app', { recursive: true, withFileTypes: true })
      const bytes = files.reduce((sum, file) => sum + fs.lstatSync(path.join(file.parentPath, file.name)).size, 0)
      console.log(JSON.stringify([fs.readdirSync('/app'), fs.readdirSync('/app/node_modules'), bytes]))`
    const said = await engine.do('run', '--rm', '--entrypoint', 'node', FRONT_IMAGE, '-e', script)
    const [files, packages, bytes] = JSON.parse(said) as [string[], string[], number]
    t.same(files.sort(), ['LICENSE', 'dist', 'node_modules', 'package.json'])
    t.same(
      packages.filter(name => ['tap', 'typescript', '@biomejs', 'node'].includes(name)),
      [],
    )
    t.ok(packages.includes('undici'), 'the packages that it runs with')
    t.ok(bytes < MAX_PROGRAM_BYTES, `${bytes} bytes`)
  })

  await t.test('its health check fails where nothing runs', async t => {
    const { code } = await engine.try('run', '--rm', FRONT_IMAGE, 'healthcheck')
    t.equal(code, 1)
  })

  await t.test('a bad configuration ends it with 78', async t => {
    const { code, stderr } = await engine.try('run', '--rm', '--env', 'APP=:::', FRONT_IMAGE)
    t.equal(code, 78)
    t.match(stderr, 'upstreams.app.endpoints')
  })

  await t.test(
    'it serves from a read-only root without any capability, is healthy, and stops with 0',
    async t => {
      const locked = [
        '--read-only',
        '--tmpfs',
        '/tmp',
        '--cap-drop',
        'ALL',
        '--security-opt',
        'no-new-privileges',
      ]
      await engine.do(
        'run',
        '--detach',
        '--name',
        name,
        ...locked,
        '--publish',
        '127.0.0.1::8080',
        FRONT_IMAGE,
      )
      const port = (await engine.do('port', name, '8080/tcp')).trim().split(':').at(-1)
      await until(
        'an answer',
        () =>
          fetch(`http://127.0.0.1:${port}/static/none`).then(
            ({ status }) => status === 404,
            () => false,
          ),
        START_MS,
      )
      t.equal(await engine.inspect(name, '{{.HostConfig.ReadonlyRootfs}}'), 'true')
      const logs = async () => (await engine.try('logs', name)).stdout
      await until('it to say that it is ready', async () => /"msg":"ready"/.test(await logs()))
      t.notMatch(await logs(), /"level":"(error|fatal)"/)
      await untilHealthy(engine, name, START_MS)
      await engine.do('stop', name)
      t.equal(await engine.inspect(name, '{{.State.ExitCode}}'), '0')
    },
  )
}

if ('missing' in found) t.test('the image', { skip: found.missing }, async () => {})
else await t.test('the image', t => image(t, found.engine))
