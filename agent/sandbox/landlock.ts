/** A sandbox's Landlock rules as operations: its own, and those that its shared namespaces call for. Pure. */
import type { NamespaceType } from '#shared/namespace.ts';
import type { PlanOperation } from '#shared/plan.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';

/**
 * Bound last, before the filter. Abstract sockets and signals reach as far as the network and the PID namespace: where one of these is not the
 * sandbox's own, they are scoped to it, if the kernel can (Linux 6.12). Where they are its own that would gain nothing, and part what enters a
 * sandbox from what runs in it: each is a domain to itself.
 */
export function landlockOperations({ landlock, namespaces }: Pick<SandboxSpec, 'landlock' | 'namespaces'>): PlanOperation[] {
  const { readable, writable, bindTcp, connectTcp } = landlock;
  const isShared = (type: NamespaceType): boolean => (namespaces[type]?.from ?? 'new') !== 'new';
  const paths = readable.length + writable.length > 0;
  const [bind, connect] = [bindTcp !== undefined, connectTcp !== undefined];
  const [abstractSockets, signals] = [isShared('net'), isShared('pid')];
  const rules: PlanOperation[] =
    paths || bind || connect
      ? [
          { op: 'landlock', side: 'inner', paths, bind, connect, abstractSockets: false, signals: false, optional: false },
          ...readable.map((path): PlanOperation => ({ op: 'landlock_path', side: 'inner', path, readonly: true, optional: false })),
          ...writable.map((path): PlanOperation => ({ op: 'landlock_path', side: 'inner', path, readonly: false, optional: false })),
          // Without /dev/null nothing starts.
          ...(paths ? [{ op: 'landlock_path', side: 'inner', path: '/dev', readonly: false, optional: true } as const] : []),
          ...(bindTcp ?? []).map((port): PlanOperation => ({ op: 'landlock_port', side: 'inner', port, bind: true, connect: false })),
          ...(connectTcp ?? []).map((port): PlanOperation => ({ op: 'landlock_port', side: 'inner', port, bind: false, connect: true })),
          { op: 'landlock_restrict', side: 'inner' },
        ]
      : [];
  const scopes: PlanOperation[] =
    abstractSockets || signals
      ? [
          { op: 'landlock', side: 'inner', paths: false, bind: false, connect: false, abstractSockets, signals, optional: true },
          { op: 'landlock_restrict', side: 'inner' },
        ]
      : [];
  return [...rules, ...scopes];
}
