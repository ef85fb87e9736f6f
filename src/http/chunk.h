/* The chunked transfer coding (RFC 9112 section 7.1): bytes in, pieces of body out.
 *
 * One thread. Depends on: base, http/fault. Pure.
 *
 * llhttp's own decoder is not used: it takes bare LFs and sizes of 2^64 - 1, and a gate in front
 * of it would have to follow the framing byte by byte, which makes it a decoder. */
#ifndef CLA_HTTP_CHUNK_H
#define CLA_HTTP_CHUNK_H

#include <stdint.h>

#include "base/slice.h"
#include "http/fault.h"

#define CLA_HTTP_CHUNK_EXTENSIONS_MAX 4096 /* bytes of chunk extensions in one body */

/* Zeroed, then the limits set, before each body. */
struct cla_http_chunk {
    unsigned state;         /* a row of the table in chunk.c */
    unsigned digits;        /* of the current size line */
    uint64_t size;          /* bytes left of the current chunk */
    uint64_t body_left;     /* how much more body is allowed */
    size_t extension_bytes; /* seen so far */
    size_t trailer_left;    /* how many more bytes of trailer are allowed */
    unsigned fields_left;   /* how many more trailer fields are allowed */
    uint64_t body_limit;    /* the two limits as they are named in errors */
    size_t head_limit;
};

enum cla_http_chunk_result {
    CLA_HTTP_CHUNK_MORE, /* all bytes taken */
    CLA_HTTP_CHUNK_DATA, /* 'data' is some of the body; call again with the rest */
    CLA_HTTP_CHUNK_END,  /* the last chunk and the trailer are over */
    CLA_HTTP_CHUNK_FAILED,
};

/* Reads from p[*at..n) and moves '*at' behind what was used. Trailer fields are checked and
 * dropped. 'data' is borrowed from p. */
enum cla_http_chunk_result cla_http_chunk_feed(struct cla_http_chunk *chunk, const char *p,
                                               size_t n, size_t *at, struct cla_slice *data,
                                               struct cla_http_fault *fault);

#endif
