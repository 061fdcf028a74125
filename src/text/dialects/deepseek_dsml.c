/* deepseek_dsml.c: <｜DSML｜function_calls><｜DSML｜invoke name="f">..</｜DSML｜function_calls>
 *
 * DeepSeek V3.2, V4 with tool_calls for function_calls, V4.1 with a space before every name:
 * <｜DSML｜ calls><｜DSML｜ invoke name="f">. A parameter says itself whether it is
 * text (string="true") or JSON. V4 forgets the outer opening at times, and closes it all the same.
 * Source: the encoding descriptions of deepseek-ai/DeepSeek-V3.2 and -V4. */
#include "text/dialects/invoke.h"

static void read_block(call_list *c, strv body) { read_invokes(c, body, "｜DSML｜"); }
static void read_spaced(call_list *c, strv body) { read_invokes(c, body, "｜DSML｜ "); }

static ptrdiff_t end_bare(const dialect_block *b, strv raw, int last, block_scan *s)
{
    static const char *const BEHIND[] = {"</｜DSML｜tool_calls>", "</｜DSML｜function_calls>",
                                         NULL};
    return scan_close_and(b, raw, last, s, BEHIND);
}

static void read_bare(call_list *c, strv body)
{
    static const invoke_tags TAGS = {.parameter = "<｜DSML｜parameter",
                                     .parameter_end = "</｜DSML｜parameter>"};
    read_invoke(c, body, &TAGS);
}

const struct dialect dialect_deepseek_dsml = {
    .name = "deepseek_dsml",
    .priority = 20,
    .sets = {{{"｜DSML｜"}}, {{"@｜DSML｜"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<｜DSML｜function_calls>",
                .close = "</｜DSML｜function_calls>",
                .end = scan_close_or_rest,
                .read = read_block},
               {.kind = BLOCK_CALL,
                .open = "<｜DSML｜tool_calls>",
                .close = "</｜DSML｜tool_calls>",
                .end = scan_close_or_rest,
                .read = read_block},
               {.kind = BLOCK_CALL,
                .open = "<｜DSML｜ calls>",
                .close = "</｜DSML｜ calls>",
                .end = scan_close_or_rest,
                .read = read_spaced},
               {.kind = BLOCK_CALL,
                .open = "<｜DSML｜invoke",
                .close = "</｜DSML｜invoke>",
                .end = end_bare,
                .read = read_bare},
               BLOCK_THINK},
};
