import { resolve } from 'node:path'
import { type EndpointAddress, isFixed, parseEndpointAddress } from './address.ts'
import type { EndpointConfig, EndpointProtocol, NamedEndpoints } from './model.ts'

/** Endpoints with a fixed address, and names that stand for more of them. */
export interface EndpointList {
  readonly endpoints: readonly EndpointConfig[]
  readonly names: readonly NamedEndpoints[]
}

/** What one line, or one word of a command, says. */
export interface WrittenEndpoint {
  readonly name: string
  readonly address: EndpointAddress
  readonly protocol: EndpointProtocol
  readonly weight: number
  readonly backup: boolean
}

/** A file of endpoints that cannot be taken. */
export interface BadLine {
  /** From 1. */
  readonly line: number
  readonly fault: string
}

/** What a file of endpoints turned out to be. */
export type EndpointsReading = { readonly value: EndpointList } | BadLine

/** Larger files are no lists of endpoints. */
export const MAX_FILE_BYTES = 1024 * 1024
const MAX_WEIGHT = 1000

/**
 * A file of endpoints: one a line, `ADDRESS [weight=N] [backup]`, `#` begins a comment. Its first mistake, if
 * it has one.
 */
export function parseEndpointsFile(text: string): EndpointsReading {
  const written: WrittenEndpoint[] = []
  for (const [i, line] of text.split('\n').entries()) {
    const words = line.replace(/#.*/, '').trim().split(/\s+/)
    if (words[0] === '') continue
    const reading = parseWords(words)
    if ('fault' in reading) return { line: i + 1, fault: reading.fault }
    written.push(reading.value)
  }
  return { value: endpointList(written) }
}

/** An endpoint as a command names it: its address, nothing more. */
export function parseWrittenEndpoint(
  text: string,
): { readonly value: WrittenEndpoint } | { readonly fault: string } {
  return parseWords([text])
}

/** Sorts what has an address from what has only a name. */
export function endpointList(written: readonly WrittenEndpoint[]): EndpointList {
  return { endpoints: written.flatMap(fixedEndpoint), names: written.flatMap(namedEndpoints) }
}

function parseWords([name = '', ...options]: readonly string[]):
  | { readonly value: WrittenEndpoint }
  | { readonly fault: string } {
  const reading = parseEndpointAddress(name)
  if ('fault' in reading) return { fault: `${JSON.stringify(name)}: ${reading.fault}` }
  let weight = 1
  let backup = false
  for (const option of options) {
    const [, digits] = /^weight=(\d{1,4})$/.exec(option) ?? []
    if (option === 'backup') backup = true
    else if (digits === undefined)
      return { fault: `${JSON.stringify(option)}: expected "weight=2" or "backup" after the address` }
    else weight = Number(digits)
  }
  if (weight < 1 || weight > MAX_WEIGHT) return { fault: `the weight must be from 1 to ${MAX_WEIGHT}` }
  return { value: { name, ...reading.value, weight, backup } }
}

function fixedEndpoint({ name, address, protocol, weight, backup }: WrittenEndpoint): EndpointConfig[] {
  if (address.kind === 'srv' || !isFixed(address)) return []
  const absolute = address.kind === 'unix' ? { ...address, path: resolve(address.path) } : address
  return [{ name, address: absolute, protocol, weight, backup }]
}

function namedEndpoints({ name, address, protocol, weight, backup }: WrittenEndpoint): NamedEndpoints[] {
  if (address.kind === 'srv') return [{ name, lookup: address, protocol, weight, backup }]
  if (address.kind === 'unix' || isFixed(address)) return []
  const { host, port } = address
  return [{ name, lookup: { kind: 'host', host, port }, protocol, weight, backup }]
}
