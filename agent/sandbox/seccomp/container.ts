/**
 * About what Docker’s default profile lets through (moby/profiles, seccomp/default.json, of 2025), so that what runs there runs here: debuggers,
 * NUMA, sockets of any family but the hypervisor’s and the audit system’s. Wider than `strict` by parts of the kernel that seldom do harm.
 */
import { isOneOf, words } from './profile.ts';
import type { Profile } from './profile.ts';
import { strict, terminalInjection } from './strict.ts';

const [afNetlink, netlinkAudit] = [16n, 9n];
/** AF_VSOCK: of no network namespace. */
const afVsock = 40n;

export const container: Profile = {
  name: 'container',
  allow: [
    ...strict.allow,
    ...words('ptrace process_vm_readv process_vm_writev process_madvise kcmp modify_ldt name_to_handle_at fanotify_mark'),
    ...words('get_mempolicy set_mempolicy mbind adjtimex clock_adjtime statmount listmount lsm_get_self_attr'),
    ...words('lsm_set_self_attr lsm_list_modules'),
  ],
  absent: strict.absent,
  rules: [
    ...strict.rules.filter(({ call }) => !['ioctl', 'socket'].includes(call)),
    { call: 'ioctl', when: isOneOf(1, terminalInjection), gives: 'EPERM', otherwise: 'allow' },
    {
      call: 'socket',
      when: [
        [{ argument: 0, is: afVsock }],
        [
          { argument: 0, is: afNetlink },
          { argument: 2, is: netlinkAudit },
        ],
      ],
      gives: 'EPERM',
      otherwise: 'allow',
    },
  ],
  byCapability: strict.byCapability,
};
