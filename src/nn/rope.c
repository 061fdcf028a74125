/* rope.c: inverse frequencies of every scaling rule.
 *
 *   default   f_i = theta^(-2i/R)
 *   linear    f_i / factor
 *   dynamic   theta grows with the length once it passes the config's max_position_embeddings
 *   llama3    long wavelengths / factor, short ones kept, a ramp between
 *   yarn      the same idea with a ramp over dimensions, and cos/sin scaled by the attention factor
 *
 * The arithmetic is f32 where transformers' is (torch computes theta ** (f32 tensor)): positions
 * reach 1e5, and a frequency that differs in the seventh digit turns visibly there.
 *
 * Source: transformers modeling_rope_utils.py (5.x), its names.
 * Traps: configs of transformers 4 keep rope_theta at the top and call the rule "rope_scaling" with
 * "type" or "rope_type"; version 5 puts both into "rope_parameters". yarn and llama3 measure
 * against original_max_position_embeddings, which transformers 4 lets default to
 * max_position_embeddings. */
#include "nn/rope.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

typedef struct rope_config {
    const json *scaling; /* the object, or NULL */
    const char *where;
    double theta, factor, attention_factor, beta_fast, beta_slow, low, high, mscale, mscale_all;
    int64_t original, max_position;
    int has_attention_factor, has_factor, truncate;
    strv type;
} rope_config;

static const char *const KEYS_ALL[] = {
    "type", "rope_type", "rope_theta", "factor", "original_max_position_embeddings", NULL};
static const char *const KEYS_LLAMA3[] = {"low_freq_factor", "high_freq_factor", NULL};
static const char *const KEYS_YARN[] = {"attention_factor", "beta_fast", "beta_slow", "mscale",
                                        "mscale_all_dim",   "truncate",  NULL};

static int listed(const char *const *keys, strv key)
{
    for (; *keys; keys++)
        if (strv_is(key, *keys)) return 1;
    return 0;
}

/* Refuses keys of the scaling object that its rule does not have. */
static mlxe_status keys_check(const rope_config *c, mlxe_error *err)
{
    json_iter it = json_iterate(c->scaling);
    const json *key, *value;
    while (json_next(&it, &key, &value)) {
        strv k = json_str(key);
        int ok = listed(KEYS_ALL, k) || (strv_is(c->type, "llama3") && listed(KEYS_LLAMA3, k)) ||
                 (strv_is(c->type, "yarn") && listed(KEYS_YARN, k));
        if (strv_is(k, "partial_rotary_factor") && json_float(value) == 1.0) ok = 1;
        if (ok || json_is(value, JSON_NULL)) continue;
        return err_set(err, MLXE_E_UNSUPPORTED,
                       "%s.%.*s: this option is not understood for rope_type %.*s", c->where,
                       (int)k.n, k.p, (int)c->type.n, c->type.p);
    }
    return MLXE_OK;
}

/* Keys that a rule cannot do without. */
static mlxe_status needed_check(const rope_config *c, mlxe_error *err)
{
    static const struct {
        const char *type, *key;
    } NEEDED[] = {{"linear", "factor"},
                  {"dynamic", "factor"},
                  {"llama3", "factor"},
                  {"llama3", "low_freq_factor"},
                  {"llama3", "high_freq_factor"}};
    for (size_t i = 0; i < sizeof NEEDED / sizeof *NEEDED; i++) {
        const json *value = json_get(c->scaling, NEEDED[i].key);
        if (!strv_is(c->type, NEEDED[i].type) || (value && !json_is(value, JSON_NULL))) continue;
        return err_set(err, MLXE_E_CORRUPT, "%s: %s is missing, rope_type %s needs it", c->where,
                       NEEDED[i].key, NEEDED[i].type);
    }
    return MLXE_OK;
}

