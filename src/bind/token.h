/* Tokens and registrations for scripts.
 *
 * VM thread. Depends on: task/scope, lua. */
#ifndef CLA_BIND_TOKEN_H
#define CLA_BIND_TOKEN_H

#include "task/scope.h"

/* Creates the metatables. May raise. */
void cla_token_setup(lua_State *L);

/* Pushes the token of an open scope, always the same object. May raise. */
void cla_token_push(lua_State *L, struct cla_scope *scope);

/* Puts the token in the place of the new loose scope on top of the stack; it keeps what is at
 * 'keeps_at'. May raise. */
void cla_token_push_loose(lua_State *L, int keeps_at);

/* The scope of the token at 'index', open or not. Raises if it is none. */
struct cla_scope *cla_token_check(lua_State *L, int index);

/* What the scheduler does with registrations of this module. */
extern const struct cla_sched_ops cla_token_sched_ops;

#endif
