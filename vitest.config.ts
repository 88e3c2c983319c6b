import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    // Two cores: more processes only make each other wait, and waiting is what time-outs notice.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 300_000,
    // The shared servers stop then, up to three of them on a busy machine.
    teardownTimeout: 60_000,
  },
})
