/* The topics that a script declares. Private to bind/script and bind/publish.
 *
 * VM thread. Depends on: bind/script, gateway/bulletin. */
#ifndef CLA_BIND_SCRIPT_TOPICS_H
#define CLA_BIND_SCRIPT_TOPICS_H

#include "bind/script.h"

/* Takes the topics of the normalised app on top of the stack, in the place of those it has. May
 * raise; then it has some of them. */
void cla_script_take_topics(struct cla_script *script, lua_State *L);

/* Frees them. */
void cla_script_forget_topics(struct cla_script *script);

/* The rules of the topic 'name': those declared for it, else those of the longest declared
 * beginning, else the default. */
const struct cla_topic_rules *cla_script_topic_rules(const struct cla_script *script,
                                                     struct cla_slice name);

#endif
