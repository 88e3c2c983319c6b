/** The list of everything that an image consists of (software bill of materials), in CycloneDX. */
import { Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library'
import type { Project } from '../config.ts'
import { purlOf, type Shipped } from './shipped.ts'

/** Without a serial number, and with the time of SOURCE_DATE_EPOCH only, so that builds are reproducible. */
export function sbomOf(image: string, { version, license }: Project, packages: Shipped[]): string {
  const root = new Models.Component(Enums.ComponentType.Container, image, {
    bomRef: image,
    version,
    purl: purlOf('generic', image, version),
    licenses: new Models.LicenseRepository([new Models.SpdxLicense(license)]),
  })
  const components = packages.map(componentOf)
  for (const { bomRef } of components) root.dependencies.add(bomRef)
  const epoch = process.env.SOURCE_DATE_EPOCH
  const timestamp = epoch === undefined ? {} : { timestamp: new Date(Number(epoch) * 1000) }
  const metadata = new Models.Metadata({ component: root, ...timestamp })
  const bom = new Models.Bom({ metadata, components: new Models.ComponentRepository(components) })
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6))
  return `${serializer.serialize(bom, { sortLists: true, space: 1 })}\n`
}

function componentOf({ name, version, purl, cpe, licence, sha512, files }: Shipped): Models.Component {
  const [group, own] = name.startsWith('@') ? name.split('/') : [undefined, name]
  return new Models.Component(Enums.ComponentType.Library, own!, {
    bomRef: purl,
    ...(group !== undefined && { group }),
    version,
    purl,
    ...(cpe !== undefined && { cpe }),
    licenses: new Models.LicenseRepository([licenceOf(licence)]),
    hashes: new Models.HashDictionary(sha512 === undefined ? [] : [[Enums.HashAlgorithm['SHA-512'], sha512]]),
    components: new Models.ComponentRepository(
      files.map(
        ({ path, sha256 }) =>
          new Models.Component(Enums.ComponentType.File, `/${path}`, {
            bomRef: `${purl}#${path}`,
            hashes: new Models.HashDictionary([[Enums.HashAlgorithm['SHA-256'], sha256]]),
          }),
      ),
    ),
  })
}

function licenceOf(licence: string): Models.License {
  if (licence.startsWith('see ')) return new Models.NamedLicense(licence)
  return / (OR|AND|WITH) /.test(licence) ? new Models.LicenseExpression(licence) : new Models.SpdxLicense(licence)
}
