/** Removes addresses of servers from texts that everyone on the network may read. */
import { isIPv6 } from 'node:net'

const ADDRESS = '[address]'

/** Times look the same, so isIPv6 decides. A port after it, as in ::1:5432, looks like a part of it. */
const IPV6 = /\[?(?<![\w:])([0-9a-f:]*:[0-9a-f:]*:[0-9a-f]*)(?:%\w+)?(?![\w:])(\]:\d+)?/gi

const PATTERNS: [pattern: RegExp, replacement: string][] = [
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'<>,;)]+/gi, `$1${ADDRESS}`],
  [/\b(getaddrinfo \w+|querySrv \w+) [\w.-]+(:\d+)?/g, `$1 ${ADDRESS}`],
  [/(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.]\d)/g, ADDRESS],
  // A host name begins with a letter, so that times such as 12:30 stay.
  [/(?<![\w.-])[a-z][\w-]*(?:\.[\w-]+)*:\d{2,5}(?![\w:])/gi, ADDRESS],
  // A host name without a port.
  [/(?<![\w.-])[a-z][\w-]*(?:\.[\w-]+)*\.(?:svc|local|cluster|internal)(?:\.[\w-]+)*(?![\w-])/gi, ADDRESS],
]

export const isLoopback = (host: string) => host === 'localhost' || host === '::1' || host.startsWith('127.')

export function withoutAddresses(text: string): string {
  const withoutIpv6 = text.replace(IPV6, (found, address: string) => (isIPv6(address) ? ADDRESS : found))
  return PATTERNS.reduce((rest, [pattern, replacement]) => rest.replace(pattern, replacement), withoutIpv6)
}
