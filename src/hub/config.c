/* config.c: variables -> settings.
 *
 * Source: huggingface_hub constants.py, utils/_auth.py.
 * Traps: set but empty is unset. "~" and $VAR in paths are expanded. HF_HUB_OFFLINE decides when
 * it is set, even to 0; else TRANSFORMERS_OFFLINE. A timeout that is no number is ignored and
 * said. The file of the active token is one line; beside it "stored_tokens" keeps all of them by
 * name, with the time when one that came from a browser runs out. libcurl reads the variables of
 * proxies but HTTP_PROXY in capitals: in a CGI program, whose mark is REQUEST_METHOD, that is a
 * header of whoever asks. */
#include "hub/config.h"

#include "hub/login.h"

#include "base/fs.h"
#include "hub/request.h"

#include <time.h>

enum { MAX_TOKEN_FILE = 64 << 10, MAX_STORED_FILE = 1 << 20, MAX_TIMEOUT_S = 100000 };

typedef struct source {
    hub_env_fn get;
    void *user;
    const log_sink *log;
} source;

static const char *value_of(const source *s, const char *name)
{
    const char *v = s->get(s->user, name);
    return v && *v ? v : NULL;
}

static int is_yes(const char *v)
{
    static const char *const YES[] = {"1", "ON", "YES", "TRUE"};
    for (size_t i = 0; v && i < sizeof YES / sizeof *YES; i++) {
        size_t k = 0;
        while (v[k] &&
               (v[k] == YES[i][k] || (v[k] >= 'a' && v[k] <= 'z' && v[k] - 32 == YES[i][k])))
            k++;
        if (!v[k] && !YES[i][k]) return 1;
    }
    return 0;
}

