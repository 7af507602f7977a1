/** One configuration file as read; `name` is how it is called in messages. */
export interface Source {
  readonly name: string
  readonly text: string
}

/** A spot in a file; without an offset, the file as a whole. */
export interface Place {
  readonly source: Source
  readonly offset: number | undefined
}

/** Line and column, both from 1; a column is a character (code point), as editors count. */
export interface LineColumn {
  readonly line: number
  readonly column: number
}

export function lineColumnOf(source: Source, offset: number): LineColumn {
  const before = source.text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  return { line: before.split('\n').length, column: [...before.slice(lineStart)].length + 1 }
}

/** The line that holds the offset, without its end. */
export function lineAt(source: Source, offset: number): string {
  const start = source.text.lastIndexOf('\n', offset - 1) + 1
  const end = source.text.indexOf('\n', offset)
  return source.text.slice(start, end < 0 ? undefined : end).replace(/\r$/, '')
}

/** `conf.d/app.toml:14:10` */
export function placeText(place: Place): string {
  if (place.offset === undefined) return place.source.name
  const { line, column } = lineColumnOf(place.source, place.offset)
  return `${place.source.name}:${line}:${column}`
}
