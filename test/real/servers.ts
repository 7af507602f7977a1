import type { Test } from 'tap'
import { type AppServer, missing, PYTHON, socketIn, startServer } from './support.ts'

/** A real app server with the Django project of this folder. */
export interface ServerKind {
  readonly name: string
  /** WSGI servers get every body with its length, ASGI servers can take it in chunks. */
  readonly asgi: boolean
  /** What to skip for; false when it is here. */
  readonly skip: string | false
  /** Starts it; resolves with the address to write into `endpoints`. */
  start(t: Test, env: Readonly<Record<string, string>>): Promise<{ app: AppServer; endpoint: string }>
}

const UWSGI = [
  'uwsgi',
  '--plugin',
  'python3',
  '--module',
  'django_site.wsgi',
  '--master',
  '--need-app',
  '--die-on-term',
]
const POOL = ['--processes', '2', '--threads', '2']
const BOUND = /bound to TCP address 127\.0\.0\.1:(\d+)/
const GUNICORN = [PYTHON, '-m', 'gunicorn', '--bind', '127.0.0.1:0', '--workers', '2']
const LISTENING = /Listening at: http:\/\/127\.0\.0\.1:(\d+)/
const ASGI = 'django_site.asgi:application'

export const SERVERS: readonly ServerKind[] = [
  overTcp('uWSGI http-socket', false, ['django'], [...UWSGI, ...POOL, '--http-socket', '127.0.0.1:0'], BOUND),
  overTcp(
    'uWSGI binary over TCP',
    false,
    ['django'],
    [...UWSGI, ...POOL, '--socket', '127.0.0.1:0'],
    BOUND,
    'uwsgi://',
  ),
  {
    name: 'uWSGI binary over a unix socket',
    asgi: false,
    skip: missing('django'),
    async start(t, env) {
      const socket = socketIn(t)
      const command = [...UWSGI, ...POOL, '--socket', socket, '--http-socket', '127.0.0.1:0']
      return { app: await startServer(t, asCommand(command), env, BOUND), endpoint: `uwsgi+unix:${socket}` }
    },
  },
  overTcp('gunicorn sync', false, ['django', 'gunicorn'], [...GUNICORN, 'django_site.wsgi'], LISTENING),
  overTcp(
    'gunicorn gthread',
    false,
    ['django', 'gunicorn'],
    [...GUNICORN, '--worker-class', 'gthread', '--threads', '2', 'django_site.wsgi'],
    LISTENING,
  ),
  overTcp(
    'gunicorn with uvicorn workers',
    true,
    ['django', 'gunicorn', 'uvicorn'],
    [...GUNICORN, '--worker-class', 'uvicorn.workers.UvicornWorker', 'django_site.asgi'],
    LISTENING,
  ),
  overTcp(
    'uvicorn',
    true,
    ['django', 'uvicorn'],
    [PYTHON, '-m', 'uvicorn', '--host', '127.0.0.1', '--port', '0', ASGI],
    /running on http:\/\/127\.0\.0\.1:(\d+)/,
  ),
  overTcp(
    'hypercorn',
    true,
    ['django', 'hypercorn'],
    [PYTHON, '-m', 'hypercorn', '--bind', '127.0.0.1:0', ASGI],
    /Running on http:\/\/127\.0\.0\.1:(\d+)/,
  ),
  overTcp(
    'daphne',
    true,
    ['django', 'daphne'],
    [PYTHON, '-m', 'daphne', '-b', '127.0.0.1', '-p', '0', ASGI],
    /Listening on TCP address 127\.0\.0\.1:(\d+)/,
  ),
]

function overTcp(
  name: string,
  asgi: boolean,
  modules: readonly string[],
  command: readonly string[],
  pattern: RegExp,
  scheme = '',
): ServerKind {
  return {
    name,
    asgi,
    skip: missing(...modules),
    async start(t, env) {
      const app = await startServer(t, asCommand(command), env, pattern)
      return { app, endpoint: `${scheme}127.0.0.1:${app.port}` }
    },
  }
}

function asCommand(words: readonly string[]): [string, ...string[]] {
  const [program = '', ...args] = words
  return [program, ...args]
}
