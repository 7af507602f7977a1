import * as v from 'valibot'
import { parseDuration, parsePercent, parseRate, parseSize } from '../base/units.ts'
import { valueHabit } from './habits.ts'
import { didYouMean } from './nearest.ts'
import { nearDuration, nearRate, nearSize } from './unit-words.ts'

/** A default as one writes it in TOML. */
export type Written = string | number | boolean | readonly Written[]
export type JsonSchema = { readonly [key: string]: unknown }

/**
 * One option: a row of a section. Everything that is known about it is known here, and the reference is
 * printed from it.
 */
export interface Option<T> {
  /**
   * Reads the written value; its messages start with `expected` where the value itself should be named behind
   * them.
   */
  readonly schema: v.GenericSchema<unknown, T>
  /** One word for the reference: duration, size, count, … */
  readonly type: string
  readonly doc: string
  readonly fallback: Written | undefined
  readonly required: boolean
  readonly bounds: string | undefined
  /** Keys of a table, or of the tables in a list. */
  readonly fields: Section | undefined
  readonly json: JsonSchema
}

/** Rows by their name in the model; `tomlKey` says how the key is written. */
export type Section = { readonly [name: string]: Option<unknown> }
export type Model<S extends Section> = { readonly [K in keyof S]: S[K] extends Option<infer T> ? T : never }

interface Range {
  readonly min: string
  readonly max: string
}

type Reading<T> = { readonly value: T } | { readonly fault: string; readonly hint?: string | undefined }

/** The key of a row: the unit at the end of its name is left to the value (`maxBodyBytes` -> `max_body`). */
export function tomlKey(name: string): string {
  return name.replace(/(?:Ms|Bytes|Share)$/, '').replace(/[A-Z]/g, upper => `_${upper.toLowerCase()}`)
}

/**
 * Reads a whole section; defaults are filled in, unknown keys are the caller's to find (valibot would stop at
 * the first).
 */
export function sectionSchema<S extends Section>(section: S): v.GenericSchema<unknown, Model<S>> {
  const entries: Record<string, v.GenericSchema<unknown, unknown>> = {}
  for (const [name, option] of Object.entries(section)) {
    // Without a default, the schema itself says what absence means.
    entries[tomlKey(name)] =
      option.fallback === undefined ? option.schema : v.optional(option.schema, option.fallback)
  }
  const named = v.transform((values: Record<string, unknown>) => {
    return Object.fromEntries(Object.keys(section).map(name => [name, values[tomlKey(name)]])) as Model<S>
  })
  // v.object takes lists and dates for objects.
  return v.pipe(v.custom(isTable, tableFault(section)), v.object(entries, MISSING), named)
}

/** What a section says to anything else: its keys, so that the reader need not look them up. */
function tableFault(section: Section): string {
  return issueText({
    fault: 'expected a table',
    hint: `write { KEY = value }; its keys are ${Object.keys(section).map(tomlKey).join(', ')}`,
  })
}

/** The JSON Schema of a section, for editors; the deep checks stay ours. */
export function sectionJson(section: Section): JsonSchema {
  const rows = Object.entries(section)
  return {
    type: 'object',
    additionalProperties: false,
    required: rows.filter(([, option]) => option.required).map(([name]) => tomlKey(name)),
    properties: Object.fromEntries(
      rows.map(([name, { json, doc, fallback }]) => [
        tomlKey(name),
        { ...json, description: doc, ...(fallback === undefined ? {} : { default: fallback }) },
      ]),
    ),
  }
}

/** A time span. */
export function duration(doc: string, fallback: string | undefined, range: Range): Option<number> {
  const read = (input: unknown) => unitValue(input, DURATION_UNIT, range)
  return option(doc, read, {
    type: 'duration',
    fallback,
    bounds: `${range.min} to ${range.max}`,
    json: { type: 'string' },
  })
}

/** A number of bytes. `off`: what `0` and `"off"` mean here. */
export function size(
  doc: string,
  fallback: string,
  range: Range & { readonly off?: number },
): Option<number> {
  const read = (input: unknown) => offValue(input, range.off) ?? unitValue(input, SIZE_UNIT, range)
  return option(doc, read, {
    type: 'size',
    fallback,
    bounds: rangeText(range),
    json: { type: ['string', 'integer'] },
  })
}

/** Bytes a second; 0 for `0` and `"off"`. */
export function rate(doc: string, fallback: string, range: Range): Option<number> {
  const read = (input: unknown) => offValue(input, 0) ?? unitValue(input, RATE_UNIT, range)
  return option(doc, read, {
    type: 'rate',
    fallback,
    bounds: rangeText({ ...range, off: 0 }),
    json: { type: ['string', 'integer'] },
  })
}

