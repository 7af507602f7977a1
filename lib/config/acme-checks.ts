import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { readAuthorities } from '../base/key-pair.ts'
import { writeTrouble } from '../base/writable-folder.ts'
import { isPrivateName, whyNoCertificate } from './acme-hosts.ts'
import type { Subject } from './references.ts'
import type { Settings } from './settings.ts'
import { placeOf } from './tree.ts'

type Acme = NonNullable<Settings['acme']>

/** Issuers that give certificates to names of the internet only. */
const PUBLIC =
  /(?:^|\.)(?:letsencrypt\.org|zerossl\.com|goog|buypass\.com|ssl\.com|sectigo\.com|digicert\.com)$/

/**
 * What no single value shows of [acme] and of the hosts that get certificates there; nothing where no
 * listener asks for any.
 */
export function checkAcme(subject: Subject): void {
  const { settings } = subject
  const { acme } = settings
  if (acme === undefined || ![...settings.listeners.values()].some(({ tls }) => tls?.kind === 'auto')) return
  checkFolder(subject, acme)
  checkAuthority(subject, acme)
  checkHosts(subject, acme)
}

/** It may be made yet: then the nearest folder above it counts. */
function checkFolder({ root, report }: Subject, { folder }: Acme): void {
  const path = resolve(folder)
  const there = nearest(path)
  const trouble = writeTrouble(there)
  if (trouble === undefined) return
  const what = there === path ? trouble.what : `cannot be made: ${there} ${trouble.what}`
  report.error(placeOf(root, ['acme', 'folder']), `the folder ${path} ${what}`, trouble.hint)
}

function checkAuthority({ root, report }: Subject, { ca }: Acme): void {
  if (ca === undefined) return
  const authorities = readAuthorities(ca)
  if ('fault' in authorities)
    report.error(placeOf(root, ['acme', 'ca']), `${ca} ${authorities.fault}`, authorities.hint)
}

function checkHosts({ settings, root, report }: Subject, { directory }: Acme): void {
  const { hostname } = new URL(directory)
  for (const [name, { hosts }] of settings.routes) {
    for (const [i, host] of hosts.entries()) {
      const at = placeOf(root, ['routes', name, 'hosts', i])
      const reason = whyNoCertificate(host)
      if (reason !== undefined) report.warning(at, `tls = "auto" gets no certificate for ${host}: ${reason}`)
      else if (PUBLIC.test(hostname) && isPrivateName(host))
        report.warning(at, `${hostname} issues no certificate for ${host}: it is not a public name`)
    }
  }
}

function nearest(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearest(dirname(path))
}
