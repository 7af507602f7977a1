import { X509Certificate } from 'node:crypto'
import { type DerElement, readElements, TAG } from './der.ts'

/** When an issuer wants a certificate to be renewed (RFC 9773 4.2). */
export interface RenewalWindow {
  readonly startMs: number
  readonly endMs: number
}

/** What an issuer says about the renewal of a certificate. */
export interface Advice {
  readonly window: RenewalWindow
  /** A page for people: why the time is what it is. */
  readonly explanation: string | undefined
}

/** id-ce-authorityKeyIdentifier, 2.5.29.35 */
const AUTHORITY_KEY_ID = Buffer.from([0x55, 0x1d, 0x23])
/** [0] keyIdentifier of RFC 5280 4.2.1.1 */
const KEY_IDENTIFIER = 0x80

/**
 * How a certificate is named to its issuer: key identifier and serial number (RFC 9773 4.1). Undefined if it
 * does not say who issued it.
 */
export function certificateId(pem: string): string | undefined {
  try {
    const [certificate] = readElements(new X509Certificate(pem).raw)
    const [facts] = readElements(contentOf(certificate))
    const parts = readElements(contentOf(facts))
    const serial = parts.find(({ tag }) => tag === TAG.integer)
    const issuerKey = issuerKeyOf(parts.find(({ tag }) => tag === TAG.extensions))
    if (serial === undefined || issuerKey === undefined) return undefined
    return `${issuerKey.toString('base64url')}.${serial.content.toString('base64url')}`
  } catch {
    return undefined
  }
}

/**
 * The body of an answer of the issuer; undefined if it makes no sense (RFC 9773 4.2: then it counts for
 * nothing).
 */
export function readAdvice(body: string): Advice | undefined {
  const json = parse(body) as {
    readonly suggestedWindow?: { readonly start?: unknown; readonly end?: unknown }
    readonly explanationURL?: unknown
  } | null
  const startMs = timeOf(json?.suggestedWindow?.start)
  const endMs = timeOf(json?.suggestedWindow?.end)
  if (startMs === undefined || endMs === undefined || startMs >= endMs) return undefined
  const explanation = json?.explanationURL
  return {
    window: { startMs, endMs },
    explanation: typeof explanation === 'string' ? explanation : undefined,
  }
}

function issuerKeyOf(extensions: DerElement | undefined): Buffer | undefined {
  const [list] = readElements(contentOf(extensions))
  for (const extension of readElements(contentOf(list))) {
    const [id, ...rest] = readElements(extension.content)
    if (id === undefined || !id.content.equals(AUTHORITY_KEY_ID)) continue
    const [value] = readElements(contentOf(rest.at(-1)))
    return readElements(contentOf(value)).find(({ tag }) => tag === KEY_IDENTIFIER)?.content
  }
  return undefined
}

function contentOf(element: DerElement | undefined): Buffer {
  if (element === undefined) throw new RangeError('the certificate is incomplete')
  return element.content
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function timeOf(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}
