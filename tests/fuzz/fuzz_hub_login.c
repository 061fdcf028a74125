/* fuzz_hub_login.c: stored_tokens, which Python or a person may have written: read, and written
 * with one login more and one less.
 *
 *   first line: name   second line: token   the rest: the file
 *
 * A login that was stored is found, whatever stood there; what other sections hold outlives it; to
 * forget a name twice is to forget it once. */
#include "hub/login.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static strv take_line(strv *text)
{
    const char *end = text->n ? memchr(text->p, '\n', text->n) : NULL;
    size_t n = end ? (size_t)(end - text->p) : text->n;
    strv line = strv_from(text->p, n);
    *text = strv_from(text->p + n + (end != NULL), text->n - n - (end != NULL));
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    strv stored = strv_from((const char *)data, size), expires_at;
    strv name = take_line(&stored), token = take_line(&stored);
    buf without = {0}, with = {0}, again = {0};
    strv found = login_name(stored, token, &expires_at);
    if (found.p && (found.p < stored.p || found.p + found.n > stored.p + stored.n)) abort();
    login_text(stored, name, (strv){0}, &without);
    login_text(buf_view(&without), name, (strv){0}, &again);
    if (!strv_eq(buf_view(&without), buf_view(&again))) abort();
    if (!login_check(name, token, NULL)) {
        login_text(stored, name, token, &with);
        if (!login_name(buf_view(&with), token, &expires_at).p) abort();
        buf_clear(&again);
        login_text(buf_view(&with), name, (strv){0}, &again);
        if (!strv_eq(buf_view(&without), buf_view(&again))) abort();
    }
    buf_deinit(&without);
    buf_deinit(&with);
    buf_deinit(&again);
    return 0;
}
