/* login.c: an INI file read and written section by section.
 *
 * Traps: Python's parser takes "key = value" and "key: value", keys in any case, and stops at the
 * first line that is neither, so a name or a token with a line break must never get in. A file is
 * replaced by rename, made with mode 0600 from the start: at no moment can others read it. */
#define _XOPEN_SOURCE 700
#include "hub/login.h"

#include "hub/cache.h"
#include "hub/cache_dir.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_STORED_BYTES = 1 << 20, MAX_NAME_BYTES = 200 };

/* ---- reading --------------------------------------------------------------------------------- */

/* A line of an INI file: "[name]", "key = value" or "key: value". */
typedef struct ini_line {
    strv section, key, value; /* of a section line only the first, else only the others */
} ini_line;

static ini_line ini_read(strv line)
{
    ini_line out = {{0}, {0}, {0}};
    size_t at = 0;
    line = strv_trim(line);
    if (line.n > 2 && line.p[0] == '[' && line.p[line.n - 1] == ']') {
        out.section = strv_from(line.p + 1, line.n - 2);
        return out;
    }
    while (at < line.n && line.p[at] != '=' && line.p[at] != ':')
        at++;
    if (at == line.n || line.p[0] == '#' || line.p[0] == ';') return out;
    out.key = strv_trim(strv_from(line.p, at));
    out.value = strv_trim(strv_from(line.p + at + 1, line.n - at - 1));
    return out;
}

/* 1: key is the name, whatever its case. */
static int key_is(strv key, const char *name)
{
    size_t n = strlen(name);
    if (key.n != n) return 0;
    for (size_t i = 0; i < n; i++)
        if ((key.p[i] | 0x20) != name[i] && key.p[i] != name[i]) return 0;
    return 1;
}

/* One section: its name, all of its text with the head line, and what we know of its content. */
typedef struct section {
    strv name, text, token, expires_at;
} section;

static strv line_next(strv *text)
{
    const char *end = text->n ? memchr(text->p, '\n', text->n) : NULL;
    size_t n = end ? (size_t)(end - text->p) + 1 : text->n;
    strv line = strv_from(text->p, n);
    *text = strv_from(text->p + n, text->n - n);
    return line;
}

/* Takes the next section off *text; what comes before the first head has no name. -> 0: no more */
static int section_next(strv *text, section *out)
{
    const char *begin = text->p;
    *out = (section){{0}, {0}, {0}, {0}};
    if (!text->n) return 0;
    for (int first = 1; text->n; first = 0) {
        strv rest = *text;
        ini_line line = ini_read(line_next(&rest));
        if (line.section.p && !first) break;
        if (line.section.p) out->name = line.section;
        if (key_is(line.key, "hf_token")) out->token = line.value;
        if (key_is(line.key, "expires_at")) out->expires_at = line.value;
        *text = rest;
    }
    out->text = strv_from(begin, (size_t)(text->p - begin));
    return 1;
}

strv login_name(strv text, strv token, strv *expires_at)
{
    section s;
    *expires_at = (strv){0};
    while (section_next(&text, &s)) {
        if (!s.name.p || !s.token.n || !strv_eq(s.token, token)) continue;
        *expires_at = s.expires_at;
        return s.name;
    }
    return (strv){0};
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The folder of the token file, made if it is absent, so that nobody else may look into it. */
static mlxe_status folder_make(const char *token_path, buf *folder, mlxe_error *err)
{
    const char *slash = strrchr(token_path, '/');
    buf part = {0};
    int number = 0;
    buf_clear(folder);
    buf_add(folder, slash ? token_path : ".", slash ? (size_t)(slash - token_path) : 1);
    if (!folder->n) buf_add_char(folder, '/');
    for (size_t i = 1; i <= folder->n && !number; i++) {
        if (i < folder->n && folder->p[i] != '/') continue;
        buf_clear(&part);
        buf_add(&part, folder->p, i);
        if (!buf_ok(&part))
            number = ENOMEM;
        else if (mkdir(buf_str(&part), 0700) && errno != EEXIST && !fs_is_dir(buf_str(&part)))
            number = errno;
    }
    buf_deinit(&part);
    return number ? cache_io_error(buf_str(folder), "make the folder", number, err) : MLXE_OK;
}

static mlxe_status file_replace(const char *path, strv text, mlxe_error *err)
{
    char random[9];
    buf temporary = {0};
    int fd, number = 0;
    cache_random_hex(random, 8);
    buf_addf(&temporary, "%s.%s.tmp", path, random);
    if (!buf_ok(&temporary)) return err_memory(err, path, 0);
    fd = open(buf_str(&temporary), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) number = errno;
    while (fd >= 0 && !number && text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) number = n ? errno : EIO;
        if (n > 0) text = strv_from(text.p + n, text.n - (size_t)n);
    }
    if (fd >= 0 && !number && fsync(fd)) number = errno;
    if (fd >= 0 && close(fd) && !number) number = errno;
    if (!number && rename(buf_str(&temporary), path)) number = errno;
    if (fd >= 0 && number) unlink(buf_str(&temporary));
    buf_deinit(&temporary);
    return number ? cache_io_error(path, "write", number, err) : MLXE_OK;
}

