import { fieldIdOf } from './field-ids.ts'
import { FieldList, LOOSE } from './field-list.ts'

/** Value of the first field of this name, in any case; '' without one. */
export function fieldNamed(fields: FieldList, name: string): string {
  const wanted = name.toLowerCase()
  for (let i = 0; i < fields.count; i += 1) {
    if (fields.name(i).toLowerCase() === wanted) return fields.value(i)
  }
  return ''
}

/** The fields and one more behind them, well-formed as for `FieldList.of`. The list itself stays as it is. */
export function withField(fields: FieldList, name: string, value: string): FieldList {
  const nameStart = fields.text.length
  const valueStart = nameStart + name.length + 2
  const valueEnd = valueStart + value.length
  // Loose, because the text of a whole head may end with an empty line, which would stand between it and its
  // neighbour.
  const marks = [fieldIdOf(name) | LOOSE, nameStart, nameStart + name.length, valueStart, valueEnd]
  return new FieldList(`${fields.text}${name}: ${value}\r\n`, [...fields.marks, ...marks])
}
