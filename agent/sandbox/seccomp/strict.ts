/**
 * The profile that every sandbox has unless it asks for another: what programs need that compute, read and write files, start each other and
 * talk over sockets. No part of the kernel that only administrators, debuggers or container engines use; those hold most of its holes.
 */
import { hasNone, isOneOf, words } from './profile.ts';
import type { ArgumentTest, Profile } from './profile.ts';

const files = [
  ...words('open openat openat2 creat close close_range read readv pread64 preadv preadv2 write writev pwrite64'),
  ...words('pwritev pwritev2 lseek dup dup2 dup3 pipe pipe2 fcntl flock fsync fdatasync sync syncfs'),
  ...words('sync_file_range fallocate fadvise64 readahead sendfile splice tee vmsplice copy_file_range cachestat'),
  ...words('truncate ftruncate getdents getdents64 getcwd chdir fchdir umask memfd_create memfd_secret'),
  ...words('stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat'),
  ...words('rename renameat renameat2 mkdir mkdirat rmdir link linkat unlink unlinkat symlink symlinkat'),
  // The kernel itself refuses devices without the capability; FIFOs are everybody's.
  ...words('mknod mknodat chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat'),
  ...words('utime utimes futimesat utimensat file_getattr file_setattr'),
  ...words('setxattr lsetxattr fsetxattr setxattrat getxattr lgetxattr fgetxattr getxattrat'),
  ...words('listxattr llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat'),
  ...words('inotify_init inotify_init1 inotify_add_watch inotify_rm_watch ioprio_get ioprio_set'),
  ...words('io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents'),
];

const waiting = [
  ...words('poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2'),
  ...words('eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime timerfd_gettime pause alarm'),
  ...words('nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times getitimer setitimer'),
  ...words('timer_create timer_settime timer_gettime timer_getoverrun timer_delete restart_syscall'),
  ...words('futex futex_waitv futex_wait futex_wake futex_requeue set_robust_list get_robust_list membarrier rseq'),
  'rseq_slice_yield',
];

const memory = [
  ...words('brk mmap munmap mremap mprotect madvise mincore msync mlock mlock2 munlock mlockall munlockall'),
  ...words('mseal remap_file_pages pkey_alloc pkey_free pkey_mprotect map_shadow_stack arch_prctl'),
];

const processes = [
  ...words('fork vfork execve execveat exit exit_group wait4 waitid prctl set_tid_address seccomp'),
  ...words('getpid getppid gettid getpgid getpgrp setpgid getsid setsid getpriority setpriority getcpu'),
  ...words('getuid geteuid getgid getegid getgroups getresuid getresgid setuid setgid setreuid setregid'),
  ...words('setresuid setresgid setfsuid setfsgid setgroups capget capset uname sysinfo'),
  ...words('getrlimit setrlimit prlimit64 getrusage getrandom pidfd_open pidfd_send_signal process_mrelease'),
  ...words('kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait'),
  ...words('rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn sigaltstack'),
  ...words('sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler'),
  ...words('sched_setscheduler sched_getattr sched_setattr sched_get_priority_max sched_get_priority_min sched_rr_get_interval'),
  ...words('landlock_create_ruleset landlock_add_rule landlock_restrict_self get_thread_area set_thread_area'),
  // Only code that the kernel itself puts into a traced program calls these; refused, they end it.
  ...words('uprobe uretprobe'),
];

const talking = [
  ...words('socketpair bind listen connect accept accept4 shutdown getsockname getpeername getsockopt setsockopt'),
  ...words('sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg'),
  ...words('shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl'),
  ...words('mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr'),
];

/** Every CLONE_NEW… of clone(2). CLONE_NEWTIME is none there: its bit is the signal’s. */
const newNamespaces = 0x7e02_0000;
const cloneNewTime = 0x80;

/** asm-generic/ioctls.h: TIOCSTI and TIOCLINUX put words into the mouth of whoever shares the terminal (CVE-2017-5226, CVE-2023-28100). */
export const terminalInjection = [0x5412, 0x541c];
/** TIOCSETD: line disciplines are drivers of modems that hardly anybody has, loaded by whoever names one. TIOCCONS: the host’s console. */
const terminalDrivers = [0x5423, 0x541d];

/** Every value that means a Linux of this architecture, and the question which one it is (personality(2)). */
const personalities = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

const [family, , protocol] = [0, 1, 2];
const [afUnix, afInet, afInet6, afNetlink] = [1, 2, 10, 16];
const netlinkRoute = 0;
/** Of the Internet’s: default, ICMP, TCP, UDP, ICMPv6, MPTCP. Others are modules that the kernel would load for whoever asks. */
const internetProtocols = [0, 1, 6, 17, 58, 262];

function socketOf(domain: number, number?: number): ArgumentTest[] {
  const test = { argument: family, is: BigInt(domain) };
  return number === undefined ? [test] : [test, { argument: protocol, is: BigInt(number) }];
}

export const strict: Profile = {
  name: 'strict',
  allow: [...files, ...waiting, ...memory, ...processes, ...talking],
  // Its arguments are in memory, where no filter can look: libc then uses clone(2).
  absent: ['clone3'],
  rules: [
    { call: 'clone', when: hasNone(0, newNamespaces), gives: 'allow', otherwise: 'EPERM' },
    { call: 'unshare', when: hasNone(0, newNamespaces | cloneNewTime), gives: 'allow', otherwise: 'EPERM' },
    { call: 'ioctl', when: isOneOf(1, [...terminalInjection, ...terminalDrivers]), gives: 'EPERM', otherwise: 'allow' },
    { call: 'personality', when: isOneOf(0, personalities), gives: 'allow', otherwise: 'EPERM' },
    {
      call: 'socket',
      when: [
        socketOf(afUnix),
        socketOf(afNetlink, netlinkRoute),
        ...internetProtocols.flatMap((number) => [socketOf(afInet, number), socketOf(afInet6, number)]),
      ],
      gives: 'allow',
      otherwise: 'EPERM',
    },
  ],
  byCapability: {
    CAP_NET_RAW: ['socket'],
    CAP_SYS_BOOT: ['reboot'],
    CAP_SYS_CHROOT: ['chroot'],
    CAP_SYS_NICE: ['get_mempolicy', 'set_mempolicy', 'set_mempolicy_home_node', 'mbind', 'migrate_pages', 'move_pages'],
    CAP_SYS_PTRACE: ['ptrace', 'process_vm_readv', 'process_vm_writev', 'process_madvise', 'kcmp', 'pidfd_getfd'],
    CAP_SYS_ADMIN: [
      ...words('clone clone3 unshare setns chroot pivot_root mount umount2 mount_setattr move_mount open_tree'),
      ...words('open_tree_attr fsopen fsconfig fsmount fspick statmount listmount listns sethostname setdomainname'),
    ],
  },
};
