/* How the C library gets its memory from the system, and gives it back.
 *
 * Any thread. Depends on: nothing. */
#ifndef CLA_BASE_MEM_TRIM_H
#define CLA_BASE_MEM_TRIM_H

/* Gives whole pages that the C library's heap has free back to the system, where the library can be
 * asked to (glibc). Takes about a millisecond for every 10 MiB. */
void cla_mem_trim(void);

/* Lets all threads share one heap, for a process in which only one of them allocates much: glibc
 * gives each thread a heap of its own, which grows by a system call for every page. Before there
 * are other threads. */
void cla_mem_share_heap(void);

#endif
