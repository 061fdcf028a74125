/* llama.c: decoder transformers of the Llama lineage.
 *
 *   ids [T] -> embed [T,E] -> L x { attention, mlp or experts } -> norm -> head [n,V]
 *
 * Owns: which options a family has, their defaults (version 5 of transformers leaves defaults out
 * of config.json), the weights' names, the order of the blocks. The arithmetic is nn's.
 *
 * Source: transformers models/{llama,mistral,mixtral,qwen2,qwen3,qwen3_moe} (5.x); names are HF
 * module paths, or mlx-lm's for stacked experts (switch_mlp).
 *
 * Traps: head_dim is not always E / heads, and qwen3's default is 128 whatever E is. qwen3 norms q
 * and k per head, before rope. qwen2 has biases on q, k, v and never on o. mistral's sliding window
 * is on unless it is null, its default 4096; qwen's only with use_sliding_window, on the layers
 * from max_window_layers on. mistral's default for absent kv heads is 8, for null it is heads.
 * qwen3_moe has experts in every decoder_sparse_step-th layer that mlp_only_layers does not name,
 * moe_intermediate_size wide; mixtral calls gate, down and up w1, w2 and w3.
 * Llama 3's rope scaling bends low frequencies only. A tied head reads embed_tokens, quantised like
 * it. */
#include "models/model.h"

#include <math.h>
#include <stdio.h>

typedef enum bias_rule {
    BIAS_NONE,
    BIAS_KEY,
    BIAS_QKV
} bias_rule; /* KEY: attention_bias decides */
typedef enum norm_rule { NORM_NONE, NORM_HEAD } norm_rule;
/* ALL: unless null; GIVEN: when given; USED: with use_sliding_window; LAYERS: and layer by layer */
typedef enum window_rule {
    WINDOW_NONE,
    WINDOW_ALL,
    WINDOW_GIVEN,
    WINDOW_USED,
    WINDOW_LAYERS
} window_rule;

typedef enum expert_rule { EXPERTS_NONE, EXPERTS_QWEN, EXPERTS_MIXTRAL } expert_rule;

typedef struct family {
    const char *model_type;
    bias_rule bias;
    int mlp_bias; /* 1: the key mlp_bias is understood */
    norm_rule qk_norm;
    window_rule window;
    expert_rule experts;
    /* transformers' defaults for keys that config.json leaves out */
    int vocab, hidden, ffn, layers, heads, kv_heads, head_dim, max_position; /* 0: derived */
} family;

/* clang-format off */
static const family FAMILIES[] = {
    /* type, bias, mlp bias, qk norm, window, experts,
     *                          vocab      E     F   L   H   K    D context */
    {"llama",     BIAS_KEY,  1, NORM_NONE, WINDOW_NONE,   EXPERTS_NONE,
                                32000,  4096, 11008, 32, 32,  0,   0,   2048},
    {"mistral",   BIAS_NONE, 0, NORM_NONE, WINDOW_ALL,    EXPERTS_NONE,
                                32000,  4096, 14336, 32, 32,  8,   0, 131072},
    {"mixtral",   BIAS_NONE, 0, NORM_NONE, WINDOW_GIVEN,  EXPERTS_MIXTRAL,
                                32000,  4096, 14336, 32, 32,  8,   0, 131072},
    {"qwen2",     BIAS_QKV,  0, NORM_NONE, WINDOW_LAYERS, EXPERTS_NONE,
                                151936, 4096, 22016, 32, 32, 32,   0,  32768},
    {"qwen3",     BIAS_KEY,  0, NORM_HEAD, WINDOW_LAYERS, EXPERTS_NONE,
                                151936, 4096, 22016, 32, 32, 32, 128,  32768},
    {"qwen3_moe", BIAS_KEY,  0, NORM_HEAD, WINDOW_USED,   EXPERTS_QWEN,
                                151936, 2048,  6144, 24, 32,  4,   0,  32768},
};
/* clang-format on */

typedef struct layer {
    nn_attention_block attention;
    nn_mlp_block mlp;
    nn_moe_block moe; /* instead of mlp where it has experts */
} layer;

