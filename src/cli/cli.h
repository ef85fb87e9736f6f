/* The commands of the binary.
 *
 * Main thread. Depends on: all. Each command gets its own arguments, argv[0] its name, and returns
 * the process's exit code. */
#ifndef CLA_CLI_CLI_H
#define CLA_CLI_CLI_H

/* Exit codes, documented in docs/operations.md and the man page. */
enum cla_exit {
    CLA_EXIT_OK = 0,
    CLA_EXIT_FAILED = 1,    /* the script does not load, a test failed, the call failed */
    CLA_EXIT_USAGE = 2,     /* unknown flag or setting, bad value */
    CLA_EXIT_NETWORK = 3,   /* cannot listen, cannot connect */
    CLA_EXIT_DEADLINE = 4,  /* the call's deadline passed */
    CLA_EXIT_ABANDONED = 5, /* shutdown left calls behind */
    CLA_EXIT_INTERRUPTED = 130,
};

/* cancela run APP [flags]: serves a script. */
int cla_cli_run(int argc, char **argv);

/* cancela check APP: loads a script and lists its procedures. */
int cla_cli_check(int argc, char **argv);

/* cancela test [busted arguments]: runs specs in the runtime. */
int cla_cli_test(int argc, char **argv);

/* cancela config [flags]: prints every setting, its value and where it comes from. */
int cla_cli_config(int argc, char **argv);

#endif
