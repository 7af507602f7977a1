import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { whyUnreadable } from './errno-words.ts'

/** A certificate chain and its private key, as PEM text, checked to belong together. */
export interface KeyPair {
  /** Lower case; `*.example.com` for every name one label below (RFC 6125 6.4.3). Addresses stand as they are. */
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

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
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
  const leaf = leafOf(certificate)
  if (leaf === undefined)
    return {
      file: 'certificate',
      fault: 'holds no certificate',
      hint: 'it must be a PEM file with -----BEGIN CERTIFICATE-----, the own certificate first',
    }
  const secret = keyOf(key)
  if (secret === undefined)
    return {
      file: 'key',
      fault: 'holds no private key that can be read',
      hint: 'it must be a PEM file with -----BEGIN PRIVATE KEY-----, without a passphrase',
    }
  if (!leaf.checkPrivateKey(secret))
    return {
      file: 'key',
      fault: 'is not the key of the certificate',
      hint: 'take the two that were made together; the own certificate must be the first in its file',
    }
  return {
    names: namesOf(leaf),
    certificate,
    key,
    keyType: secret.asymmetricKeyType ?? '',
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs: leaf.validToDate.getTime(),
  }
}

/** PEM text with at least one certificate, such as those of authorities. */
export function readAuthorities(
  file: string,
): { readonly text: string } | { readonly fault: string; readonly hint: string } {
  const pem = readPem(file)
  if ('fault' in pem) return pem
  const all = pem.text.match(CERTIFICATE) ?? []
  if (all.length > 0 && all.every(text => certificateOf(text) !== undefined)) return pem
  return { fault: 'holds no certificate', hint: 'it must be a PEM file with -----BEGIN CERTIFICATE-----' }
}

function readPem(
  file: string,
): { readonly text: string } | { readonly fault: string; readonly hint: string } {
  try {
    const text = readFileSync(file, 'latin1')
    return text.length <= MAX_BYTES
      ? { text }
      : { fault: `has ${text.length} bytes`, hint: 'a PEM file of certificates has a few thousand' }
  } catch (error) {
    return {
      fault: `cannot be read: ${whyUnreadable(error)}`,
      hint: 'a relative path starts at the folder that Causeway is started in; its user must be allowed to read the file',
    }
  }
}

function leafOf(pem: string): X509Certificate | undefined {
  const [first] = pem.match(CERTIFICATE) ?? []
  return first === undefined ? undefined : certificateOf(first)
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
