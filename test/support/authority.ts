import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Files of one certificate, all PEM. */
export interface CertificateFiles {
  readonly certificate: string
  readonly key: string
  /** Both in one file, for those that want it so. */
  readonly bundle: string
}

/** Without this, `openssl req` adds what the machine's own openssl.cnf says. */
const CONFIG = '[req]\ndistinguished_name = name\n[name]\n'
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** Longer than the two months from which on checkers warn, shorter than what browsers accept. */
const DAYS = ['-days', '90']

const LEAF = [
  'basicConstraints=critical,CA:FALSE',
  'keyUsage=critical,digitalSignature',
  'extendedKeyUsage=serverAuth',
  'crlDistributionPoints=URI:http://localhost/causeway-test.crl',
]

/** A certificate authority that lives in one folder: ECDSA P-256 throughout. Needs the `openssl` command. */
export class Authority {
  /** File with its own certificate, for whoever is to trust it. */
  readonly certificate: string
  readonly #folder: string
  readonly #key: string

  constructor(folder: string) {
    this.#folder = folder
    this.certificate = join(folder, 'authority.pem')
    this.#key = join(folder, 'authority.key')
    writeFileSync(this.#config, CONFIG)
    const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']
    const files = ['-keyout', this.#key, '-out', this.certificate]
    this.#request(['-subj', '/CN=Causeway test authority', ...files], extensions)
  }

  /** A certificate for these names, with a key and a serial number of its own, as `<stem>.pem`, `.key` and `.bundle.pem`. */
  issue(stem: string, names: readonly string[] = ['DNS:localhost', 'IP:127.0.0.1']): CertificateFiles {
    const path = (ending: string) => join(this.#folder, `${stem}.${ending}`)
    const files = { certificate: path('pem'), key: path('key'), bundle: path('bundle.pem') }
    const signed = ['-CA', this.certificate, '-CAkey', this.#key]
    const out = ['-keyout', files.key, '-out', files.certificate]
    this.#request(
      ['-subj', '/CN=localhost', ...signed, ...out],
      [...LEAF, `subjectAltName=${names.join(',')}`],
    )
    writeFileSync(files.bundle, readFileSync(files.certificate, 'utf8') + readFileSync(files.key, 'utf8'))
    return files
  }

  get #config(): string {
    return join(this.#folder, 'openssl.cnf')
  }

  #request(args: readonly string[], extensions: readonly string[]): void {
    const added = extensions.flatMap(extension => ['-addext', extension])
    const made = spawnSync('openssl', [
      ...['req', '-x509', '-config', this.#config, ...KEY, ...DAYS],
      ...args,
      ...added,
    ])
    if (made.status !== 0) throw new Error(`openssl: ${made.stderr ?? made.error}`)
  }
}
