import { type Coding, CodingChoices } from '../http/coding.ts'
import { Representation } from './representation.ts'
import type { FileResource } from './resource.ts'

/** The resource with one more coding, made here; undefined `body`: with that coding no longer offered. */
export function withCoding(resource: FileResource, coding: Coding, body: Buffer | undefined): FileResource {
  if (body === undefined) {
    const offered = resource.choices.offered.filter(other => other !== coding)
    return { ...resource, choices: new CodingChoices(offered) }
  }
  const made = new Representation({ ...resource.plain.facts, coding, source: 'made', body })
  const coded = [...resource.coded, made]
  return {
    ...resource,
    coded,
    codings: resource.choices.offered.filter(offered => coded.some(it => it.coding === offered)),
    bytes: resource.bytes + body.length,
  }
}

/** `next` with the codings that were made for `before`, if it is the same state of the same file. */
export function carryOver(before: FileResource, next: FileResource): FileResource {
  if (before.identity !== next.identity) return next
  let resource = next
  for (const { coding, body, facts } of before.coded) {
    const wanted = coding !== undefined && resource.choices.offered.includes(coding)
    if (facts.source === 'made' && wanted && !resource.codings.includes(coding)) {
      resource = withCoding(resource, coding, body)
    }
  }
  return resource
}
