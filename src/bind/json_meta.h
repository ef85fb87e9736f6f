/* The metatables that say what a table is in JSON. Private to the codec.
 *
 * The state's own thread. Depends on: lua. */
#ifndef CLA_BIND_JSON_META_H
#define CLA_BIND_JSON_META_H

#include <lua.h>

/* Their keys in the registry (by address). */
extern const char cla_json_meta_array;
extern const char cla_json_meta_object;

/* Where each holds its own key: looking there is quicker than finding it in the registry. */
#define CLA_JSON_META_SELF 1

#endif
