import { type JsonSchema, type Section, sectionJson } from './option.ts'
import { NAMED_SECTIONS, SINGLE_SECTIONS } from './schema.ts'

/** The JSON Schema (2020-12) of a configuration file, for editors that complete and check TOML. */
export function jsonSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Causeway configuration',
    type: 'object',
    additionalProperties: false,
    properties: {
      ...mapped(SINGLE_SECTIONS, sectionJson),
      ...mapped(NAMED_SECTIONS, section => ({ type: 'object', additionalProperties: sectionJson(section) })),
    },
  }
}

function mapped(
  sections: Readonly<Record<string, Section>>,
  schema: (section: Section) => JsonSchema,
): JsonSchema {
  return Object.fromEntries(Object.entries(sections).map(([name, section]) => [name, schema(section)]))
}
