/** Text that controls a terminal: data from which every output for people must protect the terminal. */

/** All C0 and C1 controls, DEL, and all characters that reverse the direction of text. */
const CODES = [
  ...Array.from({ length: 0x20 }, (_, code) => code),
  ...Array.from({ length: 0x21 }, (_, i) => 0x7f + i),
  ...[0x061c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069],
]

export const HOSTILE = `\x1b[2J\x1b]0;owned\x07${String.fromCharCode(...CODES)}`

/** Matches one of these characters. */
export const UNSAFE = new RegExp(`[${CODES.map(code => `\\u${code.toString(16).padStart(4, '0')}`).join('')}]`)
