/* Gives free memory back to the system.
 *
 * Any thread. Depends on: nothing. */
#ifndef CLA_BASE_MEM_TRIM_H
#define CLA_BASE_MEM_TRIM_H

/* Gives whole pages that the C library's heap has free back to the system, where the library can be
 * asked to (glibc). Takes about a millisecond for every 10 MiB. */
void cla_mem_trim(void);

#endif
