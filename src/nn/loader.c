/* loader.c: checks of options and tensors while a model loads.
 *
 *   config.json --nn_config_*--> the family's fields; what nobody asked for is refused at the end
 *   name ------nn_load_linear--> kn_matrix over the folder's bytes, its bias as f32
 *
 * Quantised weights are MLX's: name.weight u32 [n, k*bits/32], name.scales and name.biases
 * [n, k/group] (mxfp4, mxfp8, nvfp4: scales are bytes, no biases); mode, bits and group come from
 * config's "quantization", a layer's own entry there first
 * (mlx-lm writes {"group_size":64,"bits":4,"model.layers.0.mlp.down_proj":{"bits":8,..}}).
 *
 * Traps: 3, 5 and 6 bits pack k*bits/32 words exactly, so the weight's shape alone does not tell
 * bits from group: the config decides and the shapes must agree. Some files call the same object
 * quantization_config; there it can also be another method's (gptq, awq), which is refused. */
#include "nn/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Options of every config.json that say nothing about the forward pass. */
static const char *const NEUTRAL[] = {"architectures",
                                      "model_type",
                                      "transformers_version",
                                      "torch_dtype",
                                      "dtype",
                                      "use_cache",
                                      "bos_token_id",
                                      "eos_token_id",
                                      "pad_token_id",
                                      "unk_token_id",
                                      "sep_token_id",
                                      "cls_token_id",
                                      "mask_token_id",
                                      "decoder_start_token_id",
                                      "initializer_range",
                                      "initializer_factor",
                                      "attention_dropout",
                                      "hidden_dropout",
                                      "resid_pdrop",
                                      "embd_pdrop",
                                      "attn_pdrop",
                                      "dropout",
                                      "output_attentions",
                                      "output_hidden_states",
                                      "return_dict",
                                      "return_dict_in_generate",
                                      "output_scores",
                                      "torchscript",
                                      "use_bfloat16",
                                      "tf_legacy_loss",
                                      "pruned_heads",
                                      "chunk_size_feed_forward",
                                      "is_encoder_decoder",
                                      "is_decoder",
                                      "problem_type",
                                      "id2label",
                                      "label2id",
                                      "num_labels",
                                      "task_specific_params",
                                      "finetuning_task",
                                      "tokenizer_class",
                                      "prefix",
                                      "name_or_path",
                                      "auto_map",
                                      "pretraining_tp",
                                      "quantization",
                                      "quantization_config",
                                      "max_length",
                                      "min_length",
                                      "do_sample",
                                      "early_stopping",
                                      "num_beams",
                                      "num_beam_groups",
                                      "diversity_penalty",
                                      "temperature",
                                      "top_k",
                                      "top_p",
                                      "typical_p",
                                      "repetition_penalty",
                                      "length_penalty",
                                      "no_repeat_ngram_size",
                                      "encoder_no_repeat_ngram_size",
                                      "bad_words_ids",
                                      "num_return_sequences",
                                      "forced_bos_token_id",
                                      "forced_eos_token_id",
                                      "remove_invalid_values",
                                      "exponential_decay_length_penalty",
                                      "suppress_tokens",
                                      "begin_suppress_tokens",
                                      "attn_implementation",
                                      "model_max_length",
                                      "unsloth_fixed",
                                      "unsloth_version",
                                      NULL};

static mlxe_status known_add(nn_loader *ld, strv key)
{
    if (ld->n_known == ld->known_cap) {
        size_t cap = ld->known_cap ? ld->known_cap * 2 : 128;
        strv *grown = realloc(ld->known, cap * sizeof *grown);
        if (!grown) return MLXE_E_MEMORY;
        ld->known = grown;
        ld->known_cap = cap;
    }
    ld->known[ld->n_known++] = key;
    return MLXE_OK;
}

static int known_has(const nn_loader *ld, strv key)
{
    for (size_t i = 0; i < ld->n_known; i++)
        if (strv_eq(ld->known[i], key)) return 1;
    return 0;
}

