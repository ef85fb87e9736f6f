/* The path of a request target, segment by segment (RFC 3986 section 3.3).
 *
 * Any thread. Depends on: base. Pure. Segments are compared and read decoded, so that an escaped
 * slash separates nothing. */
#ifndef CLA_HTTP_PATH_H
#define CLA_HTTP_PATH_H

#include "base/buf.h"

/* NULL if 'path' begins with a slash, its escapes are well-formed and none is of NUL, and no segment
 * is "." or "..", written out or escaped: clients resolve these. Else what is wrong, one line for
 * people. The functions below take only paths that are right. */
const char *cla_http_path_problem(struct cla_slice path);

/* Cuts the first segment, with the slash before it, off '*rest'. False: there is none. "/a/" has
 * two segments, the second of them empty. */
bool cla_http_path_next(struct cla_slice *rest, struct cla_slice *segment);

/* How many segments there are. */
size_t cla_http_path_count(struct cla_slice path);

/* True if 'segment', decoded, is 'text'. */
bool cla_http_segment_is(struct cla_slice segment, struct cla_slice text);

#endif