/* The stored logins under their lock. */
typedef struct store {
    buf folder, path, text;
    cache_lock lock;
} store;

static mlxe_status store_open(const char *token_path, store *s, mlxe_error *err)
{
    buf lock = {0};
    *s = (store){.lock = {-1}};
    mlxe_status rc = folder_make(token_path, &s->folder, err);
    if (!rc) {
        fs_join(&s->path, buf_str(&s->folder), "stored_tokens");
        fs_join(&lock, buf_str(&s->folder), "stored_tokens.lock");
        rc = buf_ok(&s->path) && buf_ok(&lock)
                 ? cache_lock_take_at(buf_str(&lock), NULL, 0, NULL, &s->lock, err)
                 : err_memory(err, "login", 0);
    }
    if (!rc && fs_exists(buf_str(&s->path)))
        rc = fs_read(buf_str(&s->path), MAX_STORED_BYTES, &s->text, err);
    buf_deinit(&lock);
    return rc;
}

static void store_close(store *s)
{
    cache_lock_release(&s->lock);
    buf_deinit(&s->folder);
    buf_deinit(&s->path);
    buf_deinit(&s->text);
}

void login_text(strv stored, strv name, strv token, buf *out)
{
    section s;
    while (section_next(&stored, &s))
        if (!s.name.p || !strv_eq(s.name, name)) buf_add_strv(out, s.text);
    if (out->n && out->p[out->n - 1] != '\n') buf_add_char(out, '\n');
    if (token.n)
        buf_addf(out, "[%.*s]\nhf_token = %.*s\n\n", (int)name.n, name.p, (int)token.n, token.p);
}

mlxe_status login_check(strv name, strv token, mlxe_error *err)
{
    if (strv_starts(token, STRV("api_org")))
        return err_set(err, MLXE_E_ARG, "token: belongs to an organisation, want a person's");
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] < 0x21 || token.p[i] > 0x7e)
            return err_set(err, MLXE_E_ARG, "token: holds a character that no token has");
    if (!token.n || !name.n || name.n > MAX_NAME_BYTES)
        return err_set(err, MLXE_E_ARG, "token: it, or its name, is empty or too long");
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f || name.p[i] == '[' ||
            name.p[i] == ']')
            return err_set(err, MLXE_E_ARG, "token: its name holds a character it may not");
    return MLXE_OK;
}

mlxe_status login_save(const char *token_path, strv name, strv token, mlxe_error *err)
{
    store s;
    buf text = {0};
    mlxe_status rc = login_check(name, token, err);
    if (rc) return rc;
    rc = store_open(token_path, &s, err);
    if (!rc) {
        login_text(buf_view(&s.text), name, token, &text);
        rc = buf_ok(&text) ? file_replace(buf_str(&s.path), buf_view(&text), err)
                           : err_memory(err, "login", text.n);
    }
    if (!rc) rc = file_replace(token_path, token, err);
    store_close(&s);
    buf_deinit(&text);
    return rc;
}

mlxe_status login_remove(const char *token_path, buf *name, mlxe_error *err)
{
    store s;
    buf token = {0}, text = {0};
    strv expires_at;
    mlxe_status rc;
    buf_clear(name);
    if (!fs_exists(token_path)) return err_set(err, MLXE_E_NOT_FOUND, "%s: no login", token_path);
    rc = store_open(token_path, &s, err);
    if (!rc) rc = fs_read(token_path, MAX_STORED_BYTES, &token, err);
    if (!rc) {
        buf_add_strv(name, login_name(buf_view(&s.text), strv_trim(buf_view(&token)), &expires_at));
        if (name->n) {
            login_text(buf_view(&s.text), buf_view(name), (strv){0}, &text);
            rc = buf_ok(&text) ? file_replace(buf_str(&s.path), buf_view(&text), err)
                               : err_memory(err, "login", text.n);
        }
    }
    if (!rc && unlink(token_path)) rc = cache_io_error(token_path, "remove", errno, err);
    store_close(&s);
    buf_deinit(&token);
    buf_deinit(&text);
    return rc;
}
