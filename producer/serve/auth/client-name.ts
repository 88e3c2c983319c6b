/** Names that an identity provider or an authority gives to clients. */

export const MAX_CLIENT_NAME = 200

export function isClientName(name: unknown): name is string {
  return typeof name === 'string' && name !== '' && name.length <= MAX_CLIENT_NAME
}
