import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { type AppServer, ask, missing, startAsgi, startDjango } from './support.ts'

const skip = missing('django', 'gunicorn', 'uvicorn')

t.test('keep-alive race: a connection that the app closes as we take it costs nothing', { skip }, async t => {
  const uvicorn = await startAsgi(t, ['--timeout-keep-alive', '1'])
  const gthread = await startDjango(t, ['--worker-class', 'gthread', '--threads', '4', '--keep-alive', '1'])
  const standard = await startDjango(t, ['--worker-class', 'gthread', '--threads', '4'])
  // A pool that keeps connections far longer than the servers do: every GET below comes about when its
  // connection is closed.
  const late = 'keepalive = { idle = "60s" }'
  const results = await Promise.all([
    race(await before(t, uvicorn, late), { path: '/pid/' }, 1000),
    race(await before(t, gthread, late), { path: '/pid/' }, 1000),
    // What is not idempotent cannot be repeated: the default idle time must stay below gunicorn's 2 s.
    race(await before(t, standard), { path: '/pid/', method: 'POST' }, 2000, 5),
  ])
  t.same(results.flat(), [])
  t.equal(uvicorn.output.includes('Traceback'), false)
})

async function before(t: Test, app: AppServer, upstream = ''): Promise<Running> {
  return startCauseway(t, { config: configText({ endpoints: [app.port], upstream }) })
}

/** 16 lanes that ask again and again after about `aroundMs`; what failed, in words. */
async function race(
  causeway: Running,
  question: { readonly path: string; readonly method?: string },
  aroundMs: number,
  rounds = 10,
): Promise<string[]> {
  const failures: string[] = []
  const lane = async (offset: number) => {
    for (let round = 0; round < rounds; round += 1) {
      const answer = await ask(causeway.port(), question).catch(String)
      if (typeof answer === 'string') failures.push(answer)
      else if (answer.status !== 200) failures.push(`${question.method ?? 'GET'}: ${answer.status}`)
      // The one wait in our tests: the app server's own clock is what is raced against.
      await pause(aroundMs - 40 + ((offset * 7 + round * 11) % 80))
    }
  }
  await Promise.all(Array.from({ length: 16 }, (_, i) => lane(i)))
  return failures
}
