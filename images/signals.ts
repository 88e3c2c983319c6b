/**
 * Loaded into Node before a program: ends it on a signal that comes before the program listens. In a container we are
 * process 1, for which the kernel drops a signal that nobody handles, where it would end any other process: without this
 * a pod that is deleted while it starts is waited for until its grace period is over, and Ctrl-C does not end the
 * verifier. There is nothing else for an init process to do: our programs start no others, so no zombies come to us.
 *
 * A static tini would also cover the tens of milliseconds (of a whole CPU) that Node needs until this file is loaded. It
 * would have to be there wherever images are built, for each architecture, and no registry of ours has it.
 */
const CODE = { SIGTERM: 143, SIGINT: 130 } as const

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  const end = () => process.exit(CODE[signal])
  // Not before the new listener is there: with none at all the signal would be dropped again.
  const handOver = (name: string | symbol) => {
    if (name !== signal) return
    process.off('newListener', handOver)
    process.nextTick(() => process.off(signal, end))
  }
  process.on(signal, end)
  process.on('newListener', handOver)
}
