/* Random operations on a tree of tokens, against a model that is too simple to be wrong: arrays of
 * parents, reasons and deadlines, searched from end to end. As in the gateway no token is cancelled
 * with itself, by whatever way round. */
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
    uint64_t at, own; /* when cancelled; its own deadline */
    bool stale;       /* what it had its deadline from has ended, or was not linked after all */
} model[TOKENS];

static struct cla_token tokens[TOKENS];
static struct cla_token_link links[TOKENS][TOKENS]; /* [source][target] */
static bool linked[TOKENS][TOKENS];
static struct cla_link followers; /* of the cancel or move at hand */
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

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t deadline_of(int i)
{
    uint64_t deadline = model[i].own;

    if (model[i].parent != NONE)
        deadline = least(deadline, deadline_of(model[i].parent));
    for (int j = 0; j < TOKENS; j++) {
        if (linked[j][i])
            deadline = least(deadline, deadline_of(j));
    }
    return deadline;
}

/* Whether 'to' is cancelled with 'from'. */
static bool reaches(int from, int to)
{
    if (from == to)
        return true;
    for (int j = 0; j < TOKENS; j++) {
        if (model[j].live && (linked[from][j] || model[j].parent == from) && reaches(j, to))
            return true;
    }
    return false;
}

static void make_stale(int i)
{
    for (int j = 0; j < TOKENS; j++)
        model[j].stale = model[j].stale || (model[j].live && reaches(i, j));
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
    model[i].own = deadline;
    model[i].stale = parent != NONE && model[parent].stale;
}

static void end(void)
{
    int i = any_live();

    if (i == NONE)
        return;
    make_stale(i);
    cla_token_end(&tokens[i]);
    cla_reason_fini(&tokens[i].reason);
    model[i].live = false;
    for (int j = 0; j < TOKENS; j++) {
        linked[i][j] = linked[j][i] = false;
        if (model[j].live && model[j].parent == i)
            model[j].parent = NONE;
    }
}

/* Is anything cancelled with it yet? */
static bool is_used(int i)
{
    for (int j = 0; j < TOKENS; j++) {
        if (model[j].live && (model[j].parent == i || linked[i][j]))
            return true;
    }
    return false;
}

static void link_one(void)
{
    int source = any_live(), target = any_live();

    if (source == NONE || target == NONE || is_used(target) || linked[source][target] ||
        reaches(target, source))
        return;
    cla_token_link(&tokens[source], &tokens[target], &links[source][target]);
    if (model[source].stale)
        make_stale(target);
    if (model[target].kind != CLA_CANCEL_NONE)
        return;
    if (model[source].kind == CLA_CANCEL_NONE) {
        linked[source][target] = true;
    } else {
        model[target].kind = model[source].kind;
        model[target].at = model[source].at;
    }
}

/* Marks what was not, and whatever links lead to from there. */
static void mark(int root, enum cla_cancel_kind kind, uint64_t at, bool *roots)
{
    for (int i = 0; i < TOKENS; i++) {
        if (!model[i].live || model[i].kind != CLA_CANCEL_NONE || !is_under(i, root))
            continue;
        model[i].kind = kind;
        model[i].at = at;
        for (int j = 0; j < TOKENS; j++)
            roots[j] = roots[j] || linked[i][j];
    }
}

/* The followers are the roots that were marked through links, each once. */
static void check_followers(const bool *roots, const bool *marked_before)
{
    bool seen[TOKENS] = {false};
    struct cla_token *follower;

    while ((follower = cla_token_take_follower(&followers)) != NULL) {
        int j = (int)(follower - tokens);

        assert_true(roots[j] && !seen[j] && !marked_before[j]);
        seen[j] = true;
    }
}

/* Marks all that is cancelled with 'i', and checks what the token says of it. */
static void mark_all(int i, enum cla_cancel_kind kind, uint64_t at)
{
    bool roots[TOKENS] = {false}, done[TOKENS] = {false}, before[TOKENS];
    bool more = true;

    for (int j = 0; j < TOKENS; j++)
        before[j] = model[j].kind != CLA_CANCEL_NONE;
    mark(i, kind, at, roots);
    while (more) {
        more = false;
        for (int j = 0; j < TOKENS; j++) {
            if (roots[j] && !done[j]) {
                done[j] = more = true;
                mark(j, kind, at, roots);
            }
        }
    }
    check_followers(roots, before);
}

static void cancel(void)
{
    int i = any_live();
    enum cla_cancel_kind kind = 1 + (enum cla_cancel_kind)seed_below(CLA_CANCEL_KINDS - 1);
    bool first;

    if (i == NONE)
        return;
    first = model[i].kind == CLA_CANCEL_NONE;
    assert_int_equal(cla_token_cancel(&tokens[i], kind, now, CLA_LIT("why"), &followers), first);
    if (!first) {
        assert_true(cla_list_empty(&followers));
        return;
    }
    if (now >= (model[i].stale ? tokens[i].deadline_ns : deadline_of(i)))
        kind = CLA_CANCEL_TIMEOUT;
    mark_all(i, kind, now);
}

/* A coroutine is resumed or yields: its scopes go elsewhere, with all that is inside. */
static void move(void)
{
    int i = any_live(), parent = seed_below(4) == 0 ? NONE : any_live();
    bool reached;

    if (i == NONE || (parent != NONE && reaches(i, parent)))
        return;
    reached =
        parent != NONE && model[parent].kind != CLA_CANCEL_NONE && model[i].kind == CLA_CANCEL_NONE;
    model[i].parent = parent;
    if (parent != NONE && model[parent].stale)
        make_stale(i);
    assert_int_equal(
        cla_token_move(&tokens[i], parent != NONE ? &tokens[parent] : NULL, &followers), reached);
    if (reached)
        mark_all(i, model[parent].kind, model[parent].at);
}

/* A stream has sent an item. */
static void set_deadline(void)
{
    int i = any_live();
    uint64_t deadline = seed_below(4) == 0 ? CLA_NEVER : now + seed_below(200);

    if (i == NONE)
        return;
    model[i].own = deadline;
    cla_token_set_deadline(&tokens[i], deadline);
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
        if (model[i].kind == CLA_CANCEL_NONE && !model[i].stale)
            assert_int_equal(tokens[i].deadline_ns, deadline_of(i));
        assert_ptr_equal(tokens[i].parent,
                         model[i].parent != NONE ? &tokens[model[i].parent] : NULL);
    }
}

static void tree_agrees_with_its_model(void **state)
{
    static void (*const operations[])(void) = {
        begin, begin, begin, begin, end, cancel, link_one, link_one, move, move, set_deadline};

    seed_init();
    cla_list_init(&followers);
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
