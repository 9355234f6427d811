/** What makes two requests the same: the parsed content, whatever the order of its fields. */
import { hash } from 'node:crypto';
import type { SandboxRequest } from '#shared/sandbox.ts';

/** 64 hex digits. */
export function requestHash(request: SandboxRequest): string {
  return hash('sha256', canonical(request));
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  const sorted = fields.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join(',')}}`;
}
