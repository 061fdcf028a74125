/* session.c: mlxe_session: thin over src/session. Jobs are src/session/job.c's own. */
#include "api/api.h"

/* The public handle is the session itself; a model's process check guards against forks. */

mlxe_status mlxe_session_open(mlxe_model *model, const mlxe_session_params *params,
                              mlxe_session **out, mlxe_error *err)
{
    mlxe_session_params p;
    mlxe_status rc;
    *out = NULL;
    err_clear(err);
    if ((rc = api_process(model->engine->process, err))) return rc;
    if ((rc = api_params("mlxe_session_params", params, &p, sizeof p, err))) return rc;
    return session_open(model->loaded, &p, out, err);
}

void mlxe_session_close(mlxe_session *s) { session_close(s); }

mlxe_status mlxe_session_reset(mlxe_session *s, mlxe_error *err)
{
    err_clear(err);
    return session_reset(s, err);
}

typedef mlxe_status (*starter)(session *s, strv text, const mlxe_gen_params *p, job **out,
                               mlxe_error *err);

static mlxe_status begin(starter start, mlxe_session *s, const char *text, size_t n,
                         const mlxe_gen_params *params, mlxe_job **out, mlxe_error *err)
{
    mlxe_gen_params p;
    mlxe_status rc;
    *out = NULL;
    err_clear(err);
    if ((rc = api_params("mlxe_gen_params", params, &p, sizeof p, err))) return rc;
    return start(s, strv_from(text, api_length(text, n)), &p, out, err);
}

mlxe_status mlxe_session_ask(mlxe_session *s, const char *text, size_t n,
                             const mlxe_gen_params *params, mlxe_job **out, mlxe_error *err)
{
    return begin(session_ask, s, text, n, params, out, err);
}

mlxe_status mlxe_session_chat(mlxe_session *s, const char *messages_json, size_t n,
                              const mlxe_gen_params *params, mlxe_job **out, mlxe_error *err)
{
    return begin(session_chat, s, messages_json, n, params, out, err);
}

mlxe_status mlxe_session_add(mlxe_session *s, const char *message_json, size_t n, mlxe_error *err)
{
    err_clear(err);
    return session_add(s, strv_from(message_json, api_length(message_json, n)), err);
}

mlxe_status mlxe_session_answer(mlxe_session *s, const mlxe_gen_params *params, mlxe_job **out,
                                mlxe_error *err)
{
    mlxe_gen_params p;
    mlxe_status rc;
    *out = NULL;
    err_clear(err);
    if ((rc = api_params("mlxe_gen_params", params, &p, sizeof p, err))) return rc;
    return session_answer(s, &p, out, err);
}

mlxe_status mlxe_session_complete(mlxe_session *s, const char *prompt, size_t n,
                                  const mlxe_gen_params *params, mlxe_job **out, mlxe_error *err)
{
    return begin(session_complete, s, prompt, n, params, out, err);
}
