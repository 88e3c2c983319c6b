/** Why a record is dead. Stored in dead_letters.reason, a label in metrics; never renamed. */
export const DEAD_REASONS = [
  'too_large',
  'tombstone',
  'empty_value',
  'not_json',
  'not_an_object',
  'too_deep',
  'too_many_values',
  'missing_field',
  'wrong_type',
  'bad_string',
  'bad_number',
  'too_many_decimals',
  'overflow',
  'bad_time',
  'missing_id',
  'empty_lines',
  'too_many_lines',
  'key_too_long',
  'future_timestamp',
  'store_rejected',
] as const

export type DeadReason = (typeof DEAD_REASONS)[number]
