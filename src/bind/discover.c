/* The document is made when the script loads, so that a call of rpc.discover only copies it.
 *
 * Writing goes on after memory has run out, into nothing; the first failure is what counts. */
#include "bind/discover.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>

#include "base/error.h"
#include "json/write.h"

#define NAME "rpc.discover"

struct writer {
    struct cla_buf *out;
    int rc;
};

static void add(struct writer *w, struct cla_slice text)
{
    if (w->rc == 0)
        w->rc = cla_buf_add(w->out, text);
}

static void add_string(struct writer *w, struct cla_slice text)
{
    if (w->rc == 0)
        w->rc = cla_json_write_text(w->out, text);
}

static void add_number(struct writer *w, int64_t value)
{
    if (w->rc == 0)
        w->rc = cla_json_write_int(w->out, value);
}

/* A flag of x-cancela that is set. */
static void add_flag(struct writer *w, bool set, struct cla_slice text)
{
    if (set)
        add(w, text);
}

uint64_t cla_discover_timeout_ms(const struct cla_script *script,
                                 const struct cla_script_procedure *procedure)
{
    uint64_t timeout =
        procedure->base.timeout_ns > 0 ? procedure->base.timeout_ns : script->call_timeout_ns;

    if (cla_discover_idles(procedure))
        return script->stream_idle_timeout_ns / CLA_NS_PER_MS;
    if (timeout > script->max_call_timeout_ns)
        timeout = script->max_call_timeout_ns;
    return timeout / CLA_NS_PER_MS;
}

/* --- Params and result. --- */

static void add_member(struct writer *w, const struct cla_json_schema_member *member, size_t at)
{
    char position[32];
    int n = snprintf(position, sizeof position, "param%zu", at + 1);

    add(w, CLA_LIT("{\"name\":"));
    add_string(w, member->name.n > 0 ? member->name : cla_slice(position, (size_t)n));
    if (member->description.n > 0) {
        add(w, CLA_LIT(",\"description\":"));
        add(w, member->description);
    }
    add(w, member->required ? CLA_LIT(",\"required\":true") : CLA_LIT(",\"required\":false"));
    add_flag(w, member->deprecated, CLA_LIT(",\"deprecated\":true"));
    add(w, CLA_LIT(",\"schema\":"));
    add(w, member->text);
    add(w, CLA_LIT("}"));
}

static void add_params(struct writer *w, const struct cla_json_schema *params)
{
    struct cla_json_schema_member member;
    bool array;

    if (params == NULL) {
        add(w, CLA_LIT(",\"paramStructure\":\"either\",\"params\":[]"));
        return;
    }
    array = cla_json_schema_types(params) == CLA_JSON_TYPE_ARRAY;
    add(w, CLA_LIT(",\"paramStructure\":\""));
    add(w, array ? CLA_LIT("by-position\",\"params\":[") : CLA_LIT("by-name\",\"params\":["));
    for (size_t i = 0; cla_json_schema_member(params, i, &member); i++) {
        if (i > 0)
            add(w, CLA_LIT(","));
        add_member(w, &member, i);
    }
    add(w, CLA_LIT("],\"x-params\":"));
    add(w, cla_json_schema_text(params));
}

static void add_result(struct writer *w, const struct cla_json_schema *result)
{
    add(w, CLA_LIT(",\"result\":{\"name\":\"result\",\"schema\":"));
    add(w, result != NULL ? cla_json_schema_text(result) : CLA_LIT("{}"));
    add(w, CLA_LIT("}"));
}

/* --- Methods. --- */

static void add_error(struct writer *w, enum cla_code code)
{
    const struct cla_code_info *info = cla_code_info(code);

    add(w, CLA_LIT("{\"code\":"));
    add_number(w, info->jsonrpc);
    add(w, CLA_LIT(",\"message\":"));
    add_string(w, cla_slice_str(info->text));
    add(w, CLA_LIT(",\"data\":{\"code\":"));
    add_string(w, cla_slice_str(info->name));
    add(w, CLA_LIT("}}"));
}

/* Those that the gateway itself answers with; a script may raise any. */
static void add_errors(struct writer *w, const struct cla_script_procedure *p, bool guarded)
{
    add(w, CLA_LIT(",\"errors\":["));
    if (p->params != NULL) {
        add_error(w, CLA_CODE_INVALID_ARGUMENT);
        add(w, CLA_LIT(","));
    }
    if (guarded) {
        add_error(w, CLA_CODE_UNAUTHENTICATED);
        add(w, CLA_LIT(","));
    }
    add_error(w, CLA_CODE_DEADLINE_EXCEEDED);
    add(w, CLA_LIT("]"));
}

static void add_limits(struct writer *w, const struct cla_script *script,
                       const struct cla_script_procedure *p)
{
    add(w, cla_discover_idles(p) ? CLA_LIT(",\"x-cancela\":{\"idle_timeout_ms\":")
                                 : CLA_LIT(",\"x-cancela\":{\"timeout_ms\":"));
    add_number(w, (int64_t)cla_discover_timeout_ms(script, p));
    add_flag(w, p->base.stream, CLA_LIT(",\"stream\":true"));
    add_flag(w, p->base.read_only, CLA_LIT(",\"read_only\":true"));
    add_flag(w, p->preemptible, CLA_LIT(",\"preemptible\":true"));
    add_flag(w, p->manual, CLA_LIT(",\"cancel\":\"manual\""));
    add(w, CLA_LIT("}"));
}

static void add_method(struct writer *w, const struct cla_script *script,
                       const struct cla_script_procedure *p)
{
    add(w, CLA_LIT("{\"name\":"));
    add_string(w, p->base.name);
    if (p->summary != NULL) {
        add(w, CLA_LIT(",\"summary\":"));
        add_string(w, cla_slice_str(p->summary));
    }
    add_params(w, p->params);
    add_result(w, p->result);
    add_errors(w, p, script->authorize != LUA_NOREF);
    add_limits(w, script, p);
    add(w, CLA_LIT("}"));
}

int cla_discover_write(const struct cla_script *script, struct cla_slice info, struct cla_buf *out)
{
    struct writer w = {.out = out};

    add(&w, CLA_LIT("{\"openrpc\":\"1.3.2\",\"info\":"));
    add(&w, info);
    add(&w, CLA_LIT(",\"methods\":["));
    for (size_t i = 0; i < script->procedure_count; i++) {
        if (i > 0)
            add(&w, CLA_LIT(","));
        add_method(&w, script, &script->procedures[i]);
    }
    add(&w, CLA_LIT("]}"));
    return w.rc;
}

/* --- The procedure. --- */

static int l_discover(lua_State *L)
{
    (void)L;
    return 0; /* the result is the document */
}

void cla_discover_set_up(struct cla_script *script, lua_State *L, struct cla_slice info)
{
    struct cla_script_procedure *p = &script->discover;

    script->document.n = 0;
    if (!script->discovers)
        return;
    if (cla_discover_write(script, info, &script->document) != 0)
        luaL_error(L, "out of memory for the document of " NAME);
    *p = (struct cla_script_procedure){.base = {.name = CLA_LIT(NAME), .read_only = true},
                                       .discovers = true};
    lua_pushcfunction(L, l_discover);
    p->fn = luaL_ref(L, LUA_REGISTRYINDEX);
}
