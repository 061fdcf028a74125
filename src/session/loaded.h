/* loaded.h: a model that is open: files, engine model, tokenizer, templates, text pipeline.
 *
 * Counted: each session and each user of the public handle holds one reference, so that closing
 * the model before its sessions is legal. Immutable after open but for the pipeline's own state. */
#ifndef SESSION_LOADED_H
#define SESSION_LOADED_H

#include "pipelines/text.h"
#include "text/dialect.h"
#include "text/tmpl.h"

/* What generation_config.json says; a field that it leaves out is 0 here. */
typedef struct gen_defaults {
    int do_sample;
    double temperature, top_p, min_p, repetition_penalty;
    int64_t top_k;
} gen_defaults;

typedef struct loaded {
    atomic_int references;
    model_files *files;
    const engine_ops *ops;
    eng_model *model;
    eng_caps caps;
    tok *tokenizer;
    tmpl *chat, *chat_tools; /* NULL: the folder has no template (chat_error says why) */
    mlxe_error chat_error;
    dialect_choice dialect, dialect_tools; /* of chat and chat_tools */
    text_pipeline *text;
    gen_defaults defaults;
    int32_t *end_ids;
    size_t n_end_ids;
    int64_t context_tokens;
    int context_given; /* 1: the caller asked for that context: longer passes are refused */
    log_sink log;
} loaded;

/* folder: a model folder. The process runtime must run. Fails as mlxe_model_open */
mlxe_status loaded_open(const char *folder, const mlxe_model_params *params, const log_sink *log,
                        loaded **out, mlxe_error *err);
loaded *loaded_retain(loaded *m);
void loaded_release(loaded *m); /* the last one closes; not on the pipeline's thread */

#endif
