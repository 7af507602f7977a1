import { type Option, type Section, tomlKey, type Written } from './option.ts'
import { NAMED_SECTIONS, SINGLE_SECTIONS } from './schema.ts'

const INTRODUCTION = `# Configuration reference
Printed from the rows in lib/config; do not edit by hand (\`node lib/config/reference.ts > conf.d/REFERENCE.md\`).

One configuration is a TOML file, or all \`*.toml\` files of a folder. Names are unique over all files; unknown keys are errors.
* **Durations** are written \`"500ms"\`, \`"5s"\`, \`"1m30s"\`, \`"2h"\`, \`"1d"\`; **sizes** \`"64KiB"\`, \`"10MiB"\`, \`"1GB"\` (\`k\`, \`m\`, \`g\` alone are binary); **rates** \`"240B/s"\`.
* Where a range ends with \`or "off"\`, \`0\` and \`"off"\` switch the limit off.
* Inside string values, \`\${NAME}\` is the environment variable, \`\${NAME:-default}\` has a default for an unset or empty one, \`\${file:/run/secrets/x}\` is a file's text
  without its last line end, and \`$$\` is a plain \`$\`. A count may be written as a string, so that this works there, too.
`

/** conf.d/REFERENCE.md, whole. */
export function reference(): string {
  let text = INTRODUCTION
  for (const [name, section] of Object.entries(SINGLE_SECTIONS)) text += sectionText(`[${name}]`, section)
  for (const [name, section] of Object.entries(NAMED_SECTIONS)) text += sectionText(`[${name}.NAME]`, section)
  return text
}

function sectionText(header: string, section: Section): string {
  let text = `\n## \`${header}\`\n| key | type | default | range | what it is |\n| --- | --- | --- | --- | --- |\n`
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
