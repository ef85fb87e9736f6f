/* IP addresses and networks, between text and bytes.
 *
 * Any thread. Depends on: base/slice. Pure. */
#ifndef CLA_BASE_IP_H
#define CLA_BASE_IP_H

#include <stdint.h>

#include "base/slice.h"

/* Room for any address as text, in brackets, with a port behind it. */
#define CLA_IP_TEXT 64

/* An IPv4 address is held as the IPv6 address that stands for it (RFC 4291 section 2.5.5.2), so the
 * two spellings of one client are equal. */
struct cla_ip {
    unsigned char bytes[16];
};

/* The addresses that begin with the same 'bits' bits. */
struct cla_ip_net {
    struct cla_ip ip;
    unsigned bits; /* of the 128 */
};

/* The IPv4 address of these four bytes. */
struct cla_ip cla_ip_v4(const unsigned char bytes[4]);

/* Reads "192.0.2.1" or "2001:db8::1", without brackets or zone. Returns 0 or -CLA_EINVAL. */
int cla_ip_read(struct cla_slice text, struct cla_ip *ip);

/* Reads "192.0.2.0/24", "2001:db8::/32", or one address. Returns 0, or -CLA_EINVAL (also if bits
 * behind the network's are set). */
int cla_ip_net_read(struct cla_slice text, struct cla_ip_net *net);

/* True if 'ip' stands for an IPv4 address. */
bool cla_ip_is_v4(const struct cla_ip *ip);

/* True for 127.0.0.0/8 and ::1. */
bool cla_ip_is_loopback(const struct cla_ip *ip);

/* True if 'ip' is in 'net'. */
bool cla_ip_in(const struct cla_ip *ip, const struct cla_ip_net *net);

/* Writes the address, IPv6 in brackets, and ":port" unless 'port' is negative. Returns how many
 * bytes it wrote, without the NUL. */
size_t cla_ip_print(const struct cla_ip *ip, int port, char text[CLA_IP_TEXT]);

#endif
