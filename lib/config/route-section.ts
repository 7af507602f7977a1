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
      'Root folder of the files; a relative path is relative to the working directory. Names that start with a dot are not served, except `/.well-known/` at the root of the site; symbolic links are followed within the folder.',
      'path',
      readRoot,
    ),
  ),
  index: list(
    text(
      'Index files that are tried in order for the path of a folder; `[]`: none.',
      'file name',
      readFileName,
    ),
    ['index.html'],
  ),
  internal: flag(
    'Serve the files only for app responses with X-Accel-Redirect or X-Sendfile; direct requests get 404.',
    false,
  ),
  manifest: flag(
    'Read the Django and Vite manifests in the folder: files with a content hash in their name are served with `Cache-Control: public, max-age=31536000, immutable`.',
    true,
  ),
  keepMs: duration(
    'How long files of the previous manifest remain available after a new manifest appears.',
    '1h',
    {
      min: '0s',
      max: '30d',
    },
  ),
  compress: flag(
    'Compress files that have no precompressed `.br`, `.zst` or `.gz` variant next to them.',
    true,
  ),
  cacheControl: optional(
    text(
      'Cache-Control of files without a content hash in their name, such as `"max-age=300"`.',
      'field value',
      readFieldValue,
    ),
  ),
}

/** [routes.<name>.maintenance] */
export const maintenanceSection = {
  enabled: flag('Respond with 503 to all requests of the route.', true),
  page: optional(text('File with the page to send.', 'path', readFile)),
  retryAfterMs: duration('Value of Retry-After: when clients may try again.', '5m', {
    min: '1s',
    max: '30d',
  }),
  bypass: list(text('Networks of clients that bypass the maintenance page.', 'CIDR', readCidr), []),
  bypassCookie: optional(
    text('`"NAME=VALUE"` of a cookie that bypasses the maintenance page.', 'cookie', readCookie),
  ),
}

/** [routes.<name>.canary] */
export const canarySection = {
  upstream: required(text('Name of the canary upstream.', 'name', value => ({ value }))),
  share: percent(
    'Share of the requests for the canary. Clients are assigned by address, so each client stays on its side.',
    '5%',
  ),
  header: optional(
    text('`"NAME=VALUE"` of a header field: all requests with it go to the canary.', 'field', readCanaryMark),
  ),
  cookie: optional(
    text('`"NAME=VALUE"` of a cookie: all requests with it go to the canary.', 'cookie', readCanaryMark),
  ),
}

/** [routes.<name>.mirror] */
export const mirrorSection = {
  upstream: required(
    text('Name of the upstream that receives the copies; its responses are discarded.', 'name', value => ({
      value,
    })),
  ),
  share: percent('Share of the requests that are copied.', '100%'),
}

/** [routes.<name>] */
export const routeSection = {
  hosts: list(
    text(
      'Host names without port: `"example.com"`, or `"*.example.com"` for all its subdomains. Empty: any host.',
      'host',
      readRouteHost,
    ),
    [],
  ),
  path: text(
    'Path prefix. The most specific host wins, then the longest path; the order of routes is irrelevant. A request with an ambiguous path, which servers interpret in different ways, gets 400 unless all interpretations lead to the same route.',
    'path',
    readPath,
    '/',
  ),
  upstream: optional(text('Name of the upstream that serves the route.', 'name', value => ({ value }))),
  priority: choice('Priority among requests that wait for a slot.', ['high', 'normal', 'low'], 'normal'),
  canary: optionalTable('Canary release: sends a share of the requests to another upstream.', canarySection),
  mirror: optionalTable('Traffic mirroring: sends copies of requests to another upstream.', mirrorSection),
  static: optionalTable('Serves static files.', staticSection),
  stripPrefix: text(
    'Prefix that is removed from the path before the request reaches the app, such as `"/app"`.',
    'path',
    readPrefix,
    '',
  ),
  scriptName: text(
    'Mount point of the app, such as `"/app"`: sent as SCRIPT_NAME to uwsgi and gunicorn, and as X-Forwarded-Prefix to all.',
    'path',
    readPrefix,
    '',
  ),
  rewriteAnswers: flag(
    "Prepend `strip_prefix` to the paths in the app's Location and Set-Cookie fields.",
    false,
  ),
  redirectHttps: optional(
    flag(
      'Redirect plain http requests to https. Default: only for hosts that have a certificate from `tls = "auto"`, and never for the health path of the upstream. ACME challenges are never redirected.',
      false,
    ),
  ),
  hsts: optional(
    text(
      'Strict-Transport-Security for https responses that have none, such as `"max-age=31536000"`.',
      'field value',
      readHsts,
    ),
  ),
  errorPages: dictionary(
    'Files for the error responses of Causeway itself, by status: `{ 502 = "502.html", 5xx = "error.html" }`.',
    readErrorPage,
  ),
  maintenance: optionalTable('Maintenance mode of the route.', maintenanceSection),
}

export function readRouteHost(value: string): Read<string> {
  const host = value.toLowerCase().replace(/\.$/, '')
  if (host === '*' || host === '_')
    return { fault: `"${host}" is not a valid host`, hint: 'omit hosts to match any host' }
  if (isHostPattern(host))
    return {
      fault: NO_PATTERNS,
      hint: 'list each host, or write "*.example.com" for all subdomains of example.com',
    }
  if (host.startsWith('.') && host.length > 1)
    return {
      fault: 'a host does not start with a dot',
      hint: `to match both, write "${host.slice(1)}", "*${host}"`,
    }
  if (/^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/.test(host))
    return { value: host }
  const literal = host.startsWith('[') && host.endsWith(']') ? ipv6Text(host.slice(1, -1)) : undefined
  if (literal !== undefined) return { value: `[${literal}]` }
  if (/:\d+$/.test(host)) {
    return {
      fault: 'the host of a route cannot have a port',
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
  if (/[?#]/.test(value)) return { fault: 'a path cannot have a query or a fragment' }
  if (/[\0-\x20\x7f\\]|\/\/|%/.test(value) || /\/\.{1,2}(?:\/|$)/.test(value)) {
    return { fault: 'a path must be normalized and unencoded: no "//", dot segments, "%" or spaces' }
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
    fault: 'expected a Strict-Transport-Security value',
    hint: 'write "max-age=31536000", with "; includeSubDomains" if all subdomains support https',
  }
}

function readErrorPage(status: string, file: string): Read<string> {
  if (!/^(?:[45]\d\d|[45]xx)$/.test(status)) {
    return {
      fault: `${JSON.stringify(status)} is not an error status`,
      hint: 'write a status such as 502, or 4xx or 5xx for all other errors of that class',
    }
  }
  return readFile(file)
}

function readCookie(value: string): Read<string> {
  if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+=[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{8,}$/.test(value))
    return { value }
  return { fault: 'expected "NAME=VALUE" with a hard-to-guess value of at least 8 characters' }
}

function readCanaryMark(value: string): Read<string> {
  if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+=[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/.test(value))
    return { value }
  return { fault: 'expected "NAME=VALUE"' }
}
