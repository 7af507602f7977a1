import type { MountConfig, ServerKind } from '../config/model.ts'
import { FIELD } from '../http/field-ids.ts'
import { DROPPED, FieldList } from '../http/field-list.ts'
import type { RequestHead } from '../http/message.ts'
import { encodePath, encodePlain, plainForm } from '../http/path.ts'

/** An app that sits below a prefix of the site: what it is asked for, what it is told, and what becomes of its links. */
export class Mount {
  /** SCRIPT_NAME of the app's requests; '' for none. */
  readonly scriptName: string
  /** Lines for an app that speaks HTTP. */
  readonly fieldsText: string
  /** As it stands in a target. */
  readonly #prefix: string
  readonly #rewrites: boolean

  constructor({ stripPrefix, scriptName, rewriteAnswers }: MountConfig, server: ServerKind) {
    this.scriptName = scriptName
    this.#prefix = encodePath(stripPrefix)
    this.#rewrites = rewriteAnswers && stripPrefix !== ''
    const told = scriptName === '' ? stripPrefix : scriptName
    // gunicorn takes this field, and only this, for SCRIPT_NAME. Others would fold a name with `_` into something else.
    const forGunicorn = server === 'gunicorn' && scriptName !== '' ? `SCRIPT_NAME: ${scriptName}\r\n` : ''
    this.fieldsText = `X-Forwarded-Prefix: ${told}\r\nX-Script-Name: ${told}\r\n${forGunicorn}`
  }

  /**
   * The target without the prefix, which all readings of the path begin with. One that spells it in another way, or has dot segments or empty
   * ones, is written in its plain form first, so that none of them comes to stand at the start of what the app gets.
   */
  targetOf({ target, path, query }: Pick<RequestHead, 'target' | 'path' | 'query'>): string {
    const prefix = this.#prefix
    if (prefix === '' || target === '*') return target
    if (isBelow(path, prefix) && !/\/\.{1,2}(?:\/|$)|\/\/|%2e/i.test(path))
      return rooted(target.slice(prefix.length))
    const rest = rooted(encodePlain(plainForm(path)).slice(prefix.length))
    return query === undefined ? rest : `${rest}?${query}`
  }

  /** The app's fields, with the prefix put in front of where it points. */
  answerFields(fields: FieldList, host: string): FieldList {
    if (!this.#rewrites || !(fields.has(FIELD.location) || fields.has(FIELD['set-cookie']))) return fields
    const pairs: [string, string][] = []
    for (let i = 0; i < fields.count; i += 1) {
      if ((fields.flags(i) & DROPPED) === 0) pairs.push([fields.name(i), this.#rewritten(fields, i, host)])
    }
    return FieldList.of(pairs)
  }

  #rewritten(fields: FieldList, index: number, host: string): string {
    const value = fields.value(index)
    switch (fields.id(index)) {
      case FIELD.location:
        return this.#location(value, host)
      case FIELD['set-cookie']:
        return value.replace(
          /(;\s*path=)(\/[^;]*)/i,
          (_, name: string, path: string) => name + this.#under(path),
        )
      default:
        return value
    }
  }

  /** Only paths of this very site: other sites' are theirs. */
  #location(value: string, host: string): string {
    if (value.startsWith('/') && !value.startsWith('//')) return this.#under(value)
    const [, origin = '', name = '', path = ''] = /^(https?:\/\/([^/?#]+))(.*)$/i.exec(value) ?? []
    if (origin === '' || name.toLowerCase() !== host.toLowerCase()) return value
    return origin + this.#under(path.startsWith('/') ? path : `/${path}`)
  }

  /** An app that knows its script name has written the prefix itself. */
  #under(path: string): string {
    return isBelow(path, this.#prefix) ? path : this.#prefix + path
  }
}

function isBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false
  const next = path.charAt(prefix.length)
  return next === '' || next === '/' || next === '?' || next === '#'
}

function rooted(rest: string): string {
  return rest.startsWith('/') ? rest : `/${rest}`
}
