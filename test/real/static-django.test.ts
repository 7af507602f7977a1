import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import t from 'tap'
import { type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get } from '../support/raw-client.ts'
import { until } from '../support/until.ts'
import { missing } from './support.ts'

const skip = missing('django')
const PYTHON = process.env['PYTHON'] ?? '/usr/bin/python3'
const FOR_EVER = 'public, max-age=31536000, immutable'

const SETTINGS = `
from pathlib import Path
BASE = Path(__file__).parent
SECRET_KEY = "only for tests"
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                  "django.contrib.messages", "django.contrib.sessions", "django.contrib.staticfiles"]
STATIC_URL = "/static/"
STATIC_ROOT = BASE / "collected"
STATICFILES_DIRS = [BASE / "own"]
# The first word is for Django before 4.2, the second for those that no longer know the first.
import django
if django.VERSION < (4, 2):
    STATICFILES_STORAGE = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
else:
    STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}}
`

/** A Django project of nothing but static files: its own, and those of the admin. */
class Project {
  readonly root: string
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
    this.root = join(folder, 'collected')
    writeFileSync(join(folder, 'static_settings.py'), SETTINGS)
    mkdirSync(join(folder, 'own', 'site'), { recursive: true })
    writeFileSync(join(folder, 'own', 'site', 'logo.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>')
  }

  style(color: string): void {
    const text = `body { color: ${color}; background: url("logo.svg") }\n`
    writeFileSync(join(this.#folder, 'own', 'site', 'site.css'), text)
  }

  /** Runs the real collectstatic; gives what its manifest maps. */
  collect(...args: readonly string[]): Readonly<Record<string, string>> {
    const command = ['-m', 'django', 'collectstatic', '--noinput', '--settings', 'static_settings', ...args]
    const env = { ...process.env, PYTHONPATH: this.#folder, PYTHONDONTWRITEBYTECODE: '1' }
    const { status, stderr } = spawnSync(PYTHON, command, { cwd: this.#folder, env, encoding: 'utf8' })
    if (status !== 0) throw new Error(`collectstatic: ${stderr}`)
    const manifest = JSON.parse(readFileSync(join(this.root, 'staticfiles.json'), 'utf8')) as {
      readonly paths: Readonly<Record<string, string>>
    }
    return manifest.paths
  }
}

const startOver = (root: string) =>
  startCauseway(t, {
    config: configText({
      endpoints: [9],
      more: `
[routes.static]
path = "/static/"
static = { root = ${JSON.stringify(root)} }`,
    }),
  })

const fetched = (causeway: Running, name: string, fields = '') =>
  ask(causeway.port(), get(`/static/${name}`, fields))
/**
 * `collectstatic --clear` removes the manifest first: for a while there may be none, and that is told as
 * well.
 */
const manifestTaken = (causeway: Running, leaving: number) =>
  causeway.line(
    'the manifest',
    line =>
      line['msg'] === 'static manifest taken' &&
      Number(line['names']) > 0 &&
      Number(line['leaving']) >= leaving &&
      line['not_held'] === 0,
  )

t.test(
  'what collectstatic of a real Django made, through two deploys',
  { skip, timeout: 120_000 },
  async t => {
    const project = new Project(t.testdir({}))
    project.style('red')
    const before = project.collect()
    t.ok(Object.keys(before).length > 100, "the admin's files are among them")
    const causeway = await startOver(project.root)
    await manifestTaken(causeway, 0)

    for (const [plain, hashed] of Object.entries(before)) {
      const answer = await fetched(causeway, hashed)
      const file = readFileSync(join(project.root, hashed))
      if (
        answer.status !== 200 ||
        !answer.body.equals(file) ||
        fieldOf(answer, 'cache-control') !== FOR_EVER
      ) {
        t.fail(`${hashed}: ${answer.status} ${fieldOf(answer, 'cache-control')}`)
      }
      if (plain === hashed) continue
      const other = await fetched(causeway, plain)
      if (other.status !== 200 || fieldOf(other, 'cache-control') !== 'no-cache') {
        t.fail(`${plain}: ${other.status} ${fieldOf(other, 'cache-control')}`)
      }
    }
    const style = await fetched(causeway, before['site/site.css'] as string)
    t.match(style.body.toString(), /url\("logo\.[0-9a-f]{12}\.svg"\)/, 'the styles name hashed files')
    t.equal((await fetched(causeway, 'staticfiles.json')).status, 404)
    t.same(
      causeway.lines.filter(({ msg }) => msg === 'configuration warning'),
      [],
    )
    const admin = before['admin/css/base.css'] as string
    const packed = await until('the admin in brotli', async () => {
      const answer = await fetched(causeway, admin, 'Accept-Encoding: br\r\n')
      return fieldOf(answer, 'content-encoding') === 'br' ? answer : undefined
    })
    t.ok(brotliDecompressSync(packed.body).equals(readFileSync(join(project.root, admin))))

    project.style('blue')
    const after = project.collect('--clear')
    t.not(after['site/site.css'], before['site/site.css'])
    await manifestTaken(causeway, 1)
    const old = await fetched(causeway, before['site/site.css'] as string)
    t.equal(old.status, 200, 'pages of before still find their styles')
    t.match(old.body.toString(), /red/)
    t.equal(fieldOf(old, 'cache-control'), FOR_EVER)
    const fresh = await fetched(causeway, after['site/site.css'] as string)
    t.match(fresh.body.toString(), /blue/)
    t.equal(fieldOf(fresh, 'cache-control'), FOR_EVER)
    t.equal(await causeway.stop(), 0)
  },
)
