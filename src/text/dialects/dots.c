/* dots.c: <dots_function_call><invoke name="f"><parameter name="k">v</parameter></invoke>..
 *
 * dots models: JSON objects may stand for the invokes. Source: public parsers of the form. */
#include "text/dialects/invoke.h"

static void read_block(call_list *c, strv body)
{
    strv s = text_trim(body);
    if (s.n && (*s.p == '{' || *s.p == '['))
        read_json_calls(c, s);
    else
        read_invokes(c, body, "");
}

const struct dialect dialect_dots = {
    .name = "dots",
    .priority = 20,
    .sets = {{{"<dots_function_call>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<dots_function_call>",
                .close = "</dots_function_call>",
                .end = scan_close_or_rest,
                .read = read_block},
               BLOCK_THINK},
};