struct model {
    nn_linear embed, head;
    nn_norm norm;
    nn_rope rope;
    layer *layers;
    int n_layers;
};

typedef struct options {
    int64_t vocab, hidden, ffn, layers, heads, kv_heads, head_dim, max_position;
    int64_t window, max_window_layers; /* window 0: none */
    double eps;
    int attention_bias, mlp_bias, tied;
    kn_act act;
    const json *layer_types;
    int64_t experts, used, expert_ffn, sparse_step;
    int normalise;
    const json *mlp_only;
} options;

/* ---- options --------------------------------------------------------------------------------- */

static mlxe_status act_read(nn_loader *ld, kn_act *out, mlxe_error *err)
{
    static const struct {
        const char *name;
        kn_act act;
    } ACTS[] = {{"silu", KN_SILU},          {"swish", KN_SILU},
                {"gelu", KN_GELU},          {"gelu_pytorch_tanh", KN_GELU_TANH},
                {"gelu_new", KN_GELU_TANH}, {"relu", KN_RELU}};
    strv name = STRV("silu");
    mlxe_status rc = nn_config_str(ld, "hidden_act", &name, err);
    if (rc) return rc;
    for (size_t i = 0; i < sizeof ACTS / sizeof *ACTS; i++) {
        if (!strv_is(name, ACTS[i].name)) continue;
        *out = ACTS[i].act;
        return MLXE_OK;
    }
    return err_set(err, MLXE_E_UNSUPPORTED,
                   "config.json: hidden_act: %.*s, want silu, gelu, gelu_pytorch_tanh or relu",
                   (int)name.n, name.p);
}

static mlxe_status window_read(nn_loader *ld, const family *f, options *o, mlxe_error *err)
{
    const json *value = nn_config_value(ld, "sliding_window");
    int use = f->window == WINDOW_ALL || f->window == WINDOW_GIVEN;
    int given = value && !json_is(value, JSON_NULL);
    mlxe_status rc;
    if (f->window == WINDOW_NONE) {
        if (given)
            return err_set(
                err, MLXE_E_UNSUPPORTED,
                "config.json: sliding_window: this option is not understood for model type %s",
                f->model_type);
        return MLXE_OK;
    }
    o->window = given || (!value && f->window != WINDOW_GIVEN) ? 4096 : 0;
    if ((rc = nn_config_int(ld, "sliding_window", 1, INT32_MAX, &o->window, err))) return rc;
    if (f->window >= WINDOW_USED && (rc = nn_config_bool(ld, "use_sliding_window", &use, err)))
        return rc;
    if (f->window == WINDOW_USED) (void)nn_config_value(ld, "max_window_layers");
    if (f->window == WINDOW_LAYERS) {
        o->max_window_layers = 28;
        if ((rc = nn_config_int(ld, "max_window_layers", 0, INT32_MAX, &o->max_window_layers, err)))
            return rc;
        if ((rc = json_get_array(ld->config, ld->where, "layer_types", &o->layer_types, err)))
            return rc;
        (void)nn_config_value(ld, "layer_types");
    }
    if (!use) o->window = 0;
    return MLXE_OK;
}

/* Options of mixtures of experts. */
static mlxe_status experts_read(nn_loader *ld, const family *f, options *o, mlxe_error *err)
{
    static const char *const TRAINING[] = {"output_router_logits", "router_aux_loss_coef",
                                           "router_jitter_noise", NULL};
    int qwen = f->experts == EXPERTS_QWEN;
    mlxe_status rc;
    if (f->experts == EXPERTS_NONE) return MLXE_OK;
    nn_config_ignore(ld, TRAINING);
    o->experts = qwen ? 128 : 8;
    o->used = qwen ? 8 : 2;
    o->expert_ffn = qwen ? 768 : o->ffn;
    o->sparse_step = 1;
    o->normalise = !qwen;
    if ((rc = nn_config_int(ld, "num_local_experts", 0, 4096, &o->experts, err))) return rc;
    if ((rc = nn_config_int(ld, "num_experts_per_tok", 1, 4096, &o->used, err))) return rc;
    if (qwen) {
        if ((rc = nn_config_int(ld, "num_experts", 0, 4096, &o->experts, err))) return rc;
        if ((rc = nn_config_int(ld, "moe_intermediate_size", 1, 1 << 22, &o->expert_ffn, err)))
            return rc;
        if ((rc = nn_config_int(ld, "decoder_sparse_step", 1, 4096, &o->sparse_step, err)))
            return rc;
        if ((rc = nn_config_bool(ld, "norm_topk_prob", &o->normalise, err))) return rc;
        (void)nn_config_value(ld, "mlp_only_layers");
        if ((rc = json_get_array(ld->config, ld->where, "mlp_only_layers", &o->mlp_only, err)))
            return rc;
    }
    if (o->experts && o->used > o->experts)
        return err_set(err, MLXE_E_CORRUPT, "config.json: num_experts_per_tok %lld of %lld experts",
                       (long long)o->used, (long long)o->experts);
    return MLXE_OK;
}

