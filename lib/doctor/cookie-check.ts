import type { Snapshot } from '../config/model.ts'
import type { Answer } from './answer.ts'
import { type Cookie, readCookie } from './cookie.ts'
import { type Finding, hint, ok, problem } from './finding.ts'
import { type Names, namesOf } from './names.ts'
import { serverAdvice } from './scheme-advice.ts'

const CHECK = 'cookies'
const HERE = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Are the cookies of sessions and of CSRF kept from eavesdroppers, scripts and other sites? */
export function checkCookies(
  answers: readonly Answer[],
  { snapshot }: Names = namesOf(undefined),
): Finding[] {
  const seen = new Map<string, readonly [Cookie, string]>()
  for (const { url, fields } of answers) {
    for (const line of fields['set-cookie'] ?? []) seen.set(readCookie(line).name, [readCookie(line), url])
  }
  return [...seen.values()].flatMap(([cookie, url]) => checkCookie(cookie, new URL(url), snapshot))
}

function checkCookie(
  cookie: Cookie,
  { protocol, hostname, href }: URL,
  snapshot: Snapshot | undefined,
): Finding[] {
  const setting = settingOf(cookie.name)
  const where = `cookie ${cookie.name} of ${href}`
  const findings: Finding[] = []
  if (protocol === 'https:' && !cookie.secure) {
    // A cookie that is none of Django's may mean nothing.
    const serious = setting === undefined ? hint : problem
    const fix = `${fixOf(setting, 'SECURE', 'True')}${setting === undefined ? ` (if the app decides by scheme: ${serverAdvice(snapshot)})` : ''}`
    findings.push(serious(CHECK, where, 'no Secure attribute: it is also sent over plain http', fix))
  }
  if (protocol === 'http:' && cookie.secure && !HERE.has(hostname)) {
    const what = 'Secure, but the site uses plain http: browsers drop it, so users cannot log in'
    findings.push(
      problem(CHECK, where, what, `serve the site over https (or ${fixOf(setting, 'SECURE', 'False')})`),
    )
  }
  // The CSRF cookie is there to be read by scripts.
  if (setting === 'SESSION' && !cookie.httpOnly) {
    const fix = fixOf(setting, 'HTTPONLY', 'True')
    findings.push(problem(CHECK, where, 'no HttpOnly attribute: scripts can steal the session', fix))
  }
  if (setting !== undefined && (cookie.sameSite === undefined || cookie.sameSite === 'none')) {
    const what = `SameSite ${cookie.sameSite === undefined ? 'is not set' : 'is None'}: requests from other sites include it`
    findings.push(hint(CHECK, where, what, fixOf(setting, 'SAMESITE', '"Lax"')))
  }
  return findings.length === 0 ? [ok(CHECK, where, 'its attributes are correct')] : findings
}

/** The middle of the setting's name in Django; undefined for cookies that are not Django's. */
function settingOf(name: string): 'SESSION' | 'CSRF' | undefined {
  if (/csrf|xsrf/i.test(name)) return 'CSRF'
  return /sess/i.test(name) ? 'SESSION' : undefined
}

function fixOf(setting: string | undefined, attribute: string, value: string): string {
  if (setting !== undefined) return `Django: ${setting}_COOKIE_${attribute} = ${value}`
  return `in the app: set_cookie(..., ${attribute.toLowerCase()}=${value})`
}
