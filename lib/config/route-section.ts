import { domainToASCII } from 'node:url'
import { ipv6Text } from '../http/ip-bytes.ts'
import { readCidr } from './networks.ts'
import {
  choice,
  dictionary,
  duration,
  flag,
  list,
  optional,
  optionalTable,
  percent,
  required,
  text,
} from './option.ts'
import { isHostPattern, NO_PATTERNS, pathPatternFault } from './patterns.ts'

type Read<T> = { readonly value: T } | { readonly fault: string; readonly hint?: string }

/** [routes.<name>.static] */
export const staticSection = {
  root: required(
    text(
      'Folder of the files; a relative one starts at the folder that Causeway is started in. Names that start with a dot are not served, but for `/.well-known/` at the root of the site; links are followed inside the folder.',
      'path',
      readRoot,
    ),
  ),
  index: list(text("Files tried, in turn, for a folder's path; `[]`: none.", 'file name', readFileName), [
    'index.html',
  ]),
  internal: flag(
    'Files only for answers of apps with X-Accel-Redirect or X-Sendfile; clients who ask for them get 404.',
    false,
  ),
  manifest: flag(
    'Read the manifests of Django and Vite in the folder: names with a content hash get `Cache-Control: public, max-age=31536000, immutable`.',
    true,
  ),
  keepMs: duration('How long files of the last manifest stay servable after a new one.', '1h', {
    min: '0s',
    max: '30d',
  }),
  compress: flag('Compress files that have no `.br`, `.zst` or `.gz` beside them.', true),
  cacheControl: optional(
    text(
      'Cache-Control of names without a content hash, such as `"max-age=300"`.',
      'field value',
      readFieldValue,
    ),
  ),
}

/** [routes.<name>.maintenance] */
export const maintenanceSection = {
  enabled: flag('Answer 503.', true),
  page: optional(text('File of the page to show.', 'path', readFile)),
  retryAfterMs: duration('When clients may ask again (Retry-After).', '5m', { min: '1s', max: '30d' }),
  bypass: list(text('Networks whose clients get in all the same.', 'CIDR', readCidr), []),
  bypassCookie: optional(
    text('`"NAME=VALUE"` of a cookie whose holders get in all the same.', 'cookie', readCookie),
  ),
}

/** [routes.<name>.canary] */
export const canarySection = {
  upstream: required(text('Name of the upstream on trial.', 'name', value => ({ value }))),
  share: percent('Requests that it gets; a client stays on its side by its address.', '5%'),
  header: optional(text('`"NAME=VALUE"` of a field whose requests all go there.', 'field', readCanaryMark)),
  cookie: optional(text('`"NAME=VALUE"` of a cookie whose holders all go there.', 'cookie', readCanaryMark)),
}

/** [routes.<name>.mirror] */
export const mirrorSection = {
  upstream: required(
    text('Name of the upstream that gets copies; its answers are dropped.', 'name', value => ({ value })),
  ),
  share: percent('Requests that are copied.', '100%'),
}

/** [routes.<name>] */
export const routeSection = {
  hosts: list(
    text(
      'Hosts without port: `"example.com"`, or `"*.example.com"` for every name below. None: any host.',
      'host',
      readRouteHost,
    ),
    [],
  ),
  path: text(
    'Prefix of the path. The most specific host wins, then the longest path; order never matters. A request whose path servers read in different ways gets 400, unless all readings lead to one route.',
    'path',
    readPath,
    '/',
  ),
  upstream: optional(text('Name of the upstream that answers.', 'name', value => ({ value }))),
  priority: choice('Who goes first where requests wait for a slot.', ['high', 'normal', 'low'], 'normal'),
  canary: optionalTable('Sends a share of the requests to another upstream.', canarySection),
  mirror: optionalTable('Sends copies of requests to another upstream.', mirrorSection),
  static: optionalTable('Answers with files.', staticSection),
  stripPrefix: text('Taken off the path before the app sees it, such as `"/app"`.', 'path', readPrefix, ''),
  scriptName: text(
    'Where the app is mounted, such as `"/app"`: SCRIPT_NAME for uwsgi and gunicorn, X-Forwarded-Prefix for all.',
    'path',
    readPrefix,
    '',
  ),
  rewriteAnswers: flag(
    "Put `strip_prefix` in front of the paths in the app's Location and Set-Cookie fields.",
    false,
  ),
  redirectHttps: optional(
    flag(
      'Send plain http requests to https. Unless written: those for hosts that have a certificate by `tls = "auto"`, but for the health path of the upstream. Challenges of ACME servers are never sent there.',
      false,
    ),
  ),
  hsts: optional(
    text(
      'Strict-Transport-Security for answers over https that have none, such as `"max-age=31536000"`.',
      'field value',
      readHsts,
    ),
  ),
  errorPages: dictionary(
    'Files for answers that Causeway makes itself, by status: `{ 502 = "502.html", 5xx = "error.html" }`.',
    readErrorPage,
  ),
  maintenance: optionalTable('Closes the route.', maintenanceSection),
}

