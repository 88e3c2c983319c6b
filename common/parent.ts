/** Messages of a process to its parent, over the IPC channel if there is one. */

/** Reports the CPU time and the peak memory that this process used. Resolves once the message is sent. */
export function reportUsage(): Promise<void> {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  const usage = { type: 'stopped', cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, maxRssBytes: maxRSS * 1024 }
  return new Promise(resolve => {
    if (process.connected) process.send!(usage, () => resolve())
    else resolve()
  })
}
