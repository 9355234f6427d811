/**
 * Who may say and hear what, as data. Allow-lists only: what is not named is denied. Never `allow_responses`: whoever asks names the
 * reply subject, and the one who answers would publish there past its own list.
 */
import { HostId } from '#shared/host.ts';
import { NsfleetError } from '#shared/errors.ts';

export type Permissions = { pub: { allow: string[] }; sub: { allow: string[] } };

/** A host hears and speaks under its own id. INVALID_INPUT for an id that is no plain subject token: `*` or `.` would widen the list. */
export function agentPermissions(hostId: string): Permissions {
  if (!HostId.safeParse(hostId).success) {
    throw new NsfleetError('INVALID_INPUT', {
      attempted: 'make NATS permissions for host',
      target: JSON.stringify(hostId).slice(0, 80),
      reason: 'a host id is 1 to 64 of A-Z a-z 0-9 _ -',
    });
  }
  return {
    pub: { allow: [`nsf.v1.evt.${hostId}.>`] },
    sub: { allow: [`nsf.v1.cmd.${hostId}.>`, 'nsf.v1.all.>', `nsf.v1.inbox.${hostId}.>`] },
  };
}

/** A controller commands, answers agents' requests and hears events. It cannot pose as an agent. */
export function controllerPermissions(): Permissions {
  return {
    pub: { allow: ['nsf.v1.cmd.>', 'nsf.v1.all.>', 'nsf.v1.inbox.>'] },
    sub: { allow: ['nsf.v1.evt.>'] },
  };
}
