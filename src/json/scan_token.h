/* The scanner's tokens that have an inside. Private to json.
 *
 * Any thread. Depends on: json/scan. */
#ifndef CLA_JSON_SCAN_TOKEN_H
#define CLA_JSON_SCAN_TOKEN_H

#include "json/scan.h"

/* Reads the string whose opening quote is at scan->p and sets 'string' and 'escaped'; p goes
 * behind the closing quote. Returns false with 'error' and 'error_at' set if it is none. */
bool cla_json_scan_string(struct cla_json_scan *scan);

/* Reads the number at scan->p (a minus sign or a digit) and sets 'integer' or 'number'; p goes
 * behind it. Returns INT, NUMBER, or ERROR with 'error' and 'error_at' set. */
enum cla_json_event cla_json_scan_number(struct cla_json_scan *scan);

/* Records what is wrong at 'at'. Returns ERROR. */
enum cla_json_event cla_json_scan_fail(struct cla_json_scan *scan, const char *at,
                                       const char *error);

#endif
