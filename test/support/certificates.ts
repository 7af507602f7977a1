import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a certificate is to say. */
export interface CertificateWish {
  /** DNS names and IP addresses that it is for. */
  readonly names: readonly string[]
  /** Made so that it is over, or begins tomorrow. Default: good now. */
  readonly valid?: 'now' | 'expired' | 'not-yet'
  readonly keyType?: 'ecdsa' | 'rsa'
}

/** A certificate with its key, as files and as text. */
export interface MadeCertificate {
  readonly certificateFile: string
  readonly keyFile: string
  /** Both in one file, for those that want it so. */
  readonly bundleFile: string
  readonly certificate: string
  readonly key: string
}

const DAY_MS = 86_400_000
const SECTIONS = (folder: string) => `
[ca]
default_ca = it
[it]
dir = ${folder}
database = ${folder}/index.txt
rand_serial = yes
new_certs_dir = ${folder}
certificate = ${folder}/ca.pem
private_key = ${folder}/ca.key
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = any
`

/** An authority of a test, in a folder of its own (`t.testdir()`). Needs the `openssl` command. */
export class TestAuthority {
  readonly #folder: string
  #made = 0

  constructor(folder: string, name = 'Causeway test authority') {
    this.#folder = folder
    writeFileSync(join(folder, 'ca.cnf'), SECTIONS(folder))
    writeFileSync(join(folder, 'index.txt'), '')
    const self = ['req', '-x509', ...newKey('ecdsa', this.#path('ca.key')), '-subj', `/CN=${name}`]
    openssl([...self, '-days', '90', '-config', this.#path('ca.cnf'), '-out', this.file, ...added(OWN)])
  }

  /** Its own certificate. */
  get file(): string {
    return this.#path('ca.pem')
  }

  get certificate(): string {
    return readFileSync(this.file, 'utf8')
  }

  issue({ names, valid = 'now', keyType = 'ecdsa' }: CertificateWish): MadeCertificate {
    this.#made += 1
    const path = (ending: string) => this.#path(`${this.#made}.${ending}`)
    const files = { certificateFile: path('pem'), keyFile: path('key'), bundleFile: path('bundle.pem') }
    const config = ['-config', this.#path('ca.cnf')]
    const wanted = ['-subj', `/CN=${names[0]}`, ...added([...LEAF, `subjectAltName=${alternatives(names)}`])]
    openssl(['req', '-new', ...newKey(keyType, files.keyFile), ...config, ...wanted, '-out', path('csr')])
    const [from, to] = TERMS[valid]
    const dates = ['-startdate', stamp(from), '-enddate', stamp(to)]
    const signed = ['-in', path('csr'), '-out', files.certificateFile, ...dates]
    openssl(['ca', ...config, '-batch', '-notext', ...signed])
    const [certificate, key] = [
      readFileSync(files.certificateFile, 'utf8'),
      readFileSync(files.keyFile, 'utf8'),
    ]
    writeFileSync(files.bundleFile, certificate + key)
    return { ...files, certificate, key }
  }

  #path(name: string): string {
    return join(this.#folder, name)
  }
}

const OWN = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']

/**
 * What checkers of certificates want to see, for servers and their clients. Nobody answers at the address.
 */
const LEAF = [
  'basicConstraints=critical,CA:FALSE',
  'keyUsage=critical,digitalSignature',
  'extendedKeyUsage=serverAuth,clientAuth',
  'crlDistributionPoints=URI:http://localhost/causeway-test.crl',
]

/**
 * Days from now: longer than the two months from which on checkers warn, shorter than what browsers accept.
 */
const TERMS = { now: [-1, 89], expired: [-10, -1], 'not-yet': [1, 30] } as const

function added(extensions: readonly string[]): string[] {
  return extensions.flatMap(extension => ['-addext', extension])
}

function newKey(type: 'ecdsa' | 'rsa', file: string): string[] {
  const kind = type === 'rsa' ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
  return ['-newkey', ...kind, '-nodes', '-keyout', file]
}

function alternatives(names: readonly string[]): string {
  return names.map(name => (/^[\d.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`)).join(',')
}

/** `YYYYMMDDHHMMSSZ`. */
function stamp(days: number): string {
  const iso = new Date(Date.now() + days * DAY_MS).toISOString()
  return `${iso.slice(0, 19).replace(/[-:T]/g, '')}Z`
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