static int name_char(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "~", $VAR and ${VAR} as os.path.expandvars and expanduser do; an unknown variable stays. */
static void expand(const source *s, const char *text, buf *out)
{
    buf_clear(out);
    if (text[0] == '~' && (text[1] == '/' || !text[1]) && value_of(s, "HOME")) {
        buf_add_str(out, value_of(s, "HOME"));
        text++;
    }
    while (*text) {
        int braced = text[0] == '$' && text[1] == '{';
        const char *name = text + 1 + braced;
        size_t n = 0;
        buf word = {0};
        const char *v = NULL;
        if (*text == '$')
            while (name_char(name[n]))
                n++;
        if (n && (!braced || name[n] == '}')) {
            buf_add(&word, name, n);
            v = s->get(s->user, buf_str(&word));
        }
        if (v) {
            buf_add_str(out, v);
            text = name + n + braced;
        } else {
            buf_add_char(out, *text++);
        }
        buf_deinit(&word);
    }
}

static int seconds(const source *s, const char *name)
{
    const char *v = value_of(s, name);
    int n = 0;
    if (!v) return 0;
    for (const char *p = v; *p; p++) {
        if (*p < '0' || *p > '9' || n > MAX_TIMEOUT_S) {
            log_line(s->log, MLXE_LOG_WARN, "%s: ignored, want a number of seconds", name);
            return 0;
        }
        n = n * 10 + (*p - '0');
    }
    return n;
}

/* $HF_HOME, after clearing out. */
static mlxe_status home_of(const source *s, buf *out, mlxe_error *err)
{
    const char *v = value_of(s, "HF_HOME");
    if (v) {
        expand(s, v, out);
    } else if ((v = value_of(s, "XDG_CACHE_HOME"))) {
        expand(s, v, out);
        buf_add_str(out, "/huggingface");
    } else if (value_of(s, "HOME")) {
        expand(s, "~/.cache/huggingface", out);
    } else {
        err_set(err, MLXE_E_ARG, "Hub cache: neither HF_HUB_CACHE, HF_HOME nor HOME is set");
        return MLXE_E_ARG;
    }
    return MLXE_OK;
}

static int token_take(hub_config *c, strv text)
{
    strv t = strv_trim(text);
    if (!t.n) return 0;
    buf_add_strv(&c->token, t);
    c->token_from = HUB_TOKEN_IMPLICIT;
    return 1;
}

/* ---- stored tokens --------------------------------------------------------------------------- */

/* Says so when the token is a stored one that ran out: a login that this program cannot renew. */
static void look_at_stored(const source *s, const buf *token_path, strv token)
{
    buf path = {0}, text = {0};
    const char *slash = strrchr(buf_str(token_path), '/');
    strv name, expires_at;
    uint64_t expires = 0;
    buf_add(&path, buf_str(token_path), slash ? (size_t)(slash - buf_str(token_path)) + 1 : 0);
    buf_add_str(&path, "stored_tokens");
    if (!buf_ok(&path) || fs_read(buf_str(&path), MAX_STORED_FILE, &text, NULL)) goto out;
    name = login_name(buf_view(&text), token, &expires_at);
    if (name.p && parse_size(expires_at, &expires) && (int64_t)expires < (int64_t)time(NULL))
        log_line(s->log, MLXE_LOG_WARN,
                 "%s: the token \"%.*s\" ran out, log in again with the program that stored it",
                 buf_str(&path), (int)(name.n < 100 ? name.n : 100), name.p);
out:
    buf_deinit(&path);
    buf_deinit(&text);
}

static void token_find(const source *s, hub_config *c)
{
    const char *v;
    buf text = {0};
    if (is_yes(value_of(s, "HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return;
    c->oidc = value_of(s, "HF_OIDC_RESOURCE") != NULL;
    if ((v = value_of(s, "HF_TOKEN")) && token_take(c, strv_of(v))) return;
    if ((v = value_of(s, "HUGGING_FACE_HUB_TOKEN")) && token_take(c, strv_of(v))) return;
    if (c->token_path.n && !fs_read(buf_str(&c->token_path), MAX_TOKEN_FILE, &text, NULL) &&
        token_take(c, buf_view(&text)))
        look_at_stored(s, &c->token_path, buf_view(&c->token));
    buf_deinit(&text);
}

mlxe_status config_read(hub_env_fn get, void *user, const log_sink *log, hub_config *out,
                        mlxe_error *err)
{
    source s = {get, user, log};
    buf home = {0};
    const char *v;
    mlxe_status rc = MLXE_OK;
    *out = (hub_config){0};
    home_of(&s, &home, NULL);
    if ((v = value_of(&s, "HF_HUB_CACHE")) || (v = value_of(&s, "HUGGINGFACE_HUB_CACHE")))
        expand(&s, v, &out->cache);
    else if (!(rc = home_of(&s, &out->cache, err)))
        buf_add_str(&out->cache, "/hub");
    if ((v = value_of(&s, "HF_ENDPOINT"))) buf_add_str(&out->endpoint, v);
    if ((v = value_of(&s, "SSL_CERT_FILE"))) buf_add_str(&out->ca_file, v);
    if ((v = value_of(&s, "SSL_CERT_DIR"))) buf_add_str(&out->ca_dir, v);
    if ((v = value_of(&s, "HTTP_PROXY")) && !get(user, "http_proxy") &&
        !value_of(&s, "REQUEST_METHOD"))
        buf_add_str(&out->http_proxy, v);
    if ((v = value_of(&s, "HOME"))) buf_add_str(&out->home, v);
    v = value_of(&s, "HF_HUB_OFFLINE");
    out->offline = is_yes(v ? v : value_of(&s, "TRANSFORMERS_OFFLINE"));
    out->no_links = is_yes(value_of(&s, "HF_HUB_DISABLE_SYMLINKS"));
    out->etag_timeout_s = seconds(&s, "HF_HUB_ETAG_TIMEOUT");
    out->download_timeout_s = seconds(&s, "HF_HUB_DOWNLOAD_TIMEOUT");
    if ((v = value_of(&s, "HF_TOKEN_PATH")))
        expand(&s, v, &out->token_path);
    else if (home.n)
        fs_join(&out->token_path, buf_str(&home), "token");
    token_find(&s, out);
    for (size_t i = 0; !rc && i < out->token.n; i++)
        if (out->token.p[i] < 0x21 || out->token.p[i] > 0x7e)
            rc = err_set(err, MLXE_E_ARG, "HF_TOKEN: holds a character that no token has");
    if (!rc && (!buf_ok(&out->cache) || !buf_ok(&out->endpoint) || !buf_ok(&out->token)))
        rc = err_memory(err, "Hub settings", 0);
    buf_deinit(&home);
    if (rc) config_deinit(out);
    return rc;
}

hub_settings config_settings(const hub_config *c)
{
    return (hub_settings){
        .endpoint = c->endpoint.n ? buf_str(&c->endpoint) : NULL,
        .cache = buf_str(&c->cache),
        .token = c->token.n ? buf_str(&c->token) : NULL,
        .token_from = c->token_from,
        .oidc = c->oidc,
        .offline = c->offline,
        .no_links = c->no_links,
        .etag_timeout_s = c->etag_timeout_s,
        .download_timeout_s = c->download_timeout_s,
        .ca_file = c->ca_file.n ? buf_str(&c->ca_file) : NULL,
        .ca_dir = c->ca_dir.n ? buf_str(&c->ca_dir) : NULL,
        .http_proxy = c->http_proxy.n ? buf_str(&c->http_proxy) : NULL,
        .home = c->home.n ? buf_str(&c->home) : NULL,
        .token_path = c->token_path.n ? buf_str(&c->token_path) : NULL,
    };
}

void config_deinit(hub_config *c)
{
    buf_deinit(&c->endpoint);
    buf_deinit(&c->cache);
    buf_deinit(&c->token);
    buf_deinit(&c->token_path);
    buf_deinit(&c->ca_file);
    buf_deinit(&c->ca_dir);
    buf_deinit(&c->home);
    buf_deinit(&c->http_proxy);
}
