/* The media types of files, by the endings of their names.
 *
 * Any thread. Depends on: base/slice. */
#ifndef CLA_HTTP_MEDIA_TYPE_H
#define CLA_HTTP_MEDIA_TYPE_H

#include "base/slice.h"

/* The Content-Type of a file of that name, text as UTF-8; of one of no known ending
 * application/octet-stream. */
const char *cla_http_media_type(struct cla_slice name);

#endif
