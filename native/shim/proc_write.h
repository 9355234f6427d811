#ifndef NSFLEET_SHIM_PROC_WRITE_H
#define NSFLEET_SHIM_PROC_WRITE_H

/* Writes content into /proc/<pid>/<name> at once; pid 0: this process's. 0 or -errno. */
int proc_write(int pid, const char *name, const char *content);

#endif