/* 1: the layer has experts instead of one MLP. */
static int layer_is_sparse(const options *o, int i)
{
    json_iter it = json_iterate(o->mlp_only);
    const json *value;
    if (!o->experts || (i + 1) % o->sparse_step) return 0;
    while (o->mlp_only && json_next(&it, NULL, &value))
        if (json_is(value, JSON_INT) && json_int(value) == i) return 0;
    return 1;
}

static mlxe_status options_read(nn_loader *ld, const family *f, options *o, mlxe_error *err)
{
    double partial = 1;
    const json *heads_given = nn_config_value(ld, "num_key_value_heads");
    mlxe_status rc;
    *o = (options){.vocab = f->vocab,
                   .hidden = f->hidden,
                   .ffn = f->ffn,
                   .layers = f->layers,
                   .heads = f->heads,
                   .kv_heads = f->kv_heads,
                   .head_dim = f->head_dim,
                   .max_position = f->max_position,
                   .eps = 1e-6};
    if (heads_given && json_is(heads_given, JSON_NULL)) o->kv_heads = 0;
    if ((rc = nn_config_int(ld, "vocab_size", 1, INT32_MAX, &o->vocab, err))) return rc;
    if ((rc = nn_config_int(ld, "hidden_size", 1, 1 << 20, &o->hidden, err))) return rc;
    if ((rc = nn_config_int(ld, "intermediate_size", 1, 1 << 22, &o->ffn, err))) return rc;
    if ((rc = nn_config_int(ld, "num_hidden_layers", 0, 4096, &o->layers, err))) return rc;
    if ((rc = nn_config_int(ld, "num_attention_heads", 1, 65536, &o->heads, err))) return rc;
    if ((rc = nn_config_int(ld, "num_key_value_heads", 1, 65536, &o->kv_heads, err))) return rc;
    if ((rc = nn_config_int(ld, "head_dim", 2, 4096, &o->head_dim, err))) return rc;
    if ((rc = nn_config_int(ld, "max_position_embeddings", 1, INT32_MAX, &o->max_position, err)))
        return rc;
    if ((rc = nn_config_float(ld, "rms_norm_eps", &o->eps, err))) return rc;
    if ((rc = nn_config_bool(ld, "tie_word_embeddings", &o->tied, err))) return rc;
    if ((rc = nn_config_float(ld, "partial_rotary_factor", &partial, err))) return rc;
    if (f->bias == BIAS_KEY && (rc = nn_config_bool(ld, "attention_bias", &o->attention_bias, err)))
        return rc;
    if (f->mlp_bias && (rc = nn_config_bool(ld, "mlp_bias", &o->mlp_bias, err))) return rc;
    if ((rc = act_read(ld, &o->act, err))) return rc;
    if ((rc = window_read(ld, f, o, err))) return rc;
    if ((rc = experts_read(ld, f, o, err))) return rc;
    if (partial != 1)
        return err_set(
            err, MLXE_E_UNSUPPORTED,
            "config.json: partial_rotary_factor: this model type rotates whole heads, want 1");
    if (!o->kv_heads) o->kv_heads = o->heads;
    if (!o->head_dim && o->hidden % o->heads)
        return err_set(err, MLXE_E_CORRUPT,
                       "config.json: hidden_size %lld is no multiple of num_attention_heads %lld, "
                       "and there is no head_dim",
                       (long long)o->hidden, (long long)o->heads);
    if (!o->head_dim) o->head_dim = o->hidden / o->heads;
    if (o->heads % o->kv_heads)
        return err_set(
            err, MLXE_E_CORRUPT,
            "config.json: num_attention_heads %lld is no multiple of num_key_value_heads %lld",
            (long long)o->heads, (long long)o->kv_heads);
    if (o->head_dim < 2 || o->head_dim % 2)
        return err_set(err, MLXE_E_CORRUPT, "config.json: head_dim %lld, want an even number",
                       (long long)o->head_dim);
    if (!(o->eps > 0 && o->eps < 1))
        return err_set(err, MLXE_E_CORRUPT,
                       "config.json: rms_norm_eps is out of range, want between 0 and 1");
    return MLXE_OK;
}

