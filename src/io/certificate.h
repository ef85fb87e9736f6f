/* What is told of a peer's verified certificate: plain texts.
 *
 * One thread. Depends on: base. Made by io/tls; everybody else reads. */
#ifndef CLA_IO_CERTIFICATE_H
#define CLA_IO_CERTIFICATE_H

#include "base/slice.h"

struct cla_certificate {
    unsigned refs;
    const char *subject;     /* RFC 2253, UTF-8 */
    const char *issuer;      /* RFC 2253, UTF-8 */
    const char *serial;      /* hexadecimal, upper case */
    const char *fingerprint; /* SHA-256 of the DER form: 64 digits, lower case */
};

/* Copies texts into one block. Returns NULL if there is no memory. */
struct cla_certificate *cla_certificate_new(const char *subject, const char *issuer,
                                            const char *serial, const char *fingerprint);

/* Takes one more reference. Returns 'certificate', which may be NULL. */
struct cla_certificate *cla_certificate_ref(struct cla_certificate *certificate);

/* Gives up a reference, and clears it; the last one frees. '*certificate' may be NULL. */
void cla_certificate_put(struct cla_certificate **certificate);

#endif
