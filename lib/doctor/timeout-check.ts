import { formatDuration } from '../base/units.ts'
import type { ServerKind, Snapshot, UpstreamConfig } from '../config/model.ts'
import { type Finding, hint, ok, problem } from './finding.ts'

const CHECK = 'timeouts'

/**
 * Seconds that an app server keeps an idle connection, where nobody says otherwise (measured with Debian's
 * versions).
 */
const SERVER_KEEPS: Readonly<Record<ServerKind, number | undefined>> = {
  auto: undefined,
  uwsgi: undefined,
  gunicorn: 2,
  uvicorn: 5,
  hypercorn: 5,
  daphne: 60,
}

/**
 * Options of app servers that end a worker's request, and those that keep an idle connection; values in
 * seconds.
 */
const ENDS_REQUEST = ['--timeout', '-t', '--harakiri']
const KEEPS_IDLE = ['--keep-alive', '--timeout-keep-alive']

/** Do the time-outs of the configuration stand in the right order, from the app outwards? */
export function checkTimeouts(snapshot: Snapshot): Finding[] {
  const findings = [...snapshot.upstreams.flatMap(checkUpstream), ...checkDrain(snapshot)]
  return findings.length > 0 ? findings : [ok(CHECK, 'upstreams', 'timeouts are in the right order')]
}

function checkUpstream(upstream: UpstreamConfig): Finding[] {
  const { name, timeouts, health } = upstream
  const key = `upstreams.${name}`
  const findings: Finding[] = []
  if (timeouts.connectMs > timeouts.responseMs) {
    const what = `a connect may take longer (${formatDuration(timeouts.connectMs)}) than a response (${formatDuration(timeouts.responseMs)})`
    const fix = `${key}.timeouts.connect = "${formatDuration(Math.ceil(timeouts.responseMs / 2))}"`
    findings.push(problem(CHECK, `${key}.timeouts.connect`, what, fix))
  }
  if (health !== undefined && health.timeoutMs > health.intervalMs) {
    const what = `a probe may take longer (${formatDuration(health.timeoutMs)}) than the probe interval (${formatDuration(health.intervalMs)})`
    const fix = `${key}.health.timeout = "${formatDuration(Math.floor(health.intervalMs / 2))}"`
    findings.push(problem(CHECK, `${key}.health.timeout`, what, fix))
  }
  return [...findings, ...checkServer(upstream), ...checkKeepalive(upstream)]
}

/** The app server gives a request up later than we do: the client has its 504, and the worker runs on. */
function checkServer({ name, timeouts, run }: UpstreamConfig): Finding[] {
  const seconds = optionOf(run?.command, ENDS_REQUEST)
  if (seconds === undefined || seconds === 0 || seconds * 1000 < timeouts.responseMs) return []
  const key = `upstreams.${name}.timeouts.response`
  const what = `${formatDuration(timeouts.responseMs)}, but the app server allows ${seconds} s: clients get 504 while workers stay busy`
  return [problem(CHECK, key, what, `${key} = "${seconds + 5}s", or a shorter timeout in the app server`)]
}

/**
 * We keep an idle connection longer than the app server: a request is sent into one that is just being
 * closed.
 */
function checkKeepalive({ name, keepalive, run, server }: UpstreamConfig): Finding[] {
  const seconds = optionOf(run?.command, KEEPS_IDLE) ?? SERVER_KEEPS[server]
  if (seconds === undefined || keepalive.idleMs === undefined || keepalive.idleMs < seconds * 1000) return []
  const key = `upstreams.${name}.keepalive.idle`
  const what = `${formatDuration(keepalive.idleMs)}, but the app server closes idle connections after ${seconds} s: requests are sent on closing connections`
  return [problem(CHECK, key, what, `${key} = "auto"`)]
}

function checkDrain({ server, upstreams }: Snapshot): Finding[] {
  const longest = Math.max(0, ...upstreams.map(({ timeouts }) => timeouts.responseMs))
  if (server.drainMs >= longest) return []
  const what = `a shutdown aborts requests after ${formatDuration(server.drainMs)}, but a response may take ${formatDuration(longest)}`
  return [hint(CHECK, 'server.drain', what, `server.drain = "${formatDuration(longest)}"`)]
}

/** Seconds of the first of these options in a command: `--timeout 30`, `--timeout=30`. */
function optionOf(command: readonly string[] | undefined, names: readonly string[]): number | undefined {
  for (const [i, word] of (command ?? []).entries()) {
    const [name = '', value] = word.split('=', 2)
    if (!names.includes(name)) continue
    const seconds = Number(value ?? command?.[i + 1])
    if (Number.isFinite(seconds)) return seconds
  }
  return undefined
}
