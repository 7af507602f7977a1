import { randomUUID } from 'node:crypto'
import { readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type KeyPair, keyPairOf } from '../base/key-pair.ts'
import { type WriteTrouble, writeTrouble, writeTroubleOf } from '../base/writable-folder.ts'
import { FolderLock } from './folder-lock.ts'
import type { NameRecord } from './plan.ts'
import { closeToOthers, makePrivateFolder, readPrivate, removeDrafts, writePrivate } from './private-files.ts'
import { readRecord, recordText } from './record-file.ts'

/** An account with an ACME server. */
export interface Account {
  readonly directory: string
  /** Its name there. */
  readonly url: string
  /** PEM text. */
  readonly key: string
  readonly email: string | undefined
  /** Of the account with the issuer that it is bound to. */
  readonly keyId: string | undefined
}

/** A file of the folder that others could read, or that cannot be used. */
export interface StoreNews {
  readonly file: string
  readonly what: string
}

const CERTIFICATE = 'certificate.pem'
const KEY = 'key.pem'
/** The key of a certificate that is about to be written, or has just been. */
const NEXT_KEY = 'key.next.pem'
const RECORD = 'state.json'

/**
 * Account and certificates in a folder: account.json, and NAME/certificate.pem, NAME/key.pem and
 * NAME/state.json for each name. Nobody else may read any of it. Files are replaced whole, and a key and its
 * certificate in an order that a crash cannot spoil.
 */
export class AcmeStore {
  readonly folder: string
  /** Held by the process that orders: several may share the folder. */
  readonly lock: FolderLock
  readonly #nowMs: () => number
  readonly #tell: (news: StoreNews) => void

  constructor(folder: string, nowMs: () => number, tell: (news: StoreNews) => void) {
    this.folder = folder
    this.#nowMs = nowMs
    this.lock = new FolderLock(join(folder, 'lock'), randomUUID(), nowMs)
    this.#tell = tell
  }

  /**
   * Makes the folder, takes others' rights away, clears away what a crash has left. Says what stands in the
   * way of writing there.
   */
  open(): WriteTrouble | undefined {
    try {
      makePrivateFolder(this.folder)
      for (const folder of [this.folder, ...this.#names().map(name => join(this.folder, name))])
        removeDrafts(folder, this.#nowMs())
      for (const file of ['.', 'account.json', ...this.#names().flatMap(filesOf)]) this.#close(file)
    } catch (error) {
      return writeTroubleOf(error as NodeJS.ErrnoException)
    }
    return writeTrouble(this.folder)
  }

  readAccount(): Account | undefined {
    const text = this.#readFile(join(this.folder, 'account.json'))
    const json = text === undefined ? undefined : (parse(text) as Partial<Record<keyof Account, unknown>>)
    if (json === undefined) return undefined
    const { directory, url, key, email, keyId } = json
    if (typeof directory !== 'string' || typeof url !== 'string' || typeof key !== 'string') {
      this.#tell({
        file: join(this.folder, 'account.json'),
        what: 'contains no account: a new one will be created',
      })
      return undefined
    }
    return { directory, url, key, email: wordOf(email), keyId: wordOf(keyId) }
  }

  writeAccount(account: Account): void {
    makePrivateFolder(this.folder)
    writePrivate(join(this.folder, 'account.json'), `${JSON.stringify(account, undefined, 2)}\n`)
  }

  removeAccount(): void {
    rmSync(join(this.folder, 'account.json'), { force: true })
  }

  /** Undefined if there is none, or none that is good for the name. */
  readPair(name: string): KeyPair | undefined {
    const certificate = this.#read(name, CERTIFICATE)
    if (certificate === undefined) return undefined
    const pair = keyPairOf(certificate, this.#read(name, KEY) ?? '')
    if (!('fault' in pair)) return this.#fitting(name, pair)
    const next = keyPairOf(certificate, this.#read(name, NEXT_KEY) ?? '')
    if (!('fault' in next)) {
      // A crash came between the two: what was begun is finished.
      renameSync(this.#path(name, NEXT_KEY), this.#path(name, KEY))
      return this.#fitting(name, next)
    }
    this.#tell({ file: this.#path(name, pair.file === 'key' ? KEY : CERTIFICATE), what: pair.fault })
    return undefined
  }

  /**
   * Key first, under another name, then the certificate, then the key's own name: at any moment one pair of
   * the three fits.
   */
  writePair(name: string, { certificate, key }: KeyPair): void {
    makePrivateFolder(join(this.folder, name))
    writePrivate(this.#path(name, NEXT_KEY), key)
    writePrivate(this.#path(name, CERTIFICATE), certificate)
    renameSync(this.#path(name, NEXT_KEY), this.#path(name, KEY))
  }

  readRecord(name: string): NameRecord {
    return readRecord(this.#read(name, RECORD))
  }

  writeRecord(name: string, record: NameRecord): void {
    makePrivateFolder(join(this.folder, name))
    writePrivate(this.#path(name, RECORD), recordText(record))
  }

  #fitting(name: string, pair: KeyPair): KeyPair | undefined {
    if (pair.names.includes(name)) return pair
    this.#tell({ file: this.#path(name, CERTIFICATE), what: `is for ${pair.names.join(', ') || 'no name'}` })
    return undefined
  }

  #path(name: string, file: string): string {
    return join(this.folder, name, file)
  }

  #read(name: string, file: string): string | undefined {
    return this.#readFile(this.#path(name, file))
  }

  #readFile(file: string): string | undefined {
    const read = readPrivate(file)
    if (read === undefined || 'bytes' in read) return read?.bytes.toString()
    this.#tell({ file, what: `cannot be read: ${read.why}` })
    return undefined
  }

  #names(): string[] {
    return readdirSync(this.folder, { withFileTypes: true })
      .filter(entry => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name)
  }

  #close(file: string): void {
    const path = join(this.folder, file)
    const rights = closeToOthers(path)
    if (rights === undefined) return
    const after = rights.closed ? 'which is now fixed' : 'and this user may not change that'
    this.#tell({ file: path, what: `was accessible to other users (${rights.was}), ${after}` })
  }
}

function filesOf(name: string): string[] {
  return [name, ...[CERTIFICATE, KEY, NEXT_KEY, RECORD].map(file => join(name, file))]
}

function parse(text: string): object {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === 'object' && json !== null ? json : {}
  } catch {
    return {}
  }
}

function wordOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
