/* Arguments and settings that several commands share.
 *
 * Main thread. Depends on: gateway/config, bind/script, lua. */
#ifndef CLA_CLI_OPTIONS_H
#define CLA_CLI_OPTIONS_H

#include "base/store.h"
#include "bind/script.h"
#include "gateway/config.h"

struct cla_options {
    struct cla_config config;
    struct cla_store *store; /* what the scripts share; NULL: nothing was read */
    const char *path;        /* the one argument that is no flag; NULL: none */
    bool help;               /* --help was among the flags */
};

/* Reads defaults, the file of --config (else cancela.lua in this folder, if there is one), the
 * environment and the flags in argv[1..argc). At most one other argument is taken, and only if
 * 'what' names it. Returns 0 (free with cla_options_fini()), or an exit code after a message. */
int cla_options_read(struct cla_options *options, int argc, char **argv, const char *what);

/* Frees what cla_options_read() made. */
void cla_options_fini(struct cla_options *options);

/* What loading a script needs of the settings. */
struct cla_script_options cla_options_script(const struct cla_config *config,
                                             struct cla_store *store, struct cla_loop *loop,
                                             struct cla_log *log);

/* Loads the script of 'options' into a VM on 'loop'; 'log' is the script's own. What it reads is
 * noted in 'files', unless that is NULL. Returns 0 (free with cla_script_free()), or an exit code
 * after a message. */
int cla_options_load(const struct cla_options *options, struct cla_loop *loop, struct cla_log *log,
                     struct cla_file_set *files, struct cla_script **out);

/* Reads the settings file at 'path' into 'config'. Returns 0, or -CLA_EINVAL with 'error'. */
int cla_options_read_file(struct cla_config *config, const char *path,
                          struct cla_config_error *error);

#endif
