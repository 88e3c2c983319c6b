/** A TCP proxy between a worker and PostgreSQL, with which tests break the network. */
import { connect, createServer, type Socket } from 'node:net'

export class NetworkProxy {
  port = 0
  /** The clients' writes, in order. */
  readonly sent: string[] = []
  /** `pass`; `swallow`: requests arrive, answers are lost; `stall`: nothing arrives in either direction. */
  mode: 'pass' | 'swallow' | 'stall' = 'pass'
  readonly #server
  readonly #sockets = new Set<Socket>()

  private constructor(target: { host: string; port: number }) {
    this.#server = createServer(client => this.#join(client, connect(target.port, target.host)))
  }

  static async before(target: { host: string; port: number }): Promise<NetworkProxy> {
    const proxy = new NetworkProxy(target)
    await new Promise<void>(resolve => proxy.#server.listen(0, '127.0.0.1', resolve))
    proxy.port = (proxy.#server.address() as { port: number }).port
    return proxy
  }

  #join(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
    }
    client.on('data', data => {
      this.sent.push(data.toString('latin1'))
      if (this.mode !== 'stall') server.write(data)
    })
    server.on('data', data => {
      if (this.mode === 'pass') client.write(data)
    })
    client.on('close', () => server.destroy())
    server.on('close', () => client.destroy())
  }

  /** Breaks every connection; new ones pass. */
  cut(): void {
    this.mode = 'pass'
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise(resolve => this.#server.close(resolve))
  }
}
