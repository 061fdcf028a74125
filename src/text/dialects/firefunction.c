/* firefunction.c: functools[{"name": .., "arguments": {..}}]
 *
 * FireFunction 2. Source: its template.
 * Traps: functools is a module of Python too: it is a call only with the bracket behind it. */
#include "text/dialects/parts.h"

static ptrdiff_t end_list(const dialect_block *b, strv raw, int last, block_scan *s)
{
    if (!raw.n) return last ? SCAN_NO_CALL : SCAN_MORE;
    return *raw.p == '[' ? scan_json(b, raw, last, s) : SCAN_NO_CALL;
}

const struct dialect dialect_firefunction = {
    .name = "firefunction",
    .priority = 15,
    .sets = {{{"functools["}}},
    .blocks = {{.kind = BLOCK_CALL, .open = "functools", .end = end_list, .read = read_json_calls}},
};
