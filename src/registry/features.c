/* features.c: the table of feature flags.
 *
 * A row that is on names the test that proves it (tests/...). A row that is off says why; nothing
 * behind it can be reached. */
#include "registry/features.h"

#include "base/json.h"

static const struct {
    const char *name;
    const char *test; /* on: the test that drives it */
    const char *off;  /* off: the reason */
} FEATURES[] = {
    {"streaming", "tests/api/test_generate.c", NULL},
    {"batching", "tests/api/test_generate.c", NULL},
    {"prompt_cache", "tests/api/test_generate.c", NULL},
    {"quantization", "tests/engines/test_goldens.c", NULL},
    {"lora_adapters", NULL, "not built in this version"},
    {"vision_language", NULL, "not built in this version"},
    {"embedding", NULL, "not built in this version"},
    {"reranking", NULL, "not built in this version"},
    {"diffusion", NULL, "not built in this version"},
    {"multimodal_input", NULL, "not built in this version"},
    {"speculative_decoding", NULL, "not built in this version"},
    {"structured_output", NULL, "not built in this version"},
    {"tool_calling", "tests/api/test_tools.c", NULL},
    {"training", NULL, "not built in this version"},
    {"conversion", NULL, "not built in this version"},
    {"distributed", NULL, "not built in this version"},
    {"hub", "tests/hub/test_client.c", NULL},
    {"server", NULL, "not built in this version"},
    {"gguf", NULL, "not built in this version"},
    {"arm64", NULL, "kernels run under an emulator only: unverified on hardware, MLX not built"},
    {"gpu", NULL, "no CUDA or Metal plugin in this version"},
};

void features_write(buf *out)
{
    buf_add_char(out, '{');
    for (size_t i = 0; i < sizeof FEATURES / sizeof *FEATURES; i++) {
        if (i) buf_add_char(out, ',');
        json_write_str(out, strv_of(FEATURES[i].name));
        buf_addf(out, ":{\"on\":%s,\"why\":", FEATURES[i].test ? "true" : "false");
        json_write_str(out, strv_of(FEATURES[i].test ? "built and tested" : FEATURES[i].off));
        buf_add_char(out, '}');
    }
    buf_add_char(out, '}');
}
