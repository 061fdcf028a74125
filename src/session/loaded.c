/* loaded.c: puts the parts of an open model together, checks that they agree.
 *
 * Traps: the end token is generation_config.json's eos_token_id, a number or a list, else
 * config.json's. The tokenizer may know fewer ids than the output head has rows (padding), never
 * more than the embedding has. */
#include "session/loaded.h"

#include <stdlib.h>

static mlxe_status end_ids_read(loaded *m, mlxe_error *err)
{
    const json *value = json_get(mf_generation_config(m->files), "eos_token_id");
    const json *item;
    json_iter it;
    if (!value || json_is(value, JSON_NULL)) value = json_get(mf_config(m->files), "eos_token_id");
    if (!value || json_is(value, JSON_NULL)) return MLXE_OK;
    m->end_ids = calloc(json_is(value, JSON_ARRAY) ? json_len(value) + 1 : 1, sizeof *m->end_ids);
    if (!m->end_ids) return err_memory(err, "eos_token_id", 0);
    if (json_is(value, JSON_INT)) {
        m->end_ids[m->n_end_ids++] = (int32_t)json_int(value);
        return MLXE_OK;
    }
    if (!json_is(value, JSON_ARRAY))
        return err_set(err, MLXE_E_CORRUPT,
                       "generation_config.json: eos_token_id is %s, want a number or a list",
                       json_type_name(json_typeof(value)));
    it = json_iterate(value);
    while (json_next(&it, NULL, &item)) {
        if (!json_is(item, JSON_INT))
            return err_set(err, MLXE_E_CORRUPT,
                           "generation_config.json: eos_token_id[%zu] is %s, want a number",
                           m->n_end_ids, json_type_name(json_typeof(item)));
        m->end_ids[m->n_end_ids++] = (int32_t)json_int(item);
    }
    return MLXE_OK;
}

static mlxe_status defaults_read(loaded *m, mlxe_error *err)
{
    const json *g = mf_generation_config(m->files);
    const char *where = "generation_config.json";
    gen_defaults *d = &m->defaults;
    mlxe_status rc;
    if (!g) return MLXE_OK;
    if ((rc = json_get_bool(g, where, "do_sample", &d->do_sample, err))) return rc;
    if ((rc = json_get_float(g, where, "temperature", &d->temperature, err))) return rc;
    if ((rc = json_get_float(g, where, "top_p", &d->top_p, err))) return rc;
    if ((rc = json_get_float(g, where, "min_p", &d->min_p, err))) return rc;
    if ((rc = json_get_int(g, where, "top_k", 0, INT32_MAX, &d->top_k, err))) return rc;
    return json_get_float(g, where, "repetition_penalty", &d->repetition_penalty, err);
}

/* A folder without a chat template is no error until somebody wants to chat. */
static mlxe_status templates_open(loaded *m, const char *chosen, mlxe_error *err)
{
    const char *folder = mf_folder(m->files);
    strv name = {chosen, chosen ? strlen(chosen) : 0};
    mlxe_status rc = tmpl_open_chosen(folder, 0, name, &m->chat, &m->chat_error);
    if (rc && chosen) { /* what was asked for has to work */
        if (err) *err = m->chat_error;
        return rc;
    }
    if (rc == MLXE_E_MEMORY) return err_memory(err, "chat template", 0);
    if (!rc && tmpl_open_chosen(folder, 1, name, &m->chat_tools, &m->chat_error)) {
        tmpl_close(m->chat);
        m->chat = NULL;
    }
    if (!m->chat) return MLXE_OK;
    dialect_choose(tmpl_source(m->chat), tmpl_tokens(m->chat), &m->dialect);
    dialect_choose(tmpl_source(m->chat_tools), tmpl_tokens(m->chat_tools), &m->dialect_tools);
    return MLXE_OK;
}

static void loaded_free(loaded *m)
{
    text_close(m->text);
    tmpl_close(m->chat);
    tmpl_close(m->chat_tools);
    tok_close(m->tokenizer);
    if (m->ops && m->model) m->ops->close(m->model);
    mf_close(m->files);
    free(m->end_ids);
    free(m);
}

mlxe_status loaded_open(const char *folder, const mlxe_model_params *params, const log_sink *log,
                        loaded **out, mlxe_error *err)
{
    fs_mode mode = params->load == MLXE_LOAD_MAP    ? FS_MAP
                   : params->load == MLXE_LOAD_READ ? FS_READ
                                                    : FS_AUTO;
    eng_options options = {.kv_type = params->kv_type, .precision = params->precision};
    loaded *m = calloc(1, sizeof *m);
    mlxe_status rc;
    *out = NULL;
    if (!m) return err_memory(err, "model", sizeof *m);
    atomic_init(&m->references, 1);
    if (log) m->log = *log;
    if ((rc = mf_open(folder, mode, &m->files, err))) goto out;
    if ((rc = engine_find(m->files, &m->ops, err))) goto out;
    if ((rc = m->ops->open(m->files, &options, &m->log, &m->model, err))) goto out;
    m->ops->capabilities(m->model, &m->caps);
    if ((rc = tok_open_folder(folder, &m->tokenizer, err))) {
        if (rc != MLXE_E_NOT_FOUND) goto out;
        err_clear(err); /* logits of ids need no tokenizer; sessions say that it is missing */
    }
    if ((rc = end_ids_read(m, err)) || (rc = defaults_read(m, err))) goto out;
    if ((rc = templates_open(m, params->chat_template, err))) goto out;
    m->context_given = params->context_tokens != 0;
    m->context_tokens = params->context_tokens ? params->context_tokens : m->caps.context_tokens;
    rc = text_open(m->ops, m->model, m->tokenizer, params->parallel ? (int)params->parallel : 1,
                   &m->text, err);
out:
    if (rc)
        loaded_free(m);
    else
        *out = m;
    return rc;
}

loaded *loaded_retain(loaded *m)
{
    atomic_fetch_add(&m->references, 1);
    return m;
}

void loaded_release(loaded *m)
{
    if (m && atomic_fetch_sub(&m->references, 1) == 1) loaded_free(m);
}
