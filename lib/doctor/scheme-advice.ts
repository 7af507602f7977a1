import type { Snapshot } from '../config/model.ts'

/** How Django gets to know that a client came over https. */
export const PROXY_SSL_HEADER = 'Django: SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")'

const ALLOW = '--forwarded-allow-ips (or FORWARDED_ALLOW_IPS) with the source address of Causeway'

/**
 * What a server must be told before it believes X-Forwarded-Proto; the others pass it on, for the framework
 * to judge.
 */
const SERVERS: readonly (readonly [name: string, advice: string])[] = [
  ['uvicorn', `uvicorn: ${ALLOW}`],
  ['gunicorn', `gunicorn: ${ALLOW}`],
  ['hypercorn', 'hypercorn: hypercorn.middleware.ProxyFixMiddleware around the app'],
  ['daphne', 'daphne: --proxy-headers'],
]
/** Where nothing is known. */
const USUAL = `uvicorn and gunicorn: ${ALLOW}`

/**
 * The settings by which an app learns the scheme that its client used: the framework's, and that of the
 * server that runs it. On one machine uvicorn and gunicorn believe what comes from loopback; from another
 * machine or container they do not, and the app makes http:// of every URL.
 */
export function schemeAdvice(snapshot: Snapshot | undefined): string {
  return `${PROXY_SSL_HEADER}; ${serverAdvice(snapshot)}`
}

/** The server's half of it. */
export function serverAdvice(snapshot: Snapshot | undefined): string {
  const known = new Set(snapshot?.upstreams.flatMap(({ server, run }) => [server, ...wordsOf(run?.command)]))
  const advice = SERVERS.filter(([name]) => known.has(name)).map(([, text]) => text)
  return advice.length === 0 ? USUAL : advice.join('; ')
}

/** `/srv/venv/bin/gunicorn` and `python -m uvicorn` name their server. */
function wordsOf(command: readonly string[] = []): string[] {
  return command.map(word => word.split('/').at(-1) ?? '')
}
