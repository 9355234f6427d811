/** The WebSocket part of the API: paths, first messages, close codes. */
import { z } from 'zod';
import { TargetName } from './act.ts';
import { Seq, Since, TypeList, eventChoice } from './event-query.ts';
import { JoinRequest } from './messages.ts';
import { WireError } from './sandbox.ts';

/**
 * WebSocket routes. The client opens with `Authorization: Bearer`, sends one text message (JSON) and then binary frames of
 * frames.ts; the server answers with frames. Flow control on the WebSocket is TCP's own: credit frames do not appear here.
 */
export const sockets = {
  /** first message: HostExecRequest */
  hostExec: {
    path: '/v1/hosts/:host/exec',
    summary: 'Run a program of the host in chosen namespaces; the host’s own policy must allow it',
  },
  /** first message: ExecRequest of messages.ts */
  sandboxExec: { path: '/v1/sandboxes/:sandbox/exec', summary: 'Run a command in a running sandbox' },
  /** first message: {"follow": boolean} */
  sandboxLogs: { path: '/v1/sandboxes/:sandbox/logs', summary: 'What its command wrote; ends with its exit status when followed' },
  /** first message: FollowRequest; then text messages of the server only */
  eventFollow: { path: '/v1/events/follow', summary: 'Events as they happen, from a number or moment on, exactly once and in order' },
} as const;

/**
 * First message of `/v1/events/follow`. The server answers with one text message an event (JSON, the model Event), from `since` on exactly
 * once and in order. Before it closes for a reason of its own it sends a FollowEnd. Resume after its `last`, else after the last event that came.
 */
export const FollowRequest = z.strictObject({
  since: Since.optional().describe(`${Since.description}; default: those that happen from now on`),
  types: TypeList.optional(),
  ...eventChoice,
});
export type FollowRequest = z.infer<typeof FollowRequest>;

/** The last message, where the server ends it. */
export const FollowEnd = z.object({
  error: WireError,
  last: Seq.optional().describe('all events up to that number were looked at, and sent where they were wanted'),
});
export type FollowEnd = z.infer<typeof FollowEnd>;

/** RFC 6455 and its registry. After each the client may come again, except after `refused`. */
export const followClosed = { ending: 1012, tooSlow: 1013, failed: 1011, refused: 1008 } as const;

/** First message of `/v1/hosts/:host/exec`. */
export const HostExecRequest = z.strictObject({
  ...JoinRequest.omit({ targets: true }).shape,
  targets: z
    .array(TargetName)
    .max(8)
    .refine((targets) => new Set(targets.map(({ type }) => type)).size === targets.length, 'each type once'),
});
export type HostExecRequest = z.infer<typeof HostExecRequest>;
