import { type Option, type Section, tomlKey, type Written } from './option.ts'
import { NAMED_SECTIONS, SINGLE_SECTIONS } from './schema.ts'

const INTRODUCTION = `# Configuration reference
Generated from the sections in lib/config; do not edit by hand
(\`node lib/config/reference.ts > conf.d/REFERENCE.md\`).

A configuration is a single TOML file, or all \`*.toml\` files of a folder. Names are unique across all files; unknown
keys are errors.
* **Durations**: \`"500ms"\`, \`"5s"\`, \`"1m30s"\`, \`"2h"\`, \`"1d"\`. **Sizes**: \`"64KiB"\`, \`"10MiB"\`, \`"1GB"\` (a bare \`k\`,
  \`m\` or \`g\` is binary). **Rates**: \`"240B/s"\`.
* Where a range ends with \`or "off"\`, \`0\` and \`"off"\` disable the limit.
* In string values, \`\${NAME}\` expands to an environment variable, \`\${NAME:-default}\` falls back to the default if the
  variable is unset or empty, \`\${file:/run/secrets/x}\` expands to the contents of a file without its trailing newline,
  and \`$$\` is a literal \`$\`. A count may be written as a string, so that a variable can supply it.
`

/** The complete text of conf.d/REFERENCE.md. */
export function reference(): string {
  let text = INTRODUCTION
  for (const [name, section] of Object.entries(SINGLE_SECTIONS)) text += sectionText(`[${name}]`, section)
  for (const [name, section] of Object.entries(NAMED_SECTIONS)) text += sectionText(`[${name}.NAME]`, section)
  return text
}

function sectionText(header: string, section: Section): string {
  let text = `\n## \`${header}\`\n| key | type | default | range | description |\n| --- | --- | --- | --- | --- |\n`
  const rows = Object.entries(section).filter(([, option]) => option.type !== 'later')
  for (const [name, option] of rows) text += rowText(tomlKey(name), option)
  for (const [name, { fields, type }] of rows) {
    if (fields === undefined) continue
    const inner = `${header.slice(1, -1)}.${tomlKey(name)}`
    text += sectionText(type === 'table' ? `[${inner}]` : `[[${inner}]]`, fields)
  }
  return text
}

function rowText(key: string, option: Option<unknown>): string {
  return `| \`${key}\` | ${option.type} | ${fallbackText(option)} | ${option.bounds ?? ''} | ${option.doc} |\n`
}

function fallbackText({ required, fallback }: Option<unknown>): string {
  if (required) return 'required'
  return fallback === undefined ? '' : `\`${written(fallback)}\``
}

function written(value: Written): string {
  return typeof value === 'object' ? `[${value.map(written).join(', ')}]` : JSON.stringify(value)
}

if (import.meta.main) process.stdout.write(reference())
