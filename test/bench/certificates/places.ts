import { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { MadeCertificate } from '../../support/certificates.ts'

/** Where a proxy finds its certificate, and how another one gets there. */
export interface Place {
  readonly certificate: string
  readonly key: string
  put(files: MadeCertificate): void
}

export interface Way {
  readonly name: string
  /** Makes the folder, with the first certificate in place. */
  open(folder: string, files: MadeCertificate): Place
}

const CERTIFICATE = 'site.pem'
const KEY = 'site.key'

const pathsIn = (folder: string) => ({ certificate: join(folder, CERTIFICATE), key: join(folder, KEY) })

function copyInto(folder: string, files: MadeCertificate): void {
  copyFileSync(files.certificateFile, join(folder, CERTIFICATE))
  copyFileSync(files.keyFile, join(folder, KEY))
}

/**
 * As certbot's hooks and careful people do it: each file is renamed into its place, so the pair does not
 * match in between.
 */
const renamed: Way = {
  name: 'rename',
  open(folder, first) {
    mkdirSync(join(folder, 'new'), { recursive: true })
    copyInto(folder, first)
    const put = (files: MadeCertificate) => {
      copyInto(join(folder, 'new'), files)
      for (const name of [CERTIFICATE, KEY]) renameSync(join(folder, 'new', name), join(folder, name))
    }
    return { ...pathsIn(folder), put }
  },
}

/**
 * As a kubelet mounts a Secret: `site.pem` is a link to `..data/site.pem`, `..data` a link to a folder with a
 * time in its name. Another link is renamed over `..data`, then the old folder goes. Neither `site.pem` nor
 * what it says ever changes.
 */
const kubernetes: Way = {
  name: 'kubernetes',
  open(folder, first) {
    mkdirSync(folder)
    let made = 0
    let before: string | undefined
    const put = (files: MadeCertificate) => {
      made += 1
      const name = `..2026_01_01_00_00_${String(made).padStart(3, '0')}`
      mkdirSync(join(folder, name))
      copyInto(join(folder, name), files)
      symlinkSync(name, join(folder, '..data_tmp'))
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
      if (before !== undefined) rmSync(before, { recursive: true })
      before = join(folder, name)
    }
    put(first)
    for (const name of [CERTIFICATE, KEY]) symlinkSync(join('..data', name), join(folder, name))
    return { ...pathsIn(folder), put }
  },
}

export const WAYS: readonly Way[] = [renamed, kubernetes]