static mlxe_status scaling_read(rope_config *c, mlxe_error *err)
{
    const json *s = c->scaling;
    const char *w = c->where;
    mlxe_status rc;
    if ((rc = json_get_str(s, w, "type", &c->type, err))) return rc;
    if ((rc = json_get_str(s, w, "rope_type", &c->type, err))) return rc;
    if ((rc = json_get_float(s, w, "rope_theta", &c->theta, err))) return rc;
    if ((rc = json_get_float(s, w, "factor", &c->factor, err))) return rc;
    if ((rc = json_get_float(s, w, "attention_factor", &c->attention_factor, err))) return rc;
    if ((rc = json_get_float(s, w, "beta_fast", &c->beta_fast, err))) return rc;
    if ((rc = json_get_float(s, w, "beta_slow", &c->beta_slow, err))) return rc;
    if ((rc = json_get_float(s, w, "low_freq_factor", &c->low, err))) return rc;
    if ((rc = json_get_float(s, w, "high_freq_factor", &c->high, err))) return rc;
    if ((rc = json_get_float(s, w, "mscale", &c->mscale, err))) return rc;
    if ((rc = json_get_float(s, w, "mscale_all_dim", &c->mscale_all, err))) return rc;
    if ((rc = json_get_bool(s, w, "truncate", &c->truncate, err))) return rc;
    if ((rc = json_get_int(s, w, "original_max_position_embeddings", 1, INT32_MAX, &c->original,
                           err)))
        return rc;
    c->has_factor = json_get(s, "factor") && !json_is(json_get(s, "factor"), JSON_NULL);
    c->has_attention_factor =
        json_get(s, "attention_factor") && !json_is(json_get(s, "attention_factor"), JSON_NULL);
    if ((rc = needed_check(c, err))) return rc;
    return keys_check(c, err);
}

static void freqs_default(double theta, int rot, float *f)
{
    for (int i = 0; i < rot / 2; i++)
        f[i] = 1.0f / powf((float)theta, (float)(2 * i) / (float)rot);
}

static void freqs_llama3(const rope_config *c, int rot, float *f)
{
    double low_wavelength = (double)c->original / c->low,
           high_wavelength = (double)c->original / c->high;
    for (int i = 0; i < rot / 2; i++) {
        double wavelength = 2 * PI / f[i];
        double smooth = ((double)c->original / wavelength - c->low) / (c->high - c->low);
        if (wavelength > low_wavelength)
            f[i] = (float)(f[i] / c->factor);
        else if (wavelength >= high_wavelength)
            f[i] = (float)((1 - smooth) * f[i] / c->factor + smooth * f[i]);
    }
}

/* The dimension whose wavelength makes `turns` turns over the original context. */
static double yarn_dim(const rope_config *c, int rot, double turns)
{
    return rot * log((double)c->original / (turns * 2 * PI)) / (2 * log(c->theta));
}

static double yarn_mscale(double factor, double mscale)
{
    return factor <= 1 ? 1.0 : 0.1 * mscale * log(factor) + 1.0;
}

