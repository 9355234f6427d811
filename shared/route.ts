/** What routes of the HTTP API are made of. */
import { z } from 'zod';
import { SandboxState } from './sandbox.ts';

/** Longest that a request waits for a sandbox to reach a state. */
export const waitMaxMs = 300_000;

export type Route = {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  summary: string;
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodObject;
  /** The reply of the good case, always 200. */
  reply: z.ZodType;
};

export const page = {
  limit: z.coerce.number().int().min(1).max(10_000).default(1000),
  cursor: z.string().max(200).optional().describe('nextCursor of the page before'),
};
export const nextCursor = z.string().nullable().describe('null on the last page');
export const wait = {
  wait: SandboxState.optional().describe('answer when it is in this state, or in one from which it cannot get there'),
  waitMs: z.coerce.number().int().min(0).max(waitMaxMs).default(30_000),
};
export const flag = z.enum(['true', 'false']).default('false');
