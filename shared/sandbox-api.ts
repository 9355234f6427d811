/** The HTTP contract of sandboxes: a part of api.ts's table. */
import { z } from 'zod';
import { LimitWrite, ResourcesChange, SandboxStats } from './cgroup.ts';
import { Text, filter } from './event-query.ts';
import { Decision, Sandbox, SandboxDetail } from './resources.ts';
import { flag, nextCursor, page, wait } from './route.ts';
import type { Route } from './route.ts';
import { IdRange, SandboxRequest, SandboxState } from './sandbox.ts';
import { CalledReport } from './seccomp.ts';
import { SignalName } from './signal.ts';

const SandboxParams = z.object({ sandbox: Text.describe('sandbox id, unique prefix of 4 or more of it, or name') });

export const sandboxApi = {
  sandboxCreate: {
    method: 'POST',
    path: '/v1/sandboxes',
    summary: 'Create a sandbox; repeat with the same Idempotency-Key as often as needed, there will be one',
    query: z.object(wait),
    body: SandboxRequest,
    reply: Sandbox,
  },
  sandboxPlan: {
    method: 'POST',
    path: '/v1/sandboxes/plan',
    summary: 'What creating it would do: the scheduler’s decision and the host’s plan. Nothing is made',
    body: SandboxRequest,
    reply: z.object({
      decision: Decision,
      hostName: z.string(),
      idRange: IdRange.nullable(),
      plan: z.unknown(),
      lines: z.array(z.string()),
    }),
  },
  sandboxList: {
    method: 'GET',
    path: '/v1/sandboxes',
    summary: 'Sandboxes, newest first',
    query: z.object({
      ...page,
      host: Text.optional(),
      state: SandboxState.optional(),
      label: z.string().optional().describe('key or key=value'),
      all: flag.describe('true: ended and removed ones too'),
      filter,
    }),
    reply: z.object({ sandboxes: z.array(Sandbox), nextCursor }),
  },
  sandboxShow: {
    method: 'GET',
    path: '/v1/sandboxes/:sandbox',
    summary: 'One sandbox',
    params: SandboxParams,
    query: z.object(wait),
    reply: SandboxDetail,
  },
  sandboxStop: {
    method: 'POST',
    path: '/v1/sandboxes/:sandbox/stop',
    summary: 'Stop signal, grace, then SIGKILL',
    params: SandboxParams,
    query: z.object(wait),
    body: z.strictObject({ signal: SignalName.optional(), graceMs: z.int().min(0).max(3_600_000).optional() }),
    reply: Sandbox,
  },
  sandboxUpdate: {
    method: 'PATCH',
    path: '/v1/sandboxes/:sandbox',
    summary: 'Change the limits of a sandbox that runs; with dryRun only what would be written is told',
    params: SandboxParams,
    query: z.object({ waitMs: wait.waitMs, dryRun: flag }),
    body: z.strictObject({ resources: ResourcesChange }),
    reply: z.object({ sandbox: Sandbox, writes: z.array(LimitWrite).describe('to the files of its cgroup') }),
  },
  sandboxPause: {
    method: 'POST',
    path: '/v1/sandboxes/:sandbox/pause',
    summary: 'Freeze everything that runs in it',
    params: SandboxParams,
    query: z.object({ waitMs: wait.waitMs }),
    reply: Sandbox,
  },
  sandboxResume: {
    method: 'POST',
    path: '/v1/sandboxes/:sandbox/resume',
    summary: 'Let a paused sandbox run again',
    params: SandboxParams,
    query: z.object({ waitMs: wait.waitMs }),
    reply: Sandbox,
  },
  sandboxStats: {
    method: 'GET',
    path: '/v1/sandboxes/:sandbox/stats',
    summary: 'What it uses of its host at this moment, as its cgroup tells',
    params: SandboxParams,
    reply: SandboxStats,
  },
  sandboxCalls: {
    method: 'GET',
    path: '/v1/sandboxes/:sandbox/calls',
    summary: 'Which system calls a sandbox with the seccomp profile `log` has made, and the strictest profile that it would do with',
    params: SandboxParams,
    reply: CalledReport,
  },
  sandboxRemove: {
    method: 'DELETE',
    path: '/v1/sandboxes/:sandbox',
    summary: 'Remove an ended sandbox; with force a running one too',
    params: SandboxParams,
    query: z.object({ ...wait, force: flag }),
    reply: Sandbox,
  },
} as const satisfies Record<string, Route>;
