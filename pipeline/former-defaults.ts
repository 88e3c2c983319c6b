/** Keeps the defaults of the release that created a pipeline, so that an upgrade does not change which events are late. */
import type { SalesPipeline } from './schema.ts'

/** Defaults of releases up to 0.3.0 that have changed since, in ms. */
const FORMER = { outOfOrderness: 5000, maxFutureSkew: 300_000 } as const

type Setting = keyof typeof FORMER

/** The settings under `spec.watermark` of the newest stored document; null: nothing is stored. */
export type StoredWatermark = Partial<Record<Setting, number>> | null

/**
 * Returns the pipeline with the stored value of each setting that `written`, its document, leaves out and that still has
 * the former default. `kept`: the names of these settings.
 */
export function keepFormerDefaults(
  pipeline: SalesPipeline,
  written: unknown,
  stored: StoredWatermark,
): { pipeline: SalesPipeline; kept: Setting[] } {
  const given = (written as { spec?: { watermark?: object } } | null)?.spec?.watermark ?? {}
  const kept = (Object.keys(FORMER) as Setting[]).filter(
    setting => !(setting in given) && stored?.[setting] === FORMER[setting],
  )
  const watermark = { ...pipeline.spec.watermark }
  for (const setting of kept) watermark[setting] = FORMER[setting]
  return { pipeline: { ...pipeline, spec: { ...pipeline.spec, watermark } }, kept }
}
