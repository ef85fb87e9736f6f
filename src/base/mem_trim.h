/* How the C library gets its memory from the system, and gives it back.
 *
 * Any thread. Depends on: nothing. */
#ifndef CLA_BASE_MEM_TRIM_H
#define CLA_BASE_MEM_TRIM_H

/* Gives whole pages that the C library's heap has free back to the system, where the library can be
 * asked to (glibc). Takes about a millisecond for every 10 MiB. */
void cla_mem_trim(void);

/* Lets there be at most 'most' heaps, which threads that come later share: glibc gives each thread
 * one of its own, up to eight for each processor, and each keeps what others' data lies amid.
 * Before there are other threads. */
void cla_mem_limit_heaps(unsigned most);

#endif
