import { AsyncLocalStorage } from 'node:async_hooks'
import type { Caller } from './caller.ts'

/** acme-client, which signs requests and makes certificate requests. */
export type Library = typeof import('acme-client')

type Adapter = Extract<Library['axios']['defaults']['adapter'], (...args: never[]) => unknown>

/** Whose calls those of the library are: it has one way out for all its clients. */
const callers = new AsyncLocalStorage<Caller>()
let loading: Promise<Library> | undefined

/** Loads it at the first call, and never where no listener asks for certificates. */
export function loadLibrary(): Promise<Library> {
  loading ??= load()
  return loading
}

/** Runs `work`; what the library asks for meanwhile is asked by `caller`. */
export function callingBy<T>(caller: Caller, work: () => Promise<T>): Promise<T> {
  return callers.run(caller, work)
}

/**
 * Calls leave through our own caller: the library's would sleep and repeat them on its own, for as long as a server says, with no end from outside,
 * and would keep of an error its words alone.
 */
async function load(): Promise<Library> {
  const library = await import('acme-client')
  library.axios.defaults.adapter = adapter
  return library
}

const adapter: Adapter = async config => {
  const caller = callers.getStore()
  if (caller === undefined) throw new Error('a call of the ACME library outside of a session')
  const { method = 'get', url = '', headers, data } = config
  const {
    status,
    headers: fields,
    text,
  } = await caller.call({
    method: method.toUpperCase(),
    url,
    headers: { Accept: '*/*', 'Content-Type': String(headers['Content-Type'] ?? 'application/jose+json') },
    body: typeof data === 'string' ? data : undefined,
  })
  const flat = Object.entries(fields).map(([name, value]) => [name, String(value)])
  return { data: text, status, statusText: '', headers: Object.fromEntries(flat), config }
}
