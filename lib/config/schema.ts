import { listenerSection } from './listener-section.ts'
import type { Section } from './option.ts'
import { adminSection, logSection, serverSection } from './process-sections.ts'
import { routeSection } from './route-section.ts'
import { acmeSection } from './tls-section.ts'
import { tunnelSection } from './tunnel-section.ts'
import { upstreamSection } from './upstream-section.ts'

/** Sections that stand once, by their name in TOML. */
export const SINGLE_SECTIONS = {
  server: serverSection,
  log: logSection,
  admin: adminSection,
  acme: acmeSection,
} as const satisfies Record<string, Section>

/** Sections that stand once a name: `[listeners.web]`. */
export const NAMED_SECTIONS = {
  listeners: listenerSection,
  upstreams: upstreamSection,
  routes: routeSection,
  tunnels: tunnelSection,
} as const satisfies Record<string, Section>

export type SingleName = keyof typeof SINGLE_SECTIONS
export type NamedName = keyof typeof NAMED_SECTIONS

/** What one thing of a section is called in messages. */
export const SINGULAR: Readonly<Record<NamedName, string>> = {
  listeners: 'listener',
  upstreams: 'upstream',
  routes: 'route',
  tunnels: 'tunnel',
}

/** All words of the top level, in the order that a person reads them. */
export const TOP_LEVEL: readonly string[] = [...Object.keys(SINGLE_SECTIONS), ...Object.keys(NAMED_SECTIONS)]
