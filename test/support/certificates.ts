/** Certificates for tests, issued with openssl into a folder. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

type Issued = {
  /** Common name of the subject. */
  name: string
  /** Name of the files of the authority; without it, the certificate is an authority. */
  ca?: string
}

export class Certificates {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  path(file: string): string {
    return join(this.#folder, file)
  }

  pem(file: string): string {
    return readFileSync(this.path(file), 'utf8')
  }

  /** Creates FILE.crt and FILE.key (PKCS 8). */
  issue(file: string, { name, ca }: Issued): void {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', this.path(`${file}.key`)]
    const by = ca
      ? ['-CA', this.path(`${ca}.crt`), '-CAkey', this.path(`${ca}.key`), '-addext', 'basicConstraints=CA:FALSE']
      : ['-addext', 'keyUsage=keyCertSign']
    const use = ca
      ? ['-addext', 'extendedKeyUsage=clientAuth,serverAuth', '-addext', 'subjectAltName=IP:127.0.0.1']
      : []
    const args = ['req', '-x509', ...key, '-days', '2', '-subj', `/O=Shop/CN=${name}`, ...by, ...use]
    execFileSync('openssl', [...args, '-out', this.path(`${file}.crt`)], { stdio: 'ignore' })
  }
}
