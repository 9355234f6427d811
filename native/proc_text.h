/* Small texts of /proc, parsed. TEXT may hold anything and need not end with NUL; nothing is read beyond BYTES. */
#ifndef NSF_PROC_TEXT_H
#define NSF_PROC_TEXT_H

#include "nsfleet.h"

#include <stddef.h>


/* The status flags in /proc/<pid>/fdinfo/<fd> ("flags:\t02002", octal; proc_pid_fdinfo(5)), or -1. */
long nsf_parse_fd_flags(const char *text, size_t bytes);

/* The three numbers of /proc/<pid>/schedstat; all but the inode. Whether there are three and the kernel counts at all. */
int nsf_parse_runs(const char *text, size_t bytes, struct nsf_runs *out);

/* The number of threads of the host, which stands behind the slash in /proc/loadavg (proc_loadavg(5)); 0: it says none, or more than fit. */
uint32_t nsf_parse_threads(const char *text, size_t bytes);

/* From /proc/<pid>/schedstat, NAME being the pid; false where the kernel keeps none (CONFIG_SCHED_INFO), or the process has ended. */
int nsf_read_runs(int proc, const char *name, struct nsf_runs *runs);
/* The same process, which has not run from the one reading to the other. */
int nsf_same_runs(const struct nsf_runs *a, const struct nsf_runs *b);

#endif
