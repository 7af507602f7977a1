import type { ListenerConfig } from './model.ts'
import type { TunnelConfig } from './tls-model.ts'

/** Does this tunnel take connections of this listener? */
export function hasTunnel(
  { name, tls }: Pick<ListenerConfig, 'name' | 'tls'>,
  { listeners }: Pick<TunnelConfig, 'listeners'>,
): boolean {
  return tls !== undefined && (listeners.length === 0 || listeners.includes(name))
}