/* The window of one layer: layer_types says it, else max_window_layers. */
static mlxe_status layer_window(const family *f, const options *o, int i, int *out, mlxe_error *err)
{
    *out = (int)o->window;
    if (f->window != WINDOW_LAYERS) return MLXE_OK;
    if (!o->layer_types) {
        if (i < o->max_window_layers) *out = 0;
        return MLXE_OK;
    }
    if (json_len(o->layer_types) != (size_t)o->layers)
        return err_set(err, MLXE_E_CORRUPT, "config.json: layer_types has %zu entries, want %lld",
                       json_len(o->layer_types), (long long)o->layers);
    json_iter it = json_iterate(o->layer_types);
    const json *value = NULL;
    for (int k = 0; k <= i; k++)
        json_next(&it, NULL, &value);
    if (strv_is(json_str(value), "full_attention"))
        *out = 0;
    else if (strv_is(json_str(value), "sliding_attention") && !o->window)
        return err_set(err, MLXE_E_CORRUPT,
                       "config.json: layer_types[%d]: sliding_attention, but sliding_window is off",
                       i);
    else if (!strv_is(json_str(value), "sliding_attention"))
        return err_set(
            err, MLXE_E_UNSUPPORTED,
            "config.json: layer_types[%d]: %.*s, want full_attention or sliding_attention", i,
            (int)json_str(value).n, json_str(value).p);
    return MLXE_OK;
}

/* ---- weights --------------------------------------------------------------------------------- */

static mlxe_status linear_of(nn_loader *ld, int i, const char *path, int64_t n, int64_t k, int bias,
                             nn_linear *out, mlxe_error *err)
{
    char name[128];
    snprintf(name, sizeof name, "model.layers.%d.%s", i, path);
    return nn_load_linear(ld, name, n, k, bias ? NN_BIAS_YES : NN_BIAS_NO, out, err);
}

static mlxe_status norm_of(nn_loader *ld, int i, const char *path, int64_t e, double eps,
                           nn_norm *out, mlxe_error *err)
{
    char name[128];
    snprintf(name, sizeof name, "model.layers.%d.%s", i, path);
    return nn_load_norm(ld, name, e, (float)eps, out, err);
}

static mlxe_status experts_of(nn_loader *ld, const family *f, int i, const char *part,
                              const char *number, int count, int64_t n, int64_t k,
                              const kn_matrix **out, mlxe_error *err)
{
    const char *block = f->experts == EXPERTS_QWEN ? "mlp" : "block_sparse_moe";
    char stacked[128], each[128];
    snprintf(stacked, sizeof stacked, "model.layers.%d.%s.switch_mlp.%s", i, block, part);
    snprintf(each, sizeof each, "model.layers.%d.%s.experts", i, block);
    return nn_load_experts(ld, stacked, each, f->experts == EXPERTS_QWEN ? part : number, count, n,
                           k, out, err);
}

