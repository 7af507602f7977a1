import { list, required, text } from './option.ts'
import { readRouteHost } from './route-section.ts'

/** [tunnels.<name>] */
export const tunnelSection = {
  hosts: list(
    text(
      'Names that TLS clients ask for (SNI): `"db.example.com"`, or `"*.example.com"` for every name below. None: any, also no name at all.',
      'host',
      readRouteHost,
    ),
    [],
  ),
  listeners: list(
    text('Names of the listeners, which must have `tls`. None: each that has it.', 'name', value => ({
      value,
    })),
    [],
  ),
  upstream: required(
    text('Name of the upstream that gets the bytes as they come.', 'name', value => ({ value })),
  ),
}
