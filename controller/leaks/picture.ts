/** What the rules look at: one host, as the database has it. */
import type { ReferenceKind } from '#shared/inventory.ts';
import type { NamespaceName } from '#shared/namespace-details.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import type { LeakRule } from '#shared/resources.ts';
import type { SandboxState } from '#shared/sandbox.ts';

export type PicturedNamespace = {
  id: string;
  type: NamespaceType;
  key: string;
  inode: number;
  processCount: number;
  /** The user namespace that owns it. */
  owner: string | null;
  ownerUid: number | null;
  names: NamespaceName[];
  firstSeen: string;
  /** When its last process left, or it was first seen without one. */
  emptySince: string;
  /** The sandbox that was given it. */
  sandbox: { id: string; name: string; state: SandboxState; endedAt: string | null } | null;
};

export type PicturedProcess = {
  pid: number;
  uid: number;
  comm: string;
  /** In the order of namespaceTypes. */
  namespaces: (string | null)[];
};

export type PicturedReference = {
  kind: ReferenceKind;
  type: NamespaceType;
  key: string;
  pid: number | null;
  tid: number | null;
  fd: number | null;
  comm: string | null;
  cgroup: string | null;
  path: string | null;
  mountNamespace: string | null;
  detail: string | null;
  since: string;
};

export type HostPicture = {
  nowMs: number;
  /** The last scan could not see everything. */
  partial: boolean;
  namespaces: readonly PicturedNamespace[];
  processes: readonly PicturedProcess[];
  references: readonly PicturedReference[];
  /** User namespaces at the beginning of the time that `user-growth` looks back, or at the first report of this boot if that is later. */
  usersBefore: { count: number; at: string };
};

export type Finding = {
  rule: LeakRule;
  /** null: it is about the host */
  namespace: PicturedNamespace | null;
  subject: string;
  since: string;
  reason: string;
  pins: string[];
  detail: Record<string, unknown>;
};
