import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { readSmallFile } from './small-file.ts'

/** A certificate chain and its private key, as PEM text, checked to belong together. */
export interface KeyPair {
  /**
   * Lower case; `*.example.com` for every name one label below (RFC 6125 6.4.3). Addresses stand as they are.
   */
  readonly names: readonly string[]
  readonly certificate: string
  readonly key: string
  /** `ec` or `rsa`, mostly. */
  readonly keyType: string
  /** Milliseconds since 1970 (UTC). */
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Where PEM text stands. */
export interface KeyPairFiles {
  readonly certificate: string
  readonly key: string
}

/** What is wrong with the files of a certificate, ready to be shown to an operator. */
export interface KeyPairFault {
  readonly file: 'certificate' | 'key'
  readonly fault: string
  readonly hint: string
}

/** What stands behind a file's name when it cannot be used, and what to do about it. */
interface PemFault {
  readonly fault: string
  readonly hint: string
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----(?=\s*?(?:[\r\n]|$))/g
/** Larger files are something else. */
const MAX_BYTES = 1024 * 1024

/** Both files, read and checked; never throws. */
export function readKeyPair(files: KeyPairFiles): KeyPair | KeyPairFault {
  const certificate = readPem(files.certificate)
  if ('fault' in certificate) return { file: 'certificate', ...certificate }
  const key = readPem(files.key)
  if ('fault' in key) return { file: 'key', ...key }
  return keyPairOf(certificate.text, key.text)
}

/** The same from text. */
export function keyPairOf(certificate: string, key: string): KeyPair | KeyPairFault {
  const chain = certificatesIn(certificate, ', the leaf certificate first')
  if ('fault' in chain) return { file: 'certificate', ...chain }
  const [leaf] = chain
  const secret = keyOf(key)
  if (secret === undefined)
    return {
      file: 'key',
      fault: 'contains no readable private key',
      hint: 'it must be a PEM file with -----BEGIN PRIVATE KEY-----, without a passphrase',
    }
  if (!leaf.checkPrivateKey(secret))
    return {
      file: 'key',
      fault: 'is not the key of the certificate',
      hint: 'use the key that belongs to the certificate; the leaf certificate must come first in its file',
    }
  const refused = refusalOf({ cert: certificate, key })
  if (refused !== undefined) return { file: 'certificate', ...refused }
  return {
    names: namesOf(leaf),
    certificate,
    key,
    keyType: secret.asymmetricKeyType ?? '',
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs: leaf.validToDate.getTime(),
  }
}

/**
 * PEM text with at least one certificate, such as those of authorities; every one in it can be read. Never
 * throws.
 */
export function readAuthorities(file: string): { readonly text: string } | PemFault {
  const pem = readPem(file)
  if ('fault' in pem) return pem
  const all = certificatesIn(pem.text, '')
  if ('fault' in all) return all
  return refusalOf({ ca: pem.text }) ?? pem
}

function readPem(file: string): { readonly text: string } | PemFault {
  const read = readSmallFile(file, MAX_BYTES)
  if ('bytes' in read) return { text: read.bytes.toString('latin1') }
  const hint =
    read.code === 'TOO_LARGE'
      ? 'PEM files of certificates are a few thousand bytes long'
      : 'relative paths are relative to the working directory; the user that Causeway runs as needs read permission'
  return { fault: `cannot be read: ${read.why}`, hint }
}

/**
 * All certificates of a file, the own one first. A file whose later part is missing or damaged counts as
 * none: OpenSSL would take some of those for whole, without the certificates that clients need, and throw at
 * others.
 */
function certificatesIn(
  pem: string,
  order: string,
): readonly [X509Certificate, ...X509Certificate[]] | PemFault {
  const [first, ...more] = (pem.match(CERTIFICATE) ?? []).map(certificateOf)
  if (first === undefined)
    return {
      fault: 'contains no certificate',
      hint: `it must be a PEM file with -----BEGIN CERTIFICATE-----${order}`,
    }
  if (more.includes(undefined) || isTorn(pem.replaceAll(CERTIFICATE, '')))
    return {
      fault: 'contains a truncated or damaged certificate',
      hint: 'write the file again; each certificate starts with its own line -----BEGIN CERTIFICATE----- and ends with -----END CERTIFICATE-----',
    }
  return [first, ...more.filter(certificate => certificate !== undefined)]
}

/** Whether what is left beside whole certificates is a piece of one, or ends within a PEM line. */
function isTorn(rest: string): boolean {
  const text = rest.trimEnd()
  const lastLine = text.slice(text.lastIndexOf('\n') + 1)
  if (lastLine.startsWith('-') && !/^-----END [^-]+-----$/.test(lastLine)) return true
  return /-----(?:BEGIN|END) CERTIF/.test(text)
}

/** OpenSSL has the last word: what it refuses here would be refused in the middle of a handshake. */
function refusalOf(material: { readonly cert?: string; readonly key?: string; readonly ca?: string }) {
  try {
    createSecureContext({ ca: material.cert, ...material })
    return undefined
  } catch (error) {
    const { reason = String(error) } = error as { readonly reason?: string }
    return { fault: `is rejected by OpenSSL: ${reason}`, hint: 'write the file again with a modern key' }
  }
}

function certificateOf(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

function keyOf(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}

/** RFC 6125 6.4.4: the subject's common name counts only where there is no alternative name. */
function namesOf(leaf: X509Certificate): readonly string[] {
  const alternatives = [...(leaf.subjectAltName ?? '').matchAll(/(?:^|, )(?:DNS|IP Address):([^,"\s]+)/g)]
  if (alternatives.length > 0) return alternatives.map(([, name = '']) => name.toLowerCase())
  const [, common] = /(?:^|\n)CN=([^\n]+)/.exec(leaf.subject) ?? []
  return common === undefined ? [] : [common.toLowerCase()]
}
