/* The TLS of https:// listeners, from the settings.
 *
 * Any thread, one at a time. Depends on: gateway/config, io/tls_context. */
#ifndef CLA_GATEWAY_TLS_FILES_H
#define CLA_GATEWAY_TLS_FILES_H

#include "gateway/config.h"
#include "io/tls_context.h"

/* True if an address in 'listen' begins with https://. */
bool cla_tls_files_wanted(const struct cla_config *config);

/* Reads the files that tls_cert, tls_key and tls_client_ca name. Returns 0 with a context whose
 * reference is the caller's, or -CLA_EINVAL or -CLA_ENOMEM with 'error'. */
int cla_tls_files_load(const struct cla_config *config, struct cla_tls_context **out,
                       struct cla_config_error *error);

/* What is wrong with the settings of TLS that no file shows: that they have no effect. NULL:
 * nothing. */
const char *cla_tls_files_warning(const struct cla_config *config);

#endif
