#include "base/error.h"

#include "base/check.h"

static const struct cla_code_info codes[CLA_CODE_COUNT] = {
#define X(symbol, number, name, http, jsonrpc, text) [number] = {name, http, jsonrpc, text},
    CLA_CODE_TABLE(X)
#undef X
};

static const char *const texts[CLA_E_COUNT] = {[CLA_E_NONE] = "no error",
#define X(symbol, text) [CLA_##symbol] = text,
                                               CLA_E_TABLE(X)
#undef X
};

const struct cla_code_info *cla_code_info(enum cla_code code)
{
    CLA_PRE((unsigned)code < CLA_CODE_COUNT);
    return &codes[code];
}

bool cla_code_by_name(struct cla_slice name, enum cla_code *code)
{
    for (unsigned i = 0; i < CLA_CODE_COUNT; i++) {
        if (cla_slice_eq(name, cla_slice_str(codes[i].name))) {
            *code = (enum cla_code)i;
            return true;
        }
    }
    return false;
}

const char *cla_error_text(int rc)
{
    if (rc > 0 || -rc >= CLA_E_COUNT)
        return "unknown error";
    return texts[-rc];
}