/** A share of the whole, 0 to 1 in the model. */
export function percent(doc: string, fallback: string): Option<number> {
  const read = (input: unknown): Reading<number> => {
    const off = offValue(input, 0)
    if (off !== undefined) return off
    const value = typeof input === 'string' ? parsePercent(input) : undefined
    if (value === undefined) return { fault: 'expected a percentage such as "20%"' }
    return value <= 1 ? { value } : { fault: 'expected at most "100%"' }
  }
  return option(doc, read, {
    type: 'percentage',
    fallback,
    bounds: '0% to 100%',
    json: { type: ['string', 'integer'] },
  })
}

interface Bounds {
  readonly min: number
  readonly max: number
  /** What `0` and `"off"` mean here, if not the number itself. */
  readonly off?: number
}

/** A whole number. Digits in a string count as well, so that `"${WORKERS}"` works. */
export function count(doc: string, fallback: number | undefined, bounds: Bounds): Option<number> {
  const read = (input: unknown) => offValue(input, bounds.off) ?? wholeNumber(input, bounds)
  const json = { type: 'integer', minimum: bounds.off === undefined ? bounds.min : 0, maximum: bounds.max }
  return option(doc, read, { type: 'count', fallback, bounds: rangeText(bounds), json })
}

/** true or false; in quotes too, so that `"${SWITCH}"` works. */
export function flag(doc: string, fallback: boolean): Option<boolean> {
  const read = (input: unknown): Reading<boolean> => {
    if (input === true || input === 'true') return { value: true }
    if (input === false || input === 'false') return { value: false }
    return { fault: 'expected true or false' }
  }
  return option(doc, read, { type: 'switch', fallback, json: { type: ['boolean', 'string'] } })
}

/** One word out of a list. */
export function choice<const W extends string>(
  doc: string,
  words: readonly W[],
  fallback: W | undefined,
): Option<W> {
  const read = (input: unknown): Reading<W> => {
    const word = words.find(candidate => candidate === input)
    if (word !== undefined) return { value: word }
    const hint =
      typeof input === 'string' ? (valueHabit(input, words) ?? didYouMean(input, words)) : undefined
    return { fault: `expected one of ${words.map(w => `"${w}"`).join(', ')}`, hint }
  }
  return option(doc, read, { type: words.map(w => `"${w}"`).join(' \\| '), fallback, json: { enum: words } })
}

/** A string that `parse` turns into a value or a fault. */
export function text<T>(
  doc: string,
  type: string,
  parse: (text: string) => Reading<T>,
  fallback?: string,
): Option<T> {
  const read = (input: unknown): Reading<T> => {
    return typeof input === 'string' ? parse(input) : { fault: `expected ${article(type)} in quotes` }
  }
  return option(doc, read, { type, fallback, json: { type: 'string' } })
}

/** The word `word` for undefined, or what `other` reads. */
export function wordOr<T>(word: string, other: Option<T>, fallback = word): Option<T | undefined> {
  const schema = v.lazy((input): v.GenericSchema<unknown, T | undefined> => {
    return input === word
      ? v.pipe(
          v.unknown(),
          v.transform(() => undefined),
        )
      : other.schema
  })
  return {
    ...other,
    schema,
    type: `"${word}" \\| ${other.type}`,
    fallback,
    json: { anyOf: [{ const: word }, other.json] },
  }
}

/** A list whose entries are all read by `item`. */
export function list<T>(item: Option<T>, fallback: readonly Written[] | undefined): Option<readonly T[]> {
  const schema = v.array(item.schema, 'expected a list such as ["…"]')
  const json = { type: 'array', items: item.json }
  return { ...item, schema, type: `list of ${item.type}`, fallback, required: false, json }
}

/** A table of options of its own; its options' defaults count even if it is not written. */
export function table<S extends Section>(doc: string, fields: S): Option<Model<S>> {
  const schema = v.optional(sectionSchema(fields), {})
  return { ...blank(doc, schema), type: 'table', fields, json: sectionJson(fields) }
}

/** A table that switches something on: undefined if it is not written. */
export function optionalTable<S extends Section>(doc: string, fields: S): Option<Model<S> | undefined> {
  const schema = v.optional(sectionSchema(fields))
  return { ...blank(doc, schema), type: 'table', fields, json: sectionJson(fields) }
}

/** Free keys, all values read by `parse`. */
export function dictionary(
  doc: string,
  parse: (key: string, text: string) => Reading<string>,
): Option<Readonly<Record<string, string>>> {
  const schema = v.pipe(
    v.optional(v.unknown(), {}),
    v.rawTransform<unknown, Readonly<Record<string, string>>>(({ dataset, addIssue }) => {
      if (!isTable(dataset.value)) addIssue({ message: 'expected a table such as { NAME = "value" }' })
      const pairs = isTable(dataset.value) ? Object.entries(dataset.value) : []
      return Object.fromEntries(
        pairs.map(([key, input]) => {
          const reading =
            typeof input === 'string' ? parse(key, input) : { fault: 'expected a string in quotes' }
          if ('value' in reading) return [key, reading.value]
          addIssue({ message: issueText(reading), path: [issueStep(dataset.value as object, key, input)] })
          return [key, '']
        }),
      )
    }),
  )
  return {
    ...blank(doc, schema),
    type: 'table of strings',
    json: { type: 'object', additionalProperties: { type: 'string' } },
  }
}

