/* login.h: the logins that huggingface_hub keeps, written as it does, so that each program finds
 * the other's.
 *
 *   HF_TOKEN_PATH                  the active token, nothing else
 *   stored_tokens beside it        [name] / hf_token = .. , a section a login
 *   stored_tokens.lock             held while they are written
 *
 * Files are 0600, a folder that is made is 0700. What others keep in a section stays as it is.
 * Source: huggingface_hub utils/_auth.py, _login.py. */
#ifndef HUB_LOGIN_H
#define HUB_LOGIN_H

#include "base/buf.h"

/* Makes token the active one and keeps it under name, in place of an older one of that name.
 * Fails  ARG (a token of an organisation, which no longer exist; a name no section can have), IO */
mlxe_status login_save(const char *token_path, strv name, strv token, mlxe_error *err);
/* Forgets the active token. name (cleared first): of the login it was, or empty.
 * Fails  NOT_FOUND (there is none), IO */
mlxe_status login_remove(const char *token_path, buf *name, mlxe_error *err);

/* The name of the section whose hf_token is token; {NULL,0}: none. Borrowed from text. */
strv login_name(strv text, strv token, strv *expires_at);

/* Fails ARG: a token that is none, or is an organisation's; a name that no section can have. */
mlxe_status login_check(strv name, strv token, mlxe_error *err);
/* stored_tokens without the section of that name, and with a new one of it unless token is empty;
 * appended. What other sections hold stays as it is. */
void login_text(strv stored, strv name, strv token, buf *out);

#endif
