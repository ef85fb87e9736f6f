/* Loading a script file.
 *
 * The thread that the VM is on. Depends on: bind/script. */
#ifndef CLA_BIND_LOAD_H
#define CLA_BIND_LOAD_H

#include "bind/script.h"

/* Runs the file at 'path', whose folder goes first in package.path, takes the app it returns, and
 * calls its on_load. Not on the thread of the VM's loop, if need be: that is not touched. Returns
 * 0, or -CLA_ESCRIPT with what was wrong, file:line first, appended to 'error'. */
int cla_load_script(struct cla_script *script, const struct cla_script_options *options,
                    const char *path, struct cla_buf *error);

#endif