static void freqs_yarn(rope_config *c, int rot, float *f)
{
    double low = yarn_dim(c, rot, c->beta_fast), high = yarn_dim(c, rot, c->beta_slow);
    if (c->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    if (low < 0) low = 0;
    if (high > rot - 1) high = rot - 1;
    if (low == high) high += 0.001; /* no division by zero, as the source has it */
    for (int i = 0; i < rot / 2; i++) {
        double power = pow(c->theta, (double)(2 * i) / rot);
        double ramp = (i - low) / (high - low);
        ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        f[i] = (float)(1 / (c->factor * power) * ramp + 1 / power * (1 - ramp));
    }
    if (!c->has_attention_factor)
        c->attention_factor =
            c->mscale != 0 && c->mscale_all != 0
                ? yarn_mscale(c->factor, c->mscale) / yarn_mscale(c->factor, c->mscale_all)
                : yarn_mscale(c->factor, 1);
}

void nn_rope_dynamic(const nn_rope *r, int64_t tokens, float *out)
{
    double base = r->base;
    if (tokens > r->limit)
        base *= pow(r->factor * (double)tokens / (double)r->limit - (r->factor - 1),
                    (double)r->rot / (r->rot - 2));
    freqs_default(base, r->rot, out);
}

static mlxe_status find_scaling(nn_loader *ld, rope_config *c, mlxe_error *err)
{
    const json *v5 = nn_config_value(ld, "rope_parameters");
    const json *v4 = nn_config_value(ld, "rope_scaling");
    int empty = !v4 || json_is(v4, JSON_NULL) || (json_is(v4, JSON_OBJECT) && !json_len(v4));
    /* A rope_scaling that says something wins over rope_parameters, as in transformers. */
    c->scaling = empty ? v5 : v4;
    c->where = empty ? "config.json: rope_parameters" : "config.json: rope_scaling";
    if (json_is(c->scaling, JSON_NULL)) c->scaling = NULL;
    if (c->scaling && !json_is(c->scaling, JSON_OBJECT))
        return err_set(err, MLXE_E_CORRUPT, "%s is %s, want an object", c->where,
                       json_type_name(json_typeof(c->scaling)));
    return MLXE_OK;
}

/* Values that would divide by zero or take a root of nothing. */
static mlxe_status values_check(const rope_config *c, int rot, mlxe_error *err)
{
    const char *bad = NULL;
    double got = 0;
    if (!(c->theta > 1))
        bad = "rope_theta", got = c->theta;
    else if (!(c->factor > 0))
        bad = "factor", got = c->factor;
    else if (strv_is(c->type, "llama3") && !(c->low > 0))
        bad = "low_freq_factor", got = c->low;
    else if (strv_is(c->type, "llama3") && !(c->high > c->low))
        bad = "high_freq_factor", got = c->high;
    else if (strv_is(c->type, "yarn") && !(c->beta_fast > 0))
        bad = "beta_fast", got = c->beta_fast;
    else if (strv_is(c->type, "yarn") && !(c->beta_slow > 0))
        bad = "beta_slow", got = c->beta_slow;
    if (bad)
        return err_set(err, MLXE_E_CORRUPT, "config.json: rope %s is %d/1000, out of range", bad,
                       (int)(got * 1000));
    if (rot < 4 && strv_is(c->type, "dynamic"))
        return err_set(err, MLXE_E_UNSUPPORTED,
                       "config.json: rope_type dynamic with %d rotated dims, want at least 4", rot);
    return MLXE_OK;
}

mlxe_status nn_rope_load(nn_loader *ld, int head_dim, int64_t max_position, nn_rope *out,
                         mlxe_error *err)
{
    rope_config c = {.theta = 10000,
                     .factor = 1,
                     .attention_factor = 1,
                     .beta_fast = 32,
                     .beta_slow = 1,
                     .low = 1,
                     .high = 4,
                     .original = max_position,
                     .max_position = max_position,
                     .truncate = 1,
                     .type = STRV("default")};
    float *f;
    int64_t outer = 0;
    mlxe_status rc;
    *out = (nn_rope){.rot = head_dim, .mscale = 1, .context = max_position};
    if ((rc = nn_config_float(ld, "rope_theta", &c.theta, err))) return rc;
    if ((rc = nn_config_int(ld, "original_max_position_embeddings", 1, INT32_MAX, &outer, err)))
        return rc;
    if ((rc = find_scaling(ld, &c, err))) return rc;
    if (c.scaling && (rc = scaling_read(&c, err))) return rc;
    if (outer) c.original = outer; /* transformers lets the config's own field win */
    if (strv_is(c.type, "yarn") && !c.has_factor)
        c.factor = (double)max_position / (double)c.original;
    if ((rc = values_check(&c, out->rot, err))) return rc;
    f = arena_array(ld->mem, (size_t)out->rot / 2 + 1, sizeof *f);
    if (!f) return err_memory(err, "rope", (size_t)out->rot * sizeof *f);
    freqs_default(c.theta, out->rot, f);
    out->inv_freq = f;
    if (strv_is(c.type, "default") || strv_is(c.type, "mrope_default")) return MLXE_OK;
    if (strv_is(c.type, "linear")) {
        for (int i = 0; i < out->rot / 2; i++)
            f[i] /= (float)c.factor;
    } else if (strv_is(c.type, "dynamic")) {
        out->dynamic = 1;
        out->limit = max_position;
        out->base = c.theta;
        out->factor = c.factor;
        out->context = (int64_t)((double)max_position * (c.factor > 1 ? c.factor : 1));
    } else if (strv_is(c.type, "llama3")) {
        freqs_llama3(&c, out->rot, f);
    } else if (strv_is(c.type, "yarn")) {
        freqs_yarn(&c, out->rot, f);
        out->mscale = (float)c.attention_factor;
        if ((double)c.original * c.factor > (double)max_position)
            out->context = (int64_t)((double)c.original * c.factor);
    } else {
        return err_set(err, MLXE_E_UNSUPPORTED,
                       "%s.rope_type: %.*s, want default, linear, dynamic, llama3 or yarn", c.where,
                       (int)c.type.n, c.type.p);
    }
    return MLXE_OK;
}
