/** Advice that several messages give. */

/** A worker does not know who started it, so the advice names the option or command for each way. */
export const DELETE_RESULTS =
  'delete the stored results (npm start with its own servers: --fresh; everywhere else: the remove command)'
