import type { RunConfig } from '../../config/model.ts'

/** Of Causeway's own making, or between Node and whoever has started it. */
const OURS = [
  'CAUSEWAY_CONFIG',
  'NODE_COMPILE_CACHE',
  'NODE_CHANNEL_FD',
  'NODE_CHANNEL_SERIALIZATION_MODE',
  'NODE_UNIQUE_ID',
] as const

/**
 * The environment without what is not the worker's: Causeway's own variables, and those that only the rest of
 * the configuration names.
 */
export function inheritedBy(
  { withheld }: Pick<RunConfig, 'withheld'>,
  env: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const inherited = { ...env }
  for (const name of [...OURS, ...withheld]) delete inherited[name]
  return inherited
}
