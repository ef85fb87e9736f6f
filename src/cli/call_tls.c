#include "cli/call_tls.h"

int cla_call_tls_open(const struct cla_call_args *args, struct cla_tls_context **out)
{
    const struct cla_tls_client_files files = {
        .ca = {"--cacert", args->cacert},
        .cert = {"--cert", args->cert},
        .key = {"--key", args->key},
        .insecure = args->insecure,
    };
    struct cla_tls_error error;

    *out = NULL;
    if (!args->tls || cla_tls_context_new_client(out, &files, &error) == 0)
        return 0;
    return cla_call_args_fail("%s", error.text);
}
