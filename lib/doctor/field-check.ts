import { type Answer, fieldOf, isHtml, type Outcome } from './answer.ts'
import { type Finding, hint, ok } from './finding.ts'
import type { Names } from './names.ts'

/** Half a year: what lists of sites with HSTS ask for at least. */
const MIN_HSTS_SECONDS = 15_768_000

/** Is Strict-Transport-Security there, long enough, and only over https (RFC 6797 7.2)? */
export function checkHsts(chain: readonly Outcome[], page: Answer, { route }: Names): Finding[] {
  const check = 'hsts'
  const setting = `Django: SECURE_HSTS_SECONDS = 31536000 (or Causeway: routes.${route}.hsts = "max-age=31536000")`
  const value = fieldOf(page, 'strict-transport-security')
  const plain = chain.find(
    (outcome): outcome is Answer =>
      outcome.kind === 'answer' &&
      outcome.url.startsWith('http:') &&
      fieldOf(outcome, 'strict-transport-security') !== undefined,
  )
  if (plain !== undefined) {
    const fix = 'send it over https only: Django and Causeway do so if they know the scheme'
    return [
      hint(
        check,
        plain.url,
        'Strict-Transport-Security is sent over plain http, where browsers ignore it',
        fix,
      ),
    ]
  }
  if (page.url.startsWith('http:')) return []
  if (value === undefined) return [hint(check, page.url, 'no Strict-Transport-Security', setting)]
  const [, seconds = ''] = /max-age\s*=\s*"?(\d+)/i.exec(value) ?? []
  if (seconds === '') return [hint(check, page.url, `"${value}" has no max-age`, setting)]
  if (Number(seconds) < MIN_HSTS_SECONDS) {
    return [hint(check, page.url, `max-age is ${seconds} s: too short to be effective`, setting)]
  }
  return [ok(check, page.url, value)]
}

interface Wanted {
  readonly name: string
  readonly fits: RegExp
  readonly fix: string
}

const WANTED: readonly Wanted[] = [
  { name: 'X-Content-Type-Options', fits: /^nosniff$/i, fix: 'Django: SECURE_CONTENT_TYPE_NOSNIFF = True' },
  {
    name: 'X-Frame-Options',
    fits: /^(?:deny|sameorigin)$/i,
    fix: 'Django: X_FRAME_OPTIONS = "DENY", with XFrameOptionsMiddleware in MIDDLEWARE',
  },
  {
    name: 'Referrer-Policy',
    fits: /^(?!.*\bunsafe-url\b).+/i,
    fix: 'Django: SECURE_REFERRER_POLICY = "same-origin"',
  },
]

/** Does the page say what browsers must not do with it? */
export function checkFields(page: Answer): Finding[] {
  const check = 'fields'
  if (!isHtml(page)) return []
  const framing = /frame-ancestors/i.test(fieldOf(page, 'content-security-policy') ?? '')
  const findings = WANTED.flatMap(({ name, fits, fix }) => {
    const value = fieldOf(page, name.toLowerCase())
    if (value !== undefined && fits.test(value)) return []
    if (name === 'X-Frame-Options' && framing) return []
    return hint(check, page.url, value === undefined ? `no ${name}` : `${name}: ${value} is weak`, fix)
  })
  return findings.length > 0 ? findings : [ok(check, page.url, WANTED.map(({ name }) => name).join(', '))]
}

const PRODUCTS: readonly (readonly [pattern: RegExp, fix: string])[] = [
  [/nginx/i, 'nginx: server_tokens off'],
  [/apache/i, 'Apache: ServerTokens Prod'],
  [/gunicorn/i, 'gunicorn 20.1 or newer, which sends no version'],
  [/uvicorn/i, 'uvicorn --no-server-header'],
  [/hypercorn/i, 'hypercorn: include_server_header = false'],
  [/daphne/i, 'daphne --server-name ""'],
  [/wsgiserver|python/i, 'do not run `manage.py runserver` in production: use gunicorn or uWSGI'],
]

/** Do the answers say which version of what runs there? */
export function checkLeaks(page: Answer): Finding[] {
  const check = 'leaks'
  const findings = ['server', 'x-powered-by'].flatMap(name => {
    const value = fieldOf(page, name)
    if (value === undefined || !/\d/.test(value)) return []
    const fix =
      PRODUCTS.find(([pattern]) => pattern.test(value))?.[1] ?? `remove the field ${name} in the app`
    return hint(check, page.url, `${name}: ${value} reveals a version`, fix)
  })
  return findings.length > 0 ? findings : [ok(check, page.url, 'no version is revealed')]
}