static mlxe_status moe_load(nn_loader *ld, const family *f, const options *o, int i,
                            nn_moe_block *m, mlxe_error *err)
{
    int64_t e = o->hidden, n = o->expert_ffn;
    int count = (int)o->experts;
    mlxe_status rc;
    m->act = o->act;
    m->experts = count;
    m->used = (int)o->used;
    m->normalise = o->normalise;
    if ((rc = norm_of(ld, i, "post_attention_layernorm", e, o->eps, &m->norm, err))) return rc;
    if ((rc = linear_of(ld, i, f->experts == EXPERTS_QWEN ? "mlp.gate" : "block_sparse_moe.gate",
                        count, e, 0, &m->router, err)))
        return rc;
    if ((rc = experts_of(ld, f, i, "gate_proj", "w1", count, n, e, &m->gate, err))) return rc;
    if ((rc = experts_of(ld, f, i, "up_proj", "w3", count, n, e, &m->up, err))) return rc;
    return experts_of(ld, f, i, "down_proj", "w2", count, e, n, &m->down, err);
}

/* v, o and down work on the stream of activations itself: there 8 bits cost twice what they cost
 * elsewhere. Random 0.35B model, relative RMS of logits: 3.3 % when all are rounded to 8 bits,
 * 1.8 % with these three at 16. Where tokens are routed, a small error chooses another expert and
 * is no longer small: nothing before a router is rounded to 8 bits. */
static void round_layer(const options *o, layer *l)
{
    nn_linear *always[] = {&l->attention.v, &l->attention.o, &l->mlp.down};
    nn_linear *routed[] = {&l->attention.q, &l->attention.k, &l->mlp.gate, &l->mlp.up};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        always[i]->rounding = KN_ROUND_16;
    for (size_t i = 0; i < sizeof routed / sizeof *routed && o->experts > 0; i++)
        routed[i]->rounding = KN_ROUND_16;
    l->moe.rounding = l->moe.down_rounding = KN_ROUND_16;
}

static mlxe_status layer_load(nn_loader *ld, const family *f, const options *o, int i, layer *l,
                              mlxe_error *err)
{
    nn_attention_block *a = &l->attention;
    nn_mlp_block *m = &l->mlp;
    int64_t e = o->hidden, nq = o->heads * o->head_dim, nk = o->kv_heads * o->head_dim;
    int qkv_bias = f->bias == BIAS_QKV || o->attention_bias,
        o_bias = f->bias == BIAS_KEY && o->attention_bias;
    mlxe_status rc;
    a->layer = i;
    a->heads = (int)o->heads;
    a->kv_heads = (int)o->kv_heads;
    a->d = (int)o->head_dim;
    a->scale = (float)(1 / sqrt((double)o->head_dim));
    m->act = o->act;
    if ((rc = layer_window(f, o, i, &a->window, err))) return rc;
    if ((rc = norm_of(ld, i, "input_layernorm", e, o->eps, &a->norm, err))) return rc;
    if ((rc = linear_of(ld, i, "self_attn.q_proj", nq, e, qkv_bias, &a->q, err))) return rc;
    if ((rc = linear_of(ld, i, "self_attn.k_proj", nk, e, qkv_bias, &a->k, err))) return rc;
    if ((rc = linear_of(ld, i, "self_attn.v_proj", nk, e, qkv_bias, &a->v, err))) return rc;
    if ((rc = linear_of(ld, i, "self_attn.o_proj", e, nq, o_bias, &a->o, err))) return rc;
    if (f->qk_norm == NORM_HEAD) {
        if ((rc = norm_of(ld, i, "self_attn.q_norm", o->head_dim, o->eps, &a->q_norm, err)))
            return rc;
        if ((rc = norm_of(ld, i, "self_attn.k_norm", o->head_dim, o->eps, &a->k_norm, err)))
            return rc;
    }
    if (layer_is_sparse(o, i)) return moe_load(ld, f, o, i, &l->moe, err);
    if ((rc = norm_of(ld, i, "post_attention_layernorm", e, o->eps, &m->norm, err))) return rc;
    if ((rc = linear_of(ld, i, "mlp.gate_proj", o->ffn, e, o->mlp_bias, &m->gate, err))) return rc;
    if ((rc = linear_of(ld, i, "mlp.up_proj", o->ffn, e, o->mlp_bias, &m->up, err))) return rc;
    return linear_of(ld, i, "mlp.down_proj", e, o->ffn, o->mlp_bias, &m->down, err);
}

