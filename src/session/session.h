/* session.h: one conversation: its messages, its KV row, what of a new prompt is already there. */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "session/job.h"
#include "session/loaded.h"

typedef struct mlxe_session session;

mlxe_status session_open(loaded *m, const mlxe_session_params *params, session **out,
                         mlxe_error *err);
void session_close(session *s);
mlxe_status session_ask(session *s, strv text, const mlxe_gen_params *params, job **out,
                        mlxe_error *err);
mlxe_status session_chat(session *s, strv messages_json, const mlxe_gen_params *params, job **out,
                         mlxe_error *err);
mlxe_status session_add(session *s, strv message_json, mlxe_error *err);
mlxe_status session_answer(session *s, const mlxe_gen_params *params, job **out, mlxe_error *err);
mlxe_status session_complete(session *s, strv prompt, const mlxe_gen_params *params, job **out,
                             mlxe_error *err);
mlxe_status session_reset(session *s, mlxe_error *err);

#endif
