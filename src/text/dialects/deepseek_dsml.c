/* deepseek_dsml.c: <｜DSML｜function_calls><｜DSML｜invoke name="f">..</｜DSML｜function_calls>
 *
 * DeepSeek V3.2, V4 with tool_calls for function_calls, V4.1 with a space before every name:
 * <｜DSML｜ calls><｜DSML｜ invoke name="f">. A parameter says itself whether it is
 * text (string="true") or JSON.
 * Source: the encoding descriptions of deepseek-ai/DeepSeek-V3.2 and -V4. */
#include "text/dialects/invoke.h"

static void read_block(call_list *c, strv body) { read_invokes(c, body, "｜DSML｜"); }
static void read_spaced(call_list *c, strv body) { read_invokes(c, body, "｜DSML｜ "); }

const struct dialect dialect_deepseek_dsml = {
    .name = "deepseek_dsml",
    .priority = 20,
    .sets = {{{"｜DSML｜"}}, {{"@｜DSML｜"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<｜DSML｜function_calls>",
                .close = "</｜DSML｜function_calls>",
                .end = scan_close,
                .read = read_block},
               {.kind = BLOCK_CALL,
                .open = "<｜DSML｜tool_calls>",
                .close = "</｜DSML｜tool_calls>",
                .end = scan_close,
                .read = read_block},
               {.kind = BLOCK_CALL,
                .open = "<｜DSML｜ calls>",
                .close = "</｜DSML｜ calls>",
                .end = scan_close,
                .read = read_spaced},
               BLOCK_THINK},
};
