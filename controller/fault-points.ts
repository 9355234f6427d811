/**
 * Places where a test kills the controller: `NSFLEET_FAULT_POINT=create.committed` makes the process end by SIGKILL when it gets
 * there, as a power cut would. Without the variable they do nothing.
 */

/** Every await of the create path, in its order. */
export const createFaultPoints = [
  'create.received',
  'create.looked-up',
  'create.viewed',
  'create.scheduled',
  'create.committing',
  'create.committed',
  'create.sent',
  'create.running',
] as const;
export type FaultPoint = (typeof createFaultPoints)[number];

/** Ends the process where `point` is the one that the environment names. */
export function faultPoint(point: FaultPoint): void {
  if (process.env['NSFLEET_FAULT_POINT'] !== point) return;
  process.kill(process.pid, 'SIGKILL');
  // The signal is delivered before the next line in practice; this makes sure that nothing more is done if it is not.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
