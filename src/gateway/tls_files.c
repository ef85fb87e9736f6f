#include "gateway/tls_files.h"

#include <stdio.h>

#include "gateway/listen.h"

bool cla_tls_files_wanted(const struct cla_config *config)
{
    struct cla_listen listen;

    for (size_t i = 0; i < config->listen.count; i++) {
        (void)cla_listen_read(config->listen.items[i], &listen);
        if (listen.tls)
            return true;
    }
    return false;
}

int cla_tls_files_load(const struct cla_config *config, struct cla_tls_context **out,
                       struct cla_config_error *error)
{
    const struct cla_tls_server_files files = {
        .cert = {"tls_cert", config->tls_cert},
        .key = {"tls_key", config->tls_key},
        .client_ca = {"tls_client_ca", config->tls_client_ca},
        .client_auth = (enum cla_tls_client_auth)config->tls_client_auth,
    };
    struct cla_tls_error why;
    int rc = cla_tls_context_new_server(out, &files, &why);

    if (rc != 0)
        snprintf(error->text, sizeof error->text, "%s", why.text);
    return rc;
}

const char *cla_tls_files_warning(const struct cla_config *config)
{
    if (!cla_tls_files_wanted(config))
        return config->tls_cert != NULL || config->tls_client_auth != CLA_TLS_CLIENT_NONE
                   ? "the settings of TLS have no effect: no address in 'listen' begins with "
                     "https://"
                   : NULL;
    if (config->tls_client_ca != NULL && config->tls_client_auth == CLA_TLS_CLIENT_NONE)
        return "tls_client_ca has no effect: set tls_client_auth to optional or require";
    return NULL;
}
