import type { MountConfig, ServerKind } from '../config/model.ts'
import type { RequestHead } from '../http/message.ts'
import { encodePath, encodePlain, plainForm } from '../http/path.ts'

/** An app that sits below a prefix of the site: what it is asked for, and what it is told. */
export class Mount {
  /** SCRIPT_NAME of the app's requests; '' for none. */
  readonly scriptName: string
  /** Lines for an app that speaks HTTP. */
  readonly fieldsText: string
  /** As it stands in a target. */
  readonly #prefix: string

  constructor({ stripPrefix, scriptName }: MountConfig, server: ServerKind) {
    this.scriptName = scriptName
    this.#prefix = encodePath(stripPrefix)
    const told = scriptName === '' ? stripPrefix : scriptName
    // gunicorn takes this field, and only this, for SCRIPT_NAME. Others would fold a name with `_` into
    // something else.
    const forGunicorn = server === 'gunicorn' && scriptName !== '' ? `SCRIPT_NAME: ${scriptName}\r\n` : ''
    this.fieldsText = `X-Forwarded-Prefix: ${told}\r\nX-Script-Name: ${told}\r\n${forGunicorn}`
  }

  /**
   * The target without the prefix, which all readings of the path begin with. One that spells it in another
   * way, or has dot segments or empty ones, is written in its plain form first, so that none of them comes to
   * stand at the start of what the app gets.
   */
  targetOf({ target, path, query }: Pick<RequestHead, 'target' | 'path' | 'query'>): string {
    const prefix = this.#prefix
    if (prefix === '' || target === '*') return target
    if (isBelow(path, prefix) && !/\/\.{1,2}(?:\/|$)|\/\/|%2e/i.test(path))
      return rooted(target.slice(prefix.length))
    const rest = rooted(encodePlain(plainForm(path)).slice(prefix.length))
    return query === undefined ? rest : `${rest}?${query}`
  }
}

/** True for a path that is the prefix or lies below it. */
export function isBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false
  const next = path.charAt(prefix.length)
  return next === '' || next === '/' || next === '?' || next === '#'
}

function rooted(rest: string): string {
  return rest.startsWith('/') ? rest : `/${rest}`
}
