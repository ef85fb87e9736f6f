/* Random operations on a tree of tokens, against a model that is too simple to be wrong: arrays of
 * parents, reasons and deadlines, searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cancel/token.h"
#include "seed.h"

#define TOKENS 24
#define OPERATIONS 100000
#define NONE (-1)

static struct {
    bool live;
    int parent;
    enum cla_cancel_kind kind;
    uint64_t at, deadline;
} model[TOKENS];

static struct cla_token tokens[TOKENS];
static uint64_t now;

static int any_live(void)
{
    int i = (int)seed_below(TOKENS);

    return model[i].live ? i : NONE;
}

static bool is_under(int i, int root)
{
    while (i != NONE && i != root)
        i = model[i].parent;
    return i == root;
}

static void begin(void)
{
    int i = (int)seed_below(TOKENS), parent = any_live();
    uint64_t deadline = seed_below(2) == 0 ? CLA_NEVER : now + seed_below(200);

    if (model[i].live)
        return;
    cla_token_init(&tokens[i], parent != NONE ? &tokens[parent] : NULL, deadline);
    model[i].live = true;
    model[i].parent = parent;
    model[i].kind = parent != NONE ? model[parent].kind : CLA_CANCEL_NONE;
    model[i].at = parent != NONE ? model[parent].at : 0;
    if (parent != NONE && model[parent].deadline < deadline)
        deadline = model[parent].deadline;
    model[i].deadline = deadline;
}

static void end(void)
{
    int i = any_live();

    if (i == NONE)
        return;
    cla_token_end(&tokens[i]);
    cla_reason_fini(&tokens[i].reason);
    model[i].live = false;
    for (int j = 0; j < TOKENS; j++) {
        if (model[j].live && model[j].parent == i)
            model[j].parent = NONE;
    }
}

static void cancel(void)
{
    int i = any_live();
    enum cla_cancel_kind kind = 1 + (enum cla_cancel_kind)seed_below(CLA_CANCEL_KINDS - 1);
    bool first;

    if (i == NONE)
        return;
    first = model[i].kind == CLA_CANCEL_NONE;
    assert_int_equal(cla_token_cancel(&tokens[i], kind, now, CLA_LIT("why")), first);
    if (!first)
        return;
    if (now >= model[i].deadline)
        kind = CLA_CANCEL_TIMEOUT;
    for (int j = 0; j < TOKENS; j++) {
        if (model[j].live && model[j].kind == CLA_CANCEL_NONE && is_under(j, i)) {
            model[j].kind = kind;
            model[j].at = now;
        }
    }
}

/* The walk visits exactly the subtree, each token once, children before parents. */
static void check_walk(int root)
{
    bool seen[TOKENS] = {false};
    struct cla_token *token = NULL;

    while ((token = cla_token_next(&tokens[root], token)) != NULL) {
        int i = (int)(token - tokens);

        assert_false(seen[i]);
        seen[i] = true;
        assert_true(is_under(i, root));
        for (int j = 0; j < TOKENS; j++)
            assert_true(!model[j].live || model[j].parent != i || seen[j]);
    }
    for (int j = 0; j < TOKENS; j++)
        assert_int_equal(seen[j], model[j].live && is_under(j, root));
}

static void check(void)
{
    for (int i = 0; i < TOKENS; i++) {
        if (!model[i].live)
            continue;
        assert_int_equal(tokens[i].reason.kind, model[i].kind);
        assert_int_equal(tokens[i].reason.at_ns, model[i].at);
        assert_int_equal(tokens[i].deadline_ns, model[i].deadline);
        assert_ptr_equal(tokens[i].parent,
                         model[i].parent != NONE ? &tokens[model[i].parent] : NULL);
    }
}

static void tree_agrees_with_its_model(void **state)
{
    static void (*const operations[])(void) = {begin, begin, begin, end, cancel};

    seed_init();
    for (int n = 0; n < OPERATIONS; n++) {
        int root;

        now += seed_below(10);
        operations[seed_below(CLA_ARRAY_LEN(operations))]();
        if (n % 16 == 0)
            check();
        if (n % 16 == 0 && (root = any_live()) != NONE)
            check_walk(root);
    }
    for (int i = 0; i < TOKENS; i++) {
        if (model[i].live) {
            cla_token_end(&tokens[i]);
            cla_reason_fini(&tokens[i].reason);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_agrees_with_its_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
