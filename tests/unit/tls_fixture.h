/* Certificates for tests of TLS, made once a program, and contexts that use them. */
#ifndef CLA_TEST_TLS_FIXTURE_H
#define CLA_TEST_TLS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/tls_context.h"

/* Where the certificates are: see tests/certificates. */
static char tls_folder[] = "/tmp/cancela-tls-XXXXXX";

/* Group set-up and tear-down of cmocka. */
static inline int tls_make_certificates(void **state)
{
    char command[256];

    if (mkdtemp(tls_folder) == NULL)
        return -1;
    snprintf(command, sizeof command, "'%s/certificates' '%s'", TEST_FOLDER, tls_folder);
    return system(command);
}

static inline int tls_remove_certificates(void **state)
{
    char command[64];

    snprintf(command, sizeof command, "rm -r '%s'", tls_folder);
    return system(command);
}

/* The path of a file in the folder; good until eight more were asked for. */
static inline const char *tls_path(const char *name)
{
    static char paths[8][64];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", tls_folder, name);
    return path;
}

static inline struct cla_tls_server_files tls_server_files(enum cla_tls_client_auth auth)
{
    return (struct cla_tls_server_files){
        .cert = {"tls_cert", tls_path("server.pem")},
        .key = {"tls_key", tls_path("server.key")},
        .client_ca = {"tls_client_ca", tls_path("ca.pem")},
        .client_auth = auth,
    };
}

static inline struct cla_tls_context *tls_server(enum cla_tls_client_auth auth)
{
    const struct cla_tls_server_files files = tls_server_files(auth);
    struct cla_tls_context *context;
    struct cla_tls_error error;

    assert_int_equal(cla_tls_context_new_server(&context, &files, &error), 0);
    return context;
}

/* A client that trusts ca.pem; 'name' is of its own certificate and key, NULL: none. */
static inline struct cla_tls_context *tls_client(const char *name)
{
    struct cla_tls_client_files files = {.ca = {"--cacert", tls_path("ca.pem")}};
    struct cla_tls_context *context;
    struct cla_tls_error error;
    char file[32];

    if (name != NULL) {
        snprintf(file, sizeof file, "%s.pem", name);
        files.cert = (struct cla_tls_file){"--cert", tls_path(file)};
        snprintf(file, sizeof file, "%s.key", name);
        files.key = (struct cla_tls_file){"--key", tls_path(file)};
    }
    assert_int_equal(cla_tls_context_new_client(&context, &files, &error), 0);
    return context;
}

#endif
