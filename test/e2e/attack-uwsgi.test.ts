import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get } from '../support/raw-client.ts'
import { RecordingUwsgi } from '../support/recording-uwsgi.ts'

/** As uWSGI does: no answer to more variables than it has room for. */
const MOST_VARIABLES = 128

t.test('a client that sends many fields does not have a sound endpoint ejected', async t => {
  const apps = [await RecordingUwsgi.start(t), await RecordingUwsgi.start(t)]
  for (const app of apps) {
    app.script = line => {
      if (line.variables.size > MOST_VARIABLES) line.finish('')
      else line.finish('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    }
  }
  const causeway = await startCauseway(t, {
    config: configText({
      endpoints: apps.map(({ port }) => `uwsgi://127.0.0.1:${port}`),
      listener: 'limits.header_count = 1000',
      upstream: 'passive = { failures = 1, eject = "60s" }',
    }),
  })
  const fields = (count: number) => Array.from({ length: count }, (_, n) => `h${n}: 1\r\n`).join('')
  for (let i = 0; i < 4; i += 1) t.equal((await ask(causeway.port(), get('/many', fields(200)))).status, 431)
  t.match(await causeway.accessOf('/many'), {
    end: 'upstream_head_too_large',
    detail: /in response to 2\d\d variables: raise uwsgi's max-vars/,
    attempts: 1,
  })
  t.equal((await ask(causeway.port(), get('/few', fields(90)))).status, 200)
  t.same(
    causeway.lines.filter(({ msg }) => String(msg).includes('ejected')),
    [],
    'nobody is ejected',
  )
  t.same(
    apps.flatMap(app => app.dirty),
    [],
  )
  await assertClean(t, causeway)
})