export function readRouteHost(value: string): Read<string> {
  const host = value.toLowerCase().replace(/\.$/, '')
  if (host === '*' || host === '_')
    return { fault: `"${host}" is no host`, hint: 'leave hosts out: then any host is meant' }
  if (isHostPattern(host))
    return {
      fault: NO_PATTERNS,
      hint: 'name each host, or write "*.example.com" for every name below example.com',
    }
  if (host.startsWith('.') && host.length > 1)
    return {
      fault: 'a host does not start with a dot',
      hint: `write "${host.slice(1)}", "*${host}" for both`,
    }
  if (/^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/.test(host))
    return { value: host }
  const literal = host.startsWith('[') && host.endsWith(']') ? ipv6Text(host.slice(1, -1)) : undefined
  if (literal !== undefined) return { value: `[${literal}]` }
  if (/:\d+$/.test(host)) {
    return {
      fault: 'a host of a route has no port',
      hint: `write ${JSON.stringify(host.replace(/:\d+$/, ''))}; ports belong to listeners`,
    }
  }
  if (host.includes('://'))
    return {
      fault: 'expected a host, not a URL',
      hint: `write ${JSON.stringify(host.split('://')[1]?.split('/')[0])}`,
    }
  const fault = 'expected a host such as "example.com" or "*.example.com"'
  // Names beyond ASCII are asked for in their ASCII form (RFC 5891 4.4).
  const ascii = domainToASCII(host)
  return ascii === '' || ascii === host ? { fault } : { fault, hint: `write ${JSON.stringify(ascii)}` }
}

function readPath(value: string): Read<string> {
  const pattern = pathPatternFault(value)
  if (pattern !== undefined) return pattern
  if (!value.startsWith('/')) return { fault: 'expected a path that starts with "/"' }
  if (value.endsWith('*'))
    return {
      fault: 'a path is a prefix and needs no "*"',
      hint: `write ${JSON.stringify(value.replace(/\*+$/, ''))}`,
    }
  if (/[?#]/.test(value)) return { fault: 'a path has no query and no fragment' }
  if (/[\0-\x20\x7f\\]|\/\/|%/.test(value) || /\/\.{1,2}(?:\/|$)/.test(value)) {
    return { fault: 'a path is written plainly: no "//", no dot segments, no "%", no blanks' }
  }
  return { value }
}

function readRoot(value: string): Read<string> {
  return value === '' || value.includes('\0') ? { fault: 'expected the path of a folder' } : { value }
}

function readFileName(value: string): Read<string> {
  if (value !== '' && !/[/\\\0]/.test(value) && !value.startsWith('.')) return { value }
  return { fault: 'expected a file name such as "index.html"' }
}

function readFile(value: string): Read<string> {
  return value === '' || value.includes('\0') ? { fault: 'expected the path of a file' } : { value }
}

/** A mount point: a path whose slash at the end counts for nothing. */
function readPrefix(value: string): Read<string> {
  if (value === '' || value === '/') return { value: '' }
  const reading = readPath(value)
  return 'value' in reading ? { value: reading.value.replace(/\/$/, '') } : reading
}

// RFC 9110 5.5: no line ends, no blanks around it.
function readFieldValue(value: string): Read<string> {
  if (/^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(value)) return { value }
  return { fault: 'expected the value of a field' }
}

// RFC 6797 6.1
function readHsts(value: string): Read<string> {
  if (/^max-age=\d{1,10}(?:\s*;\s*(?:includeSubDomains|preload))*$/i.test(value)) return { value }
  return {
    fault: 'expected a value of Strict-Transport-Security',
    hint: 'write "max-age=31536000", with "; includeSubDomains" if all hosts below speak https',
  }
}

function readErrorPage(status: string, file: string): Read<string> {
  if (!/^(?:[45]\d\d|[45]xx)$/.test(status)) {
    return {
      fault: `${JSON.stringify(status)} is no status of an error`,
      hint: 'write one such as 502, or 4xx or 5xx for all others of a kind',
    }
  }
  return readFile(file)
}

function readCookie(value: string): Read<string> {
  if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+=[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{8,}$/.test(value))
    return { value }
  return { fault: 'expected "NAME=VALUE" with a value of at least 8 characters, hard to guess' }
}

function readCanaryMark(value: string): Read<string> {
  if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+=[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/.test(value))
    return { value }
  return { fault: 'expected "NAME=VALUE"' }
}
