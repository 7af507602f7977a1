import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { type AppServer, PYTHON, startServer } from './support.ts'

const FOLDER = join(import.meta.dirname, '../../docker/django')

/**
 * The Django site of docker/, as its container has it: tables made, static files collected, uvicorn before
 * it.
 */
export interface DemoSite {
  readonly app: AppServer
  /** What `collectstatic` has collected. */
  readonly staticRoot: string
}

/** Starts it for clients who come by https to this host. */
export async function startDemoSite(t: Test, host: string): Promise<DemoSite> {
  const data = t.testdir({})
  const staticRoot = join(data, 'static')
  mkdirSync(staticRoot)
  const env = {
    PYTHONDONTWRITEBYTECODE: '1',
    SECRET_KEY: 'only for tests',
    ALLOWED_HOSTS: host,
    HTTPS: 'on',
    DATABASE: join(data, 'db.sqlite3'),
    STATIC_ROOT: staticRoot,
    MEDIA_ROOT: join(data, 'media'),
  }
  for (const command of ['migrate', 'collectstatic']) await manage(command, env)
  const uvicorn = ['-m', 'uvicorn', '--app-dir', FOLDER, '--host', '127.0.0.1', '--port', '0']
  const started = /running on http:\/\/127\.0\.0\.1:(\d+)/
  const app = await startServer(t, [PYTHON, ...uvicorn, 'project.asgi:application'], env, started)
  return { app, staticRoot }
}

async function manage(command: string, env: Readonly<Record<string, string>>): Promise<void> {
  await promisify(execFile)(PYTHON, ['manage.py', command, '--noinput'], {
    cwd: FOLDER,
    env: { ...process.env, ...env },
  })
}
