import { tmpdir } from 'node:os'
import { isCidr } from '../http/cidr.ts'
import { parseListenAddress } from './address.ts'
import type { LogConfig } from './model.ts'
import { choice, count, duration, list, optional, percent, size, table, text, wordOr } from './option.ts'

/** [server.spool] */
export const spoolSection = {
  folder: text(
    'Folder of the files; they have no name there, and are gone with the process.',
    'path',
    readFolder,
    '',
  ),
  memoryBytes: size('Bytes of one body that stay in memory.', '64KiB', { min: '1KiB', max: '64MiB' }),
  memoryTotalBytes: size(
    'Bytes in memory, all bodies together. When it is nearly used up the oldest go to files and reading pauses; with no room there either, uploads wait 10 s for theirs. Of answers, those whose clients have taken nothing for longest end first.',
    '64MiB',
    {
      min: '1MiB',
      max: '64GiB',
    },
  ),
  diskBytes: size('Bytes in files, all bodies together.', '4GiB', { min: '1MiB', max: '100000GiB' }),
}

/** [server.overload] */
export const overloadSection = {
  loopDelayMs: wordOr(
    'off',
    duration(
      'New requests of low priority are refused while a data thread is late by so much, of normal priority at twice that, of high priority never.',
      '500ms',
      {
        min: '20ms',
        max: '1m',
      },
    ),
    '500ms',
  ),
  memoryShare: percent(
    'New requests are refused, whatever their priority, while the process uses so much of its memory limit. Memory that only the allocator keeps refuses nobody for more than a few seconds.',
    '95%',
  ),
}

/** [server] */
export const serverSection = {
  workers: wordOr(
    'auto',
    count('Data threads. `"auto"` follows the CPU quota.', undefined, { min: 1, max: 256 }),
  ),
  drainMs: duration('Longest time that a shutdown waits for open requests.', '30s', { min: '0s', max: '1d' }),
  spool: table('Where bodies wait that a slow client sends or takes.', spoolSection),
  resolver: list(
    text(
      'Name server for endpoints, such as `"10.0.0.2"` or `"127.0.0.1:5353"`. None: the system is asked, /etc/hosts included.',
      'address',
      readNameServer,
    ),
    [],
  ),
  overload: table('When the process itself has too much to do.', overloadSection),
}

/** [log] */
export const logSection = {
  level: choice(
    'Least severity that is written.',
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
    'info',
  ),
  access: text(
    'Where access lines go: `"stdout"`, `"off"`, or the path of a file (relative to the folder that Causeway is started in).',
    'path',
    readAccessLog,
    'stdout',
  ),
  format: choice('Form of every line.', ['json'], 'json'),
}

/** [admin] */
export const adminSection = {
  address: text(
    'Where metrics, health and status are served. Beyond loopback it needs a token. A relative socket path starts at the folder that Causeway is started in.',
    'address',
    parseListenAddress,
    '127.0.0.1:9180',
  ),
  token: optional(
    text(
      'Token that the admin listener asks for, as `Authorization: Bearer` or as the password of a browser; beyond loopback of at least 16 characters. Best kept in a file and read by `file:` (see above).',
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
    hint: 'openssl rand -hex 32 makes a good one',
  }
}