static mlxe_status weights_load(nn_loader *ld, const family *f, const options *o, struct model *m,
                                model_info *info, mlxe_error *err)
{
    nn_kv_layer_spec *kv = arena_array(ld->mem, (size_t)o->layers + 1, sizeof *kv);
    mlxe_status rc;
    m->layers = arena_array(ld->mem, (size_t)o->layers + 1, sizeof *m->layers);
    if (!m->layers || !kv) return err_memory(err, "layers", (size_t)o->layers * sizeof *m->layers);
    m->n_layers = (int)o->layers;
    if ((rc = nn_load_linear(ld, "model.embed_tokens", o->vocab, o->hidden, NN_BIAS_NO, &m->embed,
                             err)))
        return rc;
    for (int i = 0; i < m->n_layers; i++) {
        layer *l = &m->layers[i];
        if ((rc = layer_load(ld, f, o, i, l, err))) return rc;
        round_layer(o, l);
        l->attention.rope = &m->rope;
        kv[i] = (nn_kv_layer_spec){(int)o->kv_heads, (int)o->head_dim,
                                   m->rope.dynamic ? 0 : l->attention.window};
    }
    if ((rc = nn_load_norm(ld, "model.norm", o->hidden, (float)o->eps, &m->norm, err))) return rc;
    if (o->tied)
        m->head = m->embed;
    else if ((rc = nn_load_linear(ld, "lm_head", o->vocab, o->hidden, NN_BIAS_NO, &m->head, err)))
        return rc;
    *info = (model_info){.model_type = f->model_type,
                         .vocab = (int32_t)o->vocab,
                         .embeddings = (int32_t)o->vocab,
                         .context = m->rope.context,
                         .kv = {.layers = kv, .n_layers = m->n_layers}};
    info->token_bytes = ld->linear_bytes - (o->tied ? 0 : nn_linear_bytes(&m->embed));
    if (o->experts)
        info->token_bytes += ld->expert_bytes * (uint64_t)o->used / (uint64_t)o->experts;
    info->weights_per_token = (double)o->layers * (double)o->hidden *
                              ((double)o->head_dim * (double)(2 * o->heads + 2 * o->kv_heads) +
                               3.0 * (double)(o->experts ? o->used * o->expert_ffn : o->ffn));
    return MLXE_OK;
}

static mlxe_status load(nn_loader *ld, strv model_type, model **out, model_info *info,
                        mlxe_error *err)
{
    const family *f = FAMILIES;
    struct model *m = arena_alloc(ld->mem, sizeof *m);
    options o;
    mlxe_status rc;
    *out = NULL;
    if (!m) return err_memory(err, "model", sizeof *m);
    while (!strv_is(model_type, f->model_type))
        f++;
    if ((rc = options_read(ld, f, &o, err))) return rc;
    if ((rc = nn_rope_load(ld, (int)o.head_dim, o.max_position, &m->rope, err))) return rc;
    if ((rc = nn_config_finish(ld, err))) return rc;
    if ((rc = weights_load(ld, f, &o, m, info, err))) return rc;
    *out = m;
    return MLXE_OK;
}

/* ---- forward --------------------------------------------------------------------------------- */

static mx forward(mx_scope *g, const model *m, const nn_batch *batch, mx *last)
{
    mx x = nn_embed(g, &m->embed, batch);
    for (int i = 0; i < m->n_layers; i++) {
        x = nn_attention(g, &m->layers[i].attention, x, batch);
        x = m->layers[i].moe.experts ? nn_moe(g, &m->layers[i].moe, x)
                                     : nn_gated_mlp(g, &m->layers[i].mlp, x);
    }
    *last = x;
    return batch->n_wanted ? nn_head(g, &m->norm, &m->head, x, batch) : NULL;
}

static const char *const MODEL_TYPES[] = {"llama", "mistral",   "mixtral", "qwen2",
                                          "qwen3", "qwen3_moe", NULL};

const struct model_family model_llama = {MODEL_TYPES, load, forward};