static int bits_ok(int64_t bits) { return bits >= 2 && bits <= 8 && bits != 7; }
static int group_ok(int64_t group) { return group == 32 || group == 64 || group == 128; }

/* The modes that MLX has besides affine; bits and group are set by the mode. */
static const struct {
    const char *name;
    nn_packing packing;
} MODES[] = {
    {"mxfp4", {KN_MXFP4, 4, 32}}, {"mxfp8", {KN_MXFP8, 8, 32}}, {"nvfp4", {KN_NVFP4, 4, 16}}};

static mlxe_status mode_check(strv mode, const char *where, int64_t bits, int64_t group,
                              nn_packing *out, mlxe_error *err)
{
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
        const nn_packing *p = &MODES[i].packing;
        if (!strv_is(mode, MODES[i].name)) continue;
        *out = *p;
        if (bits == p->bits && group == p->group) return MLXE_OK;
        return err_set(err, MLXE_E_UNSUPPORTED,
                       "%s: mode %s with %lld bits and group_size %lld, want %d and %d", where,
                       MODES[i].name, (long long)bits, (long long)group, p->bits, p->group);
    }
    return err_set(err, MLXE_E_UNSUPPORTED,
                   "%s.mode: quantisation mode %.*s, want affine, mxfp4, mxfp8 or nvfp4", where,
                   (int)mode.n, mode.p);
}

/* One quantisation object, on top of what *packing holds; a mode that is left out is affine. */
static mlxe_status quantization_read(const json *q, const char *where, nn_packing *packing,
                                     mlxe_error *err)
{
    int64_t b = packing->bits, g = packing->group;
    strv mode = STRV("affine");
    mlxe_status rc;
    if ((rc = json_get_int(q, where, "bits", 1, 64, &b, err))) return rc;
    if ((rc = json_get_int(q, where, "group_size", 1, 1 << 20, &g, err))) return rc;
    if ((rc = json_get_str(q, where, "mode", &mode, err))) return rc;
    if (!strv_is(mode, "affine")) return mode_check(mode, where, b, g, packing, err);
    if (!bits_ok(b))
        return err_set(err, MLXE_E_UNSUPPORTED, "%s.bits: %lld, want 2, 3, 4, 5, 6 or 8", where,
                       (long long)b);
    if (!group_ok(g))
        return err_set(err, MLXE_E_UNSUPPORTED, "%s.group_size: %lld, want 32, 64 or 128", where,
                       (long long)g);
    *packing = (nn_packing){KN_AFFINE, (int)b, (int)g};
    return MLXE_OK;
}

/* A layer's own entry is an object, or true or false. */
static mlxe_status overrides_check(const json *q, mlxe_error *err)
{
    static const char *const PLAIN[] = {"bits", "group_size", "mode", "quant_method", NULL};
    json_iter it = json_iterate(q);
    const json *key, *value;
    while (json_next(&it, &key, &value)) {
        strv name = json_str(key);
        int plain = 0;
        for (int i = 0; PLAIN[i]; i++)
            plain |= strv_is(name, PLAIN[i]);
        if (plain || json_is(value, JSON_OBJECT) || json_is(value, JSON_BOOL)) continue;
        return err_set(err, MLXE_E_CORRUPT,
                       "config.json: quantization.%.*s is %s, want an object or false", (int)name.n,
                       name.p, json_type_name(json_typeof(value)));
    }
    return MLXE_OK;
}

