/* minicpm5.c: <function name="f"><param name="k">v</param></function>
 *
 * MiniCPM 4.1 and 5. Source: the template of openbmb/MiniCPM5.
 * Traps: a value may stand in <![CDATA[ ]]>. */
#include "text/dialects/invoke.h"

static ptrdiff_t end_function(const dialect_block *b, strv raw, int last, block_scan *s)
{
    if (!raw.n) return last ? SCAN_NO_CALL : SCAN_MORE;
    return text_space(*raw.p) ? scan_close(b, raw, last, s) : SCAN_NO_CALL;
}

static void read_function(call_list *c, strv body)
{
    static const invoke_tags TAGS = {
        .parameter = "<param", .parameter_end = "</param>", .cdata = 1};
    read_invoke(c, body, &TAGS);
}

const struct dialect dialect_minicpm5 = {
    .name = "minicpm5",
    .priority = 19,
    .sets = {{{"<function name="}}, {{"<param name="}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<function",
                .close = "</function>",
                .end = end_function,
                .read = read_function},
               BLOCK_THINK},
};
