import { list, required, text } from './option.ts'
import { readRouteHost } from './route-section.ts'

/** [tunnels.<name>] */
export const tunnelSection = {
  hosts: list(
    text(
      'Server names that TLS clients request (SNI): `"db.example.com"`, or `"*.example.com"` for all its subdomains. Empty: any name, or none.',
      'host',
      readRouteHost,
    ),
    [],
  ),
  listeners: list(
    text(
      'Listeners that the tunnel serves; they must have `tls`. Empty: all listeners with `tls`.',
      'name',
      value => ({
        value,
      }),
    ),
    [],
  ),
  upstream: required(text('Upstream that receives the bytes unchanged.', 'name', value => ({ value }))),
}
