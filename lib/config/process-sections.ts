import { parseListenAddress } from './address.ts'
import type { LogConfig } from './model.ts'
import { choice, count, duration, optional, text, wordOr } from './option.ts'

/** [server] */
export const serverSection = {
  workers: wordOr(
    'auto',
    count('Data threads. `"auto"` follows the CPU quota.', undefined, { min: 1, max: 256 }),
  ),
  drainMs: duration('Longest time that a shutdown waits for open requests.', '30s', { min: '0s', max: '1d' }),
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
      'Bearer token that the admin listener asks for. Best kept in a file and read by `file:` (see above).',
      'string',
      readToken,
    ),
  ),
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