/** Either a text that `short` reads, or a table. */
export function shortOrTable<T, S extends Section>(
  short: Option<T>,
  fields: S,
  expand: (value: T) => Model<S>,
): Option<Model<S>> {
  const schema = v.lazy((input): v.GenericSchema<unknown, Model<S>> => {
    return isTable(input) ? sectionSchema(fields) : v.pipe(short.schema, v.transform(expand))
  })
  const json = { anyOf: [short.json, sectionJson(fields)] }
  return { ...short, schema, fields, json }
}

/** The same option, but it must be written. */
export function required<T>(of: Option<T>): Option<T> {
  return { ...of, required: true, fallback: undefined }
}

/** The same option; undefined where it is not written. */
export function optional<T>(of: Option<T>): Option<T | undefined> {
  return { ...of, schema: v.optional(of.schema), fallback: undefined }
}

/** What an issue's message holds: the fault, and what to do about it. */
export function splitIssue(message: string): { readonly fault: string; readonly hint: string | undefined } {
  const [fault = '', hint] = message.split('\n')
  return { fault, hint }
}

/** What a required row says when it is not there. */
export const MISSING = 'is missing'

function option<T>(
  doc: string,
  read: (input: unknown) => Reading<T>,
  facts: Pick<Option<T>, 'type' | 'json'> & {
    readonly fallback?: Written | undefined
    readonly bounds?: string
  },
): Option<T> {
  const schema = v.pipe(
    v.unknown(),
    v.rawTransform<unknown, T>(({ dataset, addIssue, NEVER }) => {
      const reading = read(dataset.value)
      if ('value' in reading) return reading.value
      addIssue({ message: issueText(reading) })
      return NEVER
    }),
  )
  return { ...blank(doc, schema), ...facts }
}

function blank<T>(doc: string, schema: v.GenericSchema<unknown, T>): Omit<Option<T>, 'type' | 'json'> {
  return { doc, schema, fallback: undefined, required: false, bounds: undefined, fields: undefined }
}

// An issue carries one text; a hint travels behind a line feed (see splitIssue).
function issueText({ fault, hint }: { readonly fault: string; readonly hint?: string | undefined }): string {
  return hint === undefined ? fault : `${fault}\n${hint}`
}

function issueStep(input: object, key: string, value: unknown): v.ObjectPathItem {
  return { type: 'object', origin: 'value', input: input as Record<string, unknown>, key, value }
}

function isTable(input: unknown): input is Readonly<Record<string, unknown>> {
  return typeof input === 'object' && input !== null && !Array.isArray(input) && !(input instanceof Date)
}

function offValue(input: unknown, off: number | undefined): Reading<number> | undefined {
  return off !== undefined && (input === 'off' || input === 0 || input === '0') ? { value: off } : undefined
}

/** How a number with a unit is read, and what was most likely meant by a text that is none. */
interface UnitKind {
  readonly what: string
  readonly bare: string
  parse(text: string): number | undefined
  near(text: string): string | undefined
}

const DURATION_UNIT: UnitKind = {
  what: 'a duration such as "5s"',
  bare: 's',
  parse: parseDuration,
  near: nearDuration,
}
const SIZE_UNIT: UnitKind = {
  what: 'a size such as "10MiB"',
  bare: 'MiB',
  parse: parseSize,
  near: nearSize,
}
const RATE_UNIT: UnitKind = {
  what: 'a rate such as "240B/s"',
  bare: 'B/s',
  parse: parseRate,
  near: nearRate,
}

function unitValue(input: unknown, kind: UnitKind, { min, max }: Range): Reading<number> {
  const { what, parse } = kind
  const value = typeof input === 'string' ? parse(input) : undefined
  if (value === undefined) return { fault: `expected ${what}`, hint: unitHint(input, kind) }
  if (value < (parse(min) as number)) return { fault: `expected at least "${min}"` }
  if (value > (parse(max) as number)) return { fault: `expected at most "${max}"` }
  return { value }
}

/** A bare number has no unit: 60 may be seconds or milliseconds. */
function unitHint(input: unknown, { bare, near }: UnitKind): string | undefined {
  if (/^\d+$/.test(String(input))) return `add a unit, such as "${input}${bare}"`
  const meant = typeof input === 'string' ? near(input) : undefined
  return meant === undefined ? undefined : `write "${meant}"`
}

function wholeNumber(input: unknown, bounds: Bounds): Reading<number> {
  const value = typeof input === 'string' && /^\d{1,15}$/.test(input) ? Number(input) : input
  const whole = typeof value === 'number' && Number.isInteger(value)
  if (whole && value >= bounds.min && value <= bounds.max) return { value }
  return { fault: `expected a whole number from ${rangeText(bounds)}` }
}

function rangeText(range: Bounds | (Range & { readonly off?: number })): string {
  return `${range.min} to ${range.max}${range.off === undefined ? '' : ', or "off"'}`
}

function article(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`
}
