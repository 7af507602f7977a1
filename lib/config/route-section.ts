import { domainToASCII } from 'node:url'
import { isCidr } from '../http/cidr.ts'
import { list, optional, optionalTable, required, text } from './option.ts'

type Read<T> = { readonly value: T } | { readonly fault: string; readonly hint?: string }

/** [routes.<name>.static] */
export const staticSection = {
  root: required(
    text(
      'Folder of the files; a relative one starts at the folder that Causeway is started in.',
      'path',
      readRoot,
    ),
  ),
  index: list(text("Files tried, in turn, for a folder's path; `[]`: none.", 'file name', readFileName), [
    'index.html',
  ]),
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
    'Prefix of the path. The most specific host wins, then the longest path; order never matters.',
    'path',
    readPath,
    '/',
  ),
  upstream: optional(text('Name of the upstream that answers.', 'name', value => ({ value }))),
  static: optionalTable('Answers with files.', staticSection),
}

function readRouteHost(value: string): Read<string> {
  const host = value.toLowerCase().replace(/\.$/, '')
  if (/^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/.test(host))
    return { value: host }
  if (host.startsWith('[') && host.endsWith(']') && isCidr(host.slice(1, -1))) return { value: host }
  if (/:\d+$/.test(host)) {
    return {
      fault: 'a host of a route has no port',
      hint: `write ${JSON.stringify(host.replace(/:\d+$/, ''))}; ports belong to listeners`,
    }
  }
  if (host === '*') return { fault: '"*" is no host', hint: 'leave hosts out: then any host is meant' }
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
