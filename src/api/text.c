/* text.c: mlxe_tokenizer and mlxe_template: text work that needs no engine. */
#include "api/api.h"
#include "api/hub.h"

#include <stdlib.h>

mlxe_status mlxe_tokenizer_open(const char *model, mlxe_tokenizer **out, mlxe_error *err)
{
    mlxe_tokenizer *t = calloc(1, sizeof *t);
    buf folder = {0};
    mlxe_status rc;
    *out = NULL;
    err_clear(err);
    if (!t) return err_memory(err, "tokenizer", sizeof *t);
    rc = api_resolve(NULL, NULL, model, &folder, err);
    if (!rc) rc = tok_open_folder(buf_str(&folder), &t->owned, err);
    t->tok = t->owned;
    buf_deinit(&folder);
    if (rc)
        free(t);
    else
        *out = t;
    return rc;
}

void mlxe_tokenizer_close(mlxe_tokenizer *t)
{
    if (!t || !t->owned) return; /* a model's tokenizer goes with its model */
    tok_close(t->owned);
    free(t);
}

mlxe_status mlxe_tokenize(mlxe_tokenizer *t, const char *text, size_t text_bytes, const char *pair,
                          size_t pair_bytes, int add_special_tokens, mlxe_tokens *out,
                          mlxe_error *err)
{
    tok_ids ids = {0};
    strv second = {pair, pair ? api_length(pair, pair_bytes) : 0};
    mlxe_status rc;
    *out = (mlxe_tokens){0};
    err_clear(err);
    rc = tok_encode(t->tok, strv_from(text, api_length(text, text_bytes)), second,
                    add_special_tokens ? TOK_ADD_SPECIAL : 0, &ids, err);
    if (rc)
        tok_ids_deinit(&ids);
    else
        *out = (mlxe_tokens){ids.tokens, ids.n, ids.truncated};
    return rc;
}

void mlxe_tokens_deinit(mlxe_tokens *tokens)
{
    if (!tokens) return;
    free(tokens->tokens);
    *tokens = (mlxe_tokens){0};
}

mlxe_status mlxe_detokenize(mlxe_tokenizer *t, const int32_t *ids, size_t n_ids,
                            int skip_special_tokens, char **out, size_t *bytes, mlxe_error *err)
{
    buf text = {0};
    mlxe_status rc;
    *out = NULL;
    err_clear(err);
    rc = tok_decode(t->tok, ids, n_ids, skip_special_tokens, &text, err);
    if (!rc && !(*out = buf_take(&text, bytes))) rc = err_memory(err, "text", text.n);
    buf_deinit(&text);
    return rc;
}

struct mlxe_template {
    tmpl *plain, *tools; /* tools: for requests with tools; NULL: the same */
};

mlxe_status mlxe_template_open(const char *model, mlxe_template **out, mlxe_error *err)
{
    return mlxe_template_open_named(model, NULL, out, err);
}

mlxe_status mlxe_template_open_named(const char *model, const char *name, mlxe_template **out,
                                     mlxe_error *err)
{
    strv chosen = {name, name ? strlen(name) : 0};
    mlxe_template *t = calloc(1, sizeof *t);
    buf folder = {0};
    mlxe_status rc;
    *out = NULL;
    err_clear(err);
    if (!t) return err_memory(err, "template", sizeof *t);
    rc = api_resolve(NULL, NULL, model, &folder, err);
    if (!rc) rc = tmpl_open_chosen(buf_str(&folder), 0, chosen, &t->plain, err);
    if (!rc) rc = tmpl_open_chosen(buf_str(&folder), 1, chosen, &t->tools, err);
    buf_deinit(&folder);
    if (rc)
        mlxe_template_close(t);
    else
        *out = t;
    return rc;
}

mlxe_status mlxe_template_open_text(const char *name, const char *source, size_t bytes,
                                    mlxe_template **out, mlxe_error *err)
{
    mlxe_template *t = calloc(1, sizeof *t);
    mlxe_status rc;
    *out = NULL;
    err_clear(err);
    if (!t) return err_memory(err, "template", sizeof *t);
    rc = tmpl_open(name, strv_from(source, api_length(source, bytes)), &t->plain, err);
    if (rc)
        mlxe_template_close(t);
    else
        *out = t;
    return rc;
}

void mlxe_template_close(mlxe_template *t)
{
    if (!t) return;
    tmpl_close(t->plain);
    tmpl_close(t->tools);
    free(t);
}

mlxe_status mlxe_template_render(mlxe_template *t, const char *request_json, size_t request_bytes,
                                 char **out, size_t *bytes, mlxe_error *err)
{
    json_doc *doc = NULL;
    buf text = {0};
    const json *tools;
    mlxe_status rc;
    *out = NULL;
    err_clear(err);
    rc = json_parse("request", request_json, api_length(request_json, request_bytes), &doc, err);
    if (rc) goto out;
    if (!json_is(json_root(doc), JSON_OBJECT)) {
        rc = err_set(err, MLXE_E_INPUT, "request: is %s, want an object",
                     json_type_name(json_typeof(json_root(doc))));
        goto out;
    }
    tools = json_get(json_root(doc), "tools");
    rc = tmpl_render(t->tools && tools && !json_is(tools, JSON_NULL) ? t->tools : t->plain,
                     json_root(doc), &text, err);
    if (!rc && !(*out = buf_take(&text, bytes))) rc = err_memory(err, "text", text.n);
out:
    json_close(doc);
    buf_deinit(&text);
    return rc;
}