mlxe_status nn_loader_init(nn_loader *ld, model_files *files, arena *mem, const log_sink *log,
                           mlxe_error *err)
{
    const json *q;
    strv method = {NULL, 0};
    mlxe_status rc;
    *ld = (nn_loader){.files = files,
                      .config = mf_config(files),
                      .where = "config.json",
                      .mem = mem,
                      .log = log,
                      .packing = {KN_AFFINE, 4, 64}};
    for (size_t i = 0; NEUTRAL[i]; i++)
        if (known_add(ld, strv_of(NEUTRAL[i]))) return err_memory(err, "config.json", 0);
    q = json_get(ld->config, "quantization");
    if (!json_is(q, JSON_OBJECT)) q = json_get(ld->config, "quantization_config");
    if (!q || json_is(q, JSON_NULL)) return MLXE_OK;
    if (!json_is(q, JSON_OBJECT))
        return err_set(err, MLXE_E_CORRUPT, "config.json: quantization is %s, want an object",
                       json_type_name(json_typeof(q)));
    if ((rc = json_get_str(q, "config.json: quantization", "quant_method", &method, err)))
        return rc;
    if (method.p && !strv_is(method, "mlx") && !strv_is(method, "affine"))
        return err_set(
            err, MLXE_E_UNSUPPORTED,
            "config.json: quantization_config.quant_method: %.*s, want MLX's affine quantisation",
            (int)method.n, method.p);
    ld->quantization = q;
    if (!json_get(q, "bits") || !json_get(q, "group_size"))
        return err_set(err, MLXE_E_CORRUPT,
                       "config.json: quantization: bits and group_size are needed, %s is missing",
                       json_get(q, "bits") ? "group_size" : "bits");
    if ((rc = overrides_check(q, err))) return rc;
    return quantization_read(q, "config.json: quantization", &ld->packing, err);
}

void nn_loader_deinit(nn_loader *ld)
{
    free(ld->known);
    ld->known = NULL;
    ld->n_known = ld->known_cap = 0;
}

mlxe_status nn_config_int(nn_loader *ld, const char *key, int64_t low, int64_t high, int64_t *out,
                          mlxe_error *err)
{
    if (known_add(ld, strv_of(key))) return err_memory(err, ld->where, 0);
    return json_get_int(ld->config, ld->where, key, low, high, out, err);
}

mlxe_status nn_config_float(nn_loader *ld, const char *key, double *out, mlxe_error *err)
{
    if (known_add(ld, strv_of(key))) return err_memory(err, ld->where, 0);
    return json_get_float(ld->config, ld->where, key, out, err);
}

mlxe_status nn_config_bool(nn_loader *ld, const char *key, int *out, mlxe_error *err)
{
    if (known_add(ld, strv_of(key))) return err_memory(err, ld->where, 0);
    return json_get_bool(ld->config, ld->where, key, out, err);
}

mlxe_status nn_config_str(nn_loader *ld, const char *key, strv *out, mlxe_error *err)
{
    if (known_add(ld, strv_of(key))) return err_memory(err, ld->where, 0);
    return json_get_str(ld->config, ld->where, key, out, err);
}

const json *nn_config_value(nn_loader *ld, const char *key)
{
    (void)known_add(ld, strv_of(key));
    return json_get(ld->config, key);
}

void nn_config_ignore(nn_loader *ld, const char *const *keys)
{
    for (; *keys; keys++)
        (void)known_add(ld, strv_of(*keys));
}

mlxe_status nn_config_finish(nn_loader *ld, mlxe_error *err)
{
    json_iter it = json_iterate(ld->config);
    const json *key, *value;
    while (json_next(&it, &key, &value)) {
        strv name = json_str(key);
        json_type type = json_typeof(value);
        int off = type == JSON_NULL || (type == JSON_BOOL && !json_bool(value));
        if (strv_is(name, "is_causal")) off = type == JSON_BOOL && json_bool(value);
        if (off || known_has(ld, name)) continue;
        if (name.n && name.p[0] == '_') continue; /* transformers' own bookkeeping */
        err_set(err, MLXE_E_UNSUPPORTED,
                "%s: %.*s: this option is not understood for this model type", ld->where,
                (int)name.n, name.p);
        err_hint(err, "an option that is ignored would give wrong answers; remove it from "
                      "config.json if it changes nothing");
        return MLXE_E_UNSUPPORTED;
    }
    return MLXE_OK;
}

