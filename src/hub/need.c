/* need.c: dtype names and file names to bytes; sums that cannot overflow. */
#include "hub/need.h"

#include <string.h>

#define MAX_COUNT   ((uint64_t)1 << 56) /* of bytes, and of parameters: more is no model */
#define FIXED_BYTES ((uint64_t)1 << 30)

static int need_of(uint64_t weight_bytes, const char *counted, hub_need *out)
{
    if (!weight_bytes || weight_bytes > MAX_COUNT) return 0;
    *out = (hub_need){weight_bytes, weight_bytes + weight_bytes / 8 + FIXED_BYTES, counted};
    return 1;
}

/* ---- parameters ------------------------------------------------------------------------------ */

/* Bits of one element; 0: a dtype that is not known. */
static unsigned dtype_bits(strv name)
{
    static const struct {
        const char *name;
        unsigned bits;
    } DTYPES[] = {{"F64", 64}, {"I64", 64},    {"U64", 64},    {"C64", 64},    {"F32", 32},
                  {"I32", 32}, {"U32", 32},    {"BF16", 16},   {"F16", 16},    {"I16", 16},
                  {"U16", 16}, {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"I8", 8},
                  {"U8", 8},   {"BOOL", 8},    {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}};
    for (size_t i = 0; i < sizeof DTYPES / sizeof *DTYPES; i++)
        if (strv_is(name, DTYPES[i].name)) return DTYPES[i].bits;
    return 0;
}

int hub_need_of_counts(const json *model, hub_need *out)
{
    const json *counts = json_get(json_get(model, "safetensors"), "parameters"), *key, *value;
    const json *packing = json_get(json_get(model, "config"), "quantization_config");
    uint64_t bytes = 0;
    json_iter it;
    if (!json_is(counts, JSON_OBJECT) || json_is(json_get(packing, "quant_method"), JSON_STRING))
        return 0;
    it = json_iterate(counts);
    while (json_next(&it, &key, &value)) {
        unsigned bits = dtype_bits(json_str(key));
        int64_t n = json_int(value);
        if (!bits || !json_is(value, JSON_INT) || n < 0 || (uint64_t)n > MAX_COUNT) return 0;
        bytes += ((uint64_t)n * bits + 7) / 8;
        if (bytes > MAX_COUNT) return 0;
    }
    return need_of(bytes, "parameters", out);
}

/* ---- files ----------------------------------------------------------------------------------- */

typedef enum places { PLACES_TOP, PLACES_ALL } places;

/* Bytes of the files of one kind; 0: there is none, or one has no size. */
static uint64_t sum_of(const json *files, strv ending, places where)
{
    uint64_t sum = 0;
    const json *file;
    json_iter it = json_iterate(files);
    while (json_next(&it, NULL, &file)) {
        strv name = json_str(json_get(file, "rfilename"));
        const json *size = json_get(file, "size");
        if (!strv_ends(name, ending)) continue;
        if (where == PLACES_TOP && memchr(name.p, '/', name.n)) continue;
        if (!json_is(size, JSON_INT) || json_int(size) < 0) return 0;
        sum += (uint64_t)json_int(size);
        if (sum > MAX_COUNT) return 0;
    }
    return sum;
}

/* What the shards of one model share: "m-00001-of-00003.gguf" -> "m". */
static strv gguf_stem(strv name)
{
    static const char FORM[] = "-00000-of-00000";
    strv stem = strv_from(name.p, name.n - 5);
    if (stem.n < sizeof FORM - 1) return stem;
    const char *tail = stem.p + stem.n - (sizeof FORM - 1);
    for (size_t i = 0; i < sizeof FORM - 1; i++)
        if (FORM[i] == '0' ? tail[i] < '0' || tail[i] > '9' : tail[i] != FORM[i]) return stem;
    return strv_from(stem.p, stem.n - (sizeof FORM - 1));
}

/* A repository of GGUF files offers one model several times: the smallest counts. */
static uint64_t smallest_gguf(const json *files)
{
    const json *file, *other;
    uint64_t least = 0;
    json_iter it = json_iterate(files);
    while (json_next(&it, NULL, &file)) {
        strv name = json_str(json_get(file, "rfilename"));
        uint64_t sum = 0;
        if (!strv_ends(name, STRV(".gguf"))) continue;
        json_iter all = json_iterate(files);
        while (json_next(&all, NULL, &other)) {
            strv n = json_str(json_get(other, "rfilename"));
            int64_t size = json_int(json_get(other, "size"));
            if (!strv_ends(n, STRV(".gguf")) || !strv_eq(gguf_stem(n), gguf_stem(name))) continue;
            if (size <= 0 || (uint64_t)size > MAX_COUNT - sum) return 0;
            sum += (uint64_t)size;
        }
        if (!least || sum < least) least = sum;
    }
    return least;
}

int hub_need_of_files(const json *info, hub_need *out)
{
    const json *files = json_get(info, "siblings");
    uint64_t bytes;
    if (!json_is(files, JSON_ARRAY)) return 0;
    bytes = sum_of(files, STRV(".safetensors"), PLACES_TOP);
    if (!bytes) bytes = sum_of(files, STRV(".safetensors"), PLACES_ALL);
    if (!bytes) bytes = smallest_gguf(files);
    if (!bytes) bytes = sum_of(files, STRV(".npz"), PLACES_ALL);
    if (!bytes) bytes = sum_of(files, STRV(".bin"), PLACES_TOP);
    return need_of(bytes, "files", out);
}
