/* api.h: what the files of src/api share: params brought to this version's size, engine handles. */
#ifndef API_API_H
#define API_API_H

#include "base/log.h"
#include "session/session.h"

struct mlxe_engine {
    atomic_int references;
    int process;
    log_sink log;
    struct hub *hub; /* as the environment said at open; NULL: it could not be opened */
    double open_ms;  /* that opening it took */
};

struct mlxe_tokenizer {
    const tok *tok;
    tok *owned; /* NULL: a model's */
};

struct mlxe_model {
    loaded *loaded;
    mlxe_engine *engine;
    mlxe_tokenizer tokenizer;
};

/* Copies params (NULL: all defaults) of any older size into `to`; newer fields stay 0.
 * Fails  ARG (size too small, or larger with fields set that this version does not know) */
mlxe_status api_params(const char *name, const void *params, void *to, size_t known,
                       mlxe_error *err);
/* Fails STATE in a forked child. */
mlxe_status api_process(int process, mlxe_error *err);
void engine_retain(mlxe_engine *engine);

static inline size_t api_length(const char *text, size_t n)
{
    return n == MLXE_AUTO ? (text ? strlen(text) : 0) : n;
}

#endif