/* ---- tensors --------------------------------------------------------------------------------- */

static const char *shape_text(const mf_tensor *t, char *out, size_t cap)
{
    buf b = {0};
    for (int i = 0; i < t->n_dims; i++)
        buf_addf(&b, "%s%lld", i ? "," : "", (long long)t->shape[i]);
    strncpy(out, buf_str(&b), cap - 1);
    out[cap - 1] = 0;
    buf_deinit(&b);
    return out;
}

static mlxe_status tensor_find(nn_loader *ld, const char *name, const char *part, int dims,
                               int64_t n, int64_t k, const mf_tensor **out, mlxe_error *err)
{
    buf full = {0};
    char shape[128];
    const mf_tensor *t;
    mlxe_status rc = MLXE_OK;
    buf_addf(&full, "%s%s", name, part);
    t = buf_ok(&full) ? mf_find(ld->files, buf_str(&full)) : NULL;
    if (!t)
        rc = err_set(err, MLXE_E_CORRUPT, "%s: tensor %s is missing", mf_folder(ld->files),
                     buf_str(&full));
    else if (dims == 3 ? t->n_dims != 3 || t->shape[0] * t->shape[1] != n || t->shape[2] != k
                       : t->n_dims != dims || t->shape[0] != n || (dims == 2 && t->shape[1] != k)) {
        const char *file = mf_file_name(ld->files, t->file);
        shape_text(t, shape, sizeof shape);
        rc = dims == 3   ? err_set(err, MLXE_E_CORRUPT, "%s: %s is [%s], want %lld rows of %lld",
                                   file, buf_str(&full), shape, (long long)n, (long long)k)
             : dims == 2 ? err_set(err, MLXE_E_CORRUPT, "%s: %s is [%s], want [%lld,%lld]", file,
                                   buf_str(&full), shape, (long long)n, (long long)k)
                         : err_set(err, MLXE_E_CORRUPT, "%s: %s is [%s], want [%lld]", file,
                                   buf_str(&full), shape, (long long)n);
    }
    *out = t;
    buf_deinit(&full);
    return rc;
}

static mlxe_status kernel_dtype(nn_loader *ld, const mf_tensor *t, kn_dtype *out, mlxe_error *err)
{
    switch (t->dtype) {
    case MF_F32:
        *out = KN_F32;
        return MLXE_OK;
    case MF_F16:
        *out = KN_F16;
        return MLXE_OK;
    case MF_BF16:
        *out = KN_BF16;
        return MLXE_OK;
    default:
        return err_set(err, MLXE_E_UNSUPPORTED, "%s: %.*s is %s, want F32, F16 or BF16",
                       mf_file_name(ld->files, t->file), (int)t->name.n, t->name.p,
                       mf_dtype_name(t->dtype));
    }
}

int nn_has(const nn_loader *ld, const char *name) { return mf_find(ld->files, name) != NULL; }

/* A vector as f32 in the model's arena. */
static mlxe_status vector_load(nn_loader *ld, const char *name, const char *part, int64_t n,
                               const float **out, mlxe_error *err)
{
    const mf_tensor *t;
    const void *data;
    kn_matrix row;
    float *p;
    int32_t zero = 0;
    mlxe_status rc;
    if ((rc = tensor_find(ld, name, part, 1, n, 0, &t, err))) return rc;
    row = (kn_matrix){.n = 1, .k = n};
    if ((rc = kernel_dtype(ld, t, &row.dtype, err))) return rc;
    if ((rc = mf_data(ld->files, t, &data, err))) return rc;
    row.w = data;
    p = arena_array(ld->mem, (size_t)n, sizeof *p);
    if (!p) return err_memory(err, name, (size_t)n * sizeof *p);
    *out = p;
    return kn_embed(&row, &zero, 1, p, NULL); /* one row, converted */
}

