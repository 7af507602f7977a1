import { tmpdir } from 'node:os'
import { isCidr } from '../http/cidr.ts'
import { parseListenAddress } from './address.ts'
import type { LogConfig } from './model.ts'
import { choice, count, duration, list, optional, percent, size, table, text, wordOr } from './option.ts'

/** [server.spool] */
export const spoolSection = {
  folder: text(
    "Folder for body files, which have no name in it and disappear with the process. Default: the system's temporary directory.",
    'path',
    readFolder,
    '',
  ),
  memoryBytes: size('Memory for one body; the rest goes to a file.', '64KiB', { min: '1KiB', max: '64MiB' }),
  memoryTotalBytes: size(
    'Memory for all bodies together. When it is nearly exhausted, the oldest bodies move to files and reading pauses; if the files are full as well, uploads wait up to 10 s for space. The responses whose clients have been stalled longest are aborted first.',
    '64MiB',
    {
      min: '1MiB',
      max: '64GiB',
    },
  ),
  diskBytes: size('Space in files for all bodies together.', '4GiB', { min: '1MiB', max: '100000GiB' }),
}

/** [server.overload] */
export const overloadSection = {
  loopDelayMs: wordOr(
    'off',
    duration(
      'Event loop delay of a data thread at which new requests with `priority = "low"` are refused. Normal priority is refused at twice this delay, high priority never.',
      '500ms',
      {
        min: '20ms',
        max: '1m',
      },
    ),
    '500ms',
  ),
  memoryShare: percent(
    'Share of the memory limit of the process at which new requests are refused, whatever their priority. Memory that only the allocator retains causes refusals for a few seconds at most.',
    '95%',
  ),
}

/** [server] */
export const serverSection = {
  workers: wordOr(
    'auto',
    count('Number of data threads. `"auto"`: as many as the CPU quota allows.', undefined, {
      min: 1,
      max: 256,
    }),
  ),
  drainMs: duration('Maximum time that a shutdown waits for requests in flight.', '30s', {
    min: '0s',
    max: '1d',
  }),
  spool: table('Buffers for request and response bodies of slow clients.', spoolSection),
  resolver: list(
    text(
      'DNS server for endpoint names, such as `"10.0.0.2"` or `"127.0.0.1:5353"`. Default: the resolver of the system, including /etc/hosts.',
      'address',
      readNameServer,
    ),
    [],
  ),
  overload: table('Load shedding when the process itself is overloaded.', overloadSection),
}

/** [log] */
export const logSection = {
  level: choice(
    'Minimum severity of log lines.',
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
    'info',
  ),
  access: text(
    'Destination of the access log: `"stdout"`, `"off"`, or the path of a file (relative to the working directory).',
    'path',
    readAccessLog,
    'stdout',
  ),
  format: choice('Format of log lines.', ['json'], 'json'),
}

/** [admin] */
export const adminSection = {
  address: text(
    'Address of the admin listener: metrics, health and status. Any address other than loopback requires a token. A relative socket path is relative to the working directory.',
    'address',
    parseListenAddress,
    '127.0.0.1:9180',
  ),
  token: optional(
    text(
      'Token that the admin listener requires, as `Authorization: Bearer` or as the password in a browser. At least 16 characters unless the address is loopback. Keep it in a file and read it with `file:` (see above).',
      'string',
      readToken,
    ),
  ),
}

function readFolder(value: string): { readonly value: string } | { readonly fault: string } {
  return value.includes('\0')
    ? { fault: 'expected the path of a folder' }
    : { value: value === '' ? tmpdir() : value }
}

function readNameServer(value: string): { readonly value: string } | { readonly fault: string } {
  const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(value) ?? []
  const host = v6 ?? v4 ?? value
  if (isCidr(host) && !host.includes('/') && Number(port ?? 53) > 0 && Number(port ?? 53) < 65536)
    return { value: host.includes(':') && v6 === undefined ? `[${host}]` : value }
  return { fault: 'expected the address of a name server such as "10.0.0.2" or "127.0.0.1:5353"' }
}

function readAccessLog(value: string): { readonly value: LogConfig['access'] } | { readonly fault: string } {
  if (value === '') return { fault: 'expected "stdout", "off" or the path of a file' }
  return { value: value === 'off' || value === 'stdout' ? { kind: value } : { kind: 'file', path: value } }
}

// An empty token would let everybody in.
function readToken(
  value: string,
): { readonly value: string } | { readonly fault: string; readonly hint: string } {
  if (/^[\x21-\x7e]+$/.test(value)) return { value }
  return {
    fault: 'the token must be visible ASCII characters, at least one',
    hint: 'generate one with openssl rand -hex 32',
  }
}
