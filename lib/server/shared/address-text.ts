import type { Address } from '../../config/model.ts'

/** An address as the configuration writes it: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/app.sock`. */
export function addressText(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** Where a person's browser or client finds it: an address of every interface becomes one of this machine. */
export function addressUrl(address: Address): string {
  if (address.kind === 'unix') return addressText(address)
  const host = address.host === '0.0.0.0' ? '127.0.0.1' : address.host === '::' ? '::1' : address.host
  return `http://${addressText({ ...address, host })}`
}