static mlxe_status layer_packing(nn_loader *ld, const char *name, nn_packing *out, mlxe_error *err)
{
    const json *own = json_get(ld->quantization, name);
    buf where = {0};
    mlxe_status rc = MLXE_OK;
    *out = ld->packing;
    if (!ld->quantization)
        return err_set(err, MLXE_E_CORRUPT,
                       "config.json: quantization is missing, but %s.scales is there", name);
    if (json_is(own, JSON_OBJECT)) {
        buf_addf(&where, "config.json: quantization.%s", name);
        rc = quantization_read(own, buf_str(&where), out, err);
    } else if (json_is(own, JSON_BOOL) && !json_bool(own)) {
        rc = err_set(err, MLXE_E_CORRUPT,
                     "config.json: quantization.%s is false, but %s.scales is there", name, name);
    }
    buf_deinit(&where);
    return rc;
}

/* dims 3: matrices that lie one after the other, n rows together. */
static mlxe_status packed_load(nn_loader *ld, const char *name, int dims, int64_t n, int64_t k,
                               kn_matrix *out, mlxe_error *err)
{
    const mf_tensor *w, *scales, *biases;
    nn_packing p;
    mlxe_status rc;
    if ((rc = layer_packing(ld, name, &p, err))) return rc;
    if (k % p.group)
        return err_set(err, MLXE_E_CORRUPT,
                       "%s.weight: %lld inputs, want a multiple of the group size %d", name,
                       (long long)k, p.group);
    if ((rc = tensor_find(ld, name, ".weight", dims, n, k * p.bits / 32, &w, err))) return rc;
    if ((rc = tensor_find(ld, name, ".scales", dims, n, k / p.group, &scales, err))) return rc;
    if (w->dtype != MF_U32)
        return err_set(err, MLXE_E_CORRUPT, "%s.weight is %s, want U32 (it has scales)", name,
                       mf_dtype_name(w->dtype));
    *out = (kn_matrix){.n = n, .k = k, .bits = p.bits, .group = p.group, .mode = p.mode};
    if ((rc = mf_data(ld->files, w, &out->w, err))) return rc;
    if ((rc = mf_data(ld->files, scales, &out->scales, err))) return rc;
    if (p.mode != KN_AFFINE) {
        if (scales->dtype == MF_U8) return MLXE_OK;
        return err_set(err, MLXE_E_CORRUPT, "%s.scales is %s, want U8 in this mode", name,
                       mf_dtype_name(scales->dtype));
    }
    if ((rc = tensor_find(ld, name, ".biases", dims, n, k / p.group, &biases, err))) return rc;
    if (scales->dtype != biases->dtype)
        return err_set(err, MLXE_E_CORRUPT, "%s.biases is %s, want %s as its scales", name,
                       mf_dtype_name(biases->dtype), mf_dtype_name(scales->dtype));
    if ((rc = kernel_dtype(ld, scales, &out->dtype, err))) return rc;
    return mf_data(ld->files, biases, &out->biases, err);
}

/* In any storage; dims as in packed_load. */
static mlxe_status matrix_load(nn_loader *ld, const char *name, int dims, int64_t n, int64_t k,
                               kn_matrix *out, mlxe_error *err)
{
    char probe[512];
    const mf_tensor *w;
    mlxe_status rc;
    if (strlen(name) + 16 > sizeof probe)
        return err_set(err, MLXE_E_INTERNAL, "tensor name of %zu bytes", strlen(name));
    snprintf(probe, sizeof probe, "%s.scales", name);
    if (nn_has(ld, probe)) return packed_load(ld, name, dims, n, k, out, err);
    if ((rc = tensor_find(ld, name, ".weight", dims, n, k, &w, err))) return rc;
    *out = (kn_matrix){.n = n, .k = k};
    if ((rc = kernel_dtype(ld, w, &out->dtype, err))) return rc;
    return mf_data(ld->files, w, &out->w, err);
}

