/**
 * Loaded into Node before a program: exits on a signal that arrives before the program listens for it. In a container the
 * program is process 1, for which the kernel ignores signals without a handler. Without this file, a pod that is deleted
 * while it starts would run until its grace period is over, and Ctrl-C would not stop the verifier. An init process has
 * nothing else to do here: our programs start no child processes, so there are no zombies.
 *
 * A static tini would also cover the tens of milliseconds until Node has loaded this file. But it would have to be
 * available for each architecture wherever images are built, and our registries do not have it.
 */
const CODE = { SIGTERM: 143, SIGINT: 130 } as const

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  const end = () => process.exit(CODE[signal])
  // Removes our listener after the new one is added: without any listener the signal would be ignored again.
  const handOver = (name: string | symbol) => {
    if (name !== signal) return
    process.off('newListener', handOver)
    process.nextTick(() => process.off(signal, end))
  }
  process.on(signal, end)
  process.on('newListener', handOver)
}
