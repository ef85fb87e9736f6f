#include "io/certificate.h"

#include "base/mem.h"

/* Copies 'text' with its end to '*at', which moves behind it. */
static const char *place(char **at, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = memcpy(*at, text, n);

    *at += n;
    return copy;
}

struct cla_certificate *cla_certificate_new(const char *subject, const char *issuer,
                                            const char *serial, const char *fingerprint)
{
    size_t n = strlen(subject) + strlen(issuer) + strlen(serial) + strlen(fingerprint) + 4;
    struct cla_certificate *certificate = cla_mem_alloc(sizeof *certificate + n);
    char *at = (char *)(certificate + 1);

    if (certificate == NULL)
        return NULL;
    certificate->refs = 1;
    certificate->subject = place(&at, subject);
    certificate->issuer = place(&at, issuer);
    certificate->serial = place(&at, serial);
    certificate->fingerprint = place(&at, fingerprint);
    return certificate;
}

struct cla_certificate *cla_certificate_ref(struct cla_certificate *certificate)
{
    if (certificate != NULL)
        certificate->refs++;
    return certificate;
}

void cla_certificate_put(struct cla_certificate **certificate)
{
    if (*certificate != NULL && --(*certificate)->refs == 0)
        cla_mem_free(*certificate);
    *certificate = NULL;
}