/* Matrix number i of several of n rows that lie one after the other. */
static kn_matrix matrix_of(const kn_matrix *all, int64_t i, int64_t n)
{
    kn_matrix one = *all;
    size_t element = all->dtype == KN_F32 ? 4 : 2, values = (size_t)(i * n * all->k), groups;
    one.n = n;
    if (!all->bits) {
        one.w = (const char *)all->w + values * element;
        return one;
    }
    groups = values / (size_t)all->group * (all->mode ? 1 : element);
    one.w = (const char *)all->w + values * (size_t)all->bits / 8;
    one.scales = (const char *)all->scales + groups;
    if (all->biases) one.biases = (const char *)all->biases + groups;
    return one;
}

mlxe_status nn_load_experts(nn_loader *ld, const char *stacked, const char *each, const char *part,
                            int count, int64_t n, int64_t k, const kn_matrix **out, mlxe_error *err)
{
    kn_matrix all, *w = arena_array(ld->mem, (size_t)count, sizeof *w);
    nn_linear sized = {0};
    char name[256];
    mlxe_status rc;
    *out = w;
    if (!w) return err_memory(err, stacked, (size_t)count * sizeof *w);
    snprintf(name, sizeof name, "%s.weight", stacked);
    if (nn_has(ld, name)) {
        if ((rc = matrix_load(ld, stacked, 3, count * n, k, &all, err))) return rc;
        for (int i = 0; i < count; i++)
            w[i] = matrix_of(&all, i, n);
    } else {
        for (int i = 0; i < count; i++) {
            snprintf(name, sizeof name, "%s.%d.%s", each, i, part);
            if ((rc = matrix_load(ld, name, 2, n, k, &w[i], err))) return rc;
            if (w[i].bits != w[0].bits || w[i].mode != w[0].mode || w[i].dtype != w[0].dtype)
                return err_set(err, MLXE_E_UNSUPPORTED,
                               "%s: stored unlike the layer's other experts", name);
        }
    }
    sized.w = w[0];
    ld->expert_bytes += (uint64_t)count * nn_linear_bytes(&sized);
    return MLXE_OK;
}

mlxe_status nn_load_linear(nn_loader *ld, const char *name, int64_t n, int64_t k, nn_bias bias,
                           nn_linear *out, mlxe_error *err)
{
    char probe[512];
    mlxe_status rc;
    *out = (nn_linear){.precision = ld->precision};
    if ((rc = matrix_load(ld, name, 2, n, k, &out->w, err))) return rc;
    snprintf(probe, sizeof probe, "%s.bias", name);
    if (bias == NN_BIAS_NO && nn_has(ld, probe))
        return err_set(err, MLXE_E_CORRUPT,
                       "%s: %s is there, but the config says that it has no bias",
                       mf_folder(ld->files), probe);
    if (bias == NN_BIAS_YES || (bias == NN_BIAS_IF_THERE && nn_has(ld, probe)))
        rc = vector_load(ld, name, ".bias", n, &out->bias, err);
    if (!rc) ld->linear_bytes += nn_linear_bytes(out);
    return rc;
}

uint64_t nn_linear_bytes(const nn_linear *linear)
{
    const kn_matrix *w = &linear->w;
    uint64_t elements = (uint64_t)w->n * (uint64_t)w->k, size = w->dtype == KN_F32 ? 4 : 2;
    if (!w->bits) return elements * size;
    if (w->mode) return elements * (uint64_t)w->bits / 8 + elements / (uint64_t)w->group;
    return elements * (uint64_t)w->bits / 8 + elements / (uint64_t)w->group * 2 * size;
}

mlxe_status nn_load_norm(nn_loader *ld, const char *name, int64_t e, float eps, nn_norm *out,
                         mlxe_error *err)
{
    *out = (nn_norm){.eps = eps};
    return vector_load(ld, name, ".weight", e, &out->weight, err);
}
