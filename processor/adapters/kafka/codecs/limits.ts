/** Results up to this size are decompressed in one call, larger ones in chunks. */
export const AT_ONCE_BYTES = 4 << 20
export const CHUNK_BYTES = 64 << 10
