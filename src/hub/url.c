/* url.c: the questions about URLs that credentials depend on, on libcurl's own parser, so that what
 * is compared is what will be connected to.
 *
 * Traps: "http://good@evil/" has the host evil: a user in a URL is refused. The effective port
 * counts: ":443" on https is no port. A query may be a signature: it is never shown. */
#include "hub/url.h"

#include <curl/curl.h>

typedef struct parts {
    char *scheme, *host, *port;
} parts;

static void parts_deinit(parts *p)
{
    curl_free(p->scheme);
    curl_free(p->host);
    curl_free(p->port);
}

static int parts_read(CURLU *u, parts *p)
{
    *p = (parts){0};
    return !curl_url_get(u, CURLUPART_SCHEME, &p->scheme, 0) &&
           !curl_url_get(u, CURLUPART_HOST, &p->host, 0) &&
           !curl_url_get(u, CURLUPART_PORT, &p->port, CURLU_DEFAULT_PORT);
}

static int parse(const char *url, parts *p)
{
    CURLU *u = curl_url();
    int good = u && !curl_url_set(u, CURLUPART_URL, url, 0) && parts_read(u, p);
    if (!good) *p = (parts){0};
    curl_url_cleanup(u);
    return good;
}

static int same_text(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        int x = *a >= 'A' && *a <= 'Z' ? *a + 32 : *a, y = *b >= 'A' && *b <= 'Z' ? *b + 32 : *b;
        if (x != y) return 0;
    }
    return *a == *b;
}

static const char *target_problem(CURLU *u)
{
    parts p;
    char *user = NULL;
    const char *problem = NULL;
    int whole = parts_read(u, &p);
    if (!curl_url_get(u, CURLUPART_USER, &user, 0) && user) problem = "has a user name in it";
    if (!problem && (!whole || !p.host[0])) problem = "has no host";
    if (!problem && !same_text(p.scheme, "http") && !same_text(p.scheme, "https"))
        problem = "is neither http nor https";
    curl_free(user);
    parts_deinit(&p);
    return problem;
}

mlxe_status url_resolve(const char *base, strv target, buf *out, mlxe_error *err)
{
    CURLU *u = curl_url();
    buf text = {0};
    char *url = NULL;
    const char *problem = NULL;
    buf_clear(out);
    buf_add_strv(&text, target);
    if (!u || !buf_ok(&text))
        problem = "memory";
    else if (!target.n)
        problem = "is empty";
    else if (target.n > URL_MAX_BYTES)
        problem = "is too long";
    else if ((base && curl_url_set(u, CURLUPART_URL, base, 0)) ||
             curl_url_set(u, CURLUPART_URL, buf_str(&text), CURLU_NON_SUPPORT_SCHEME))
        problem = "is no URL";
    else
        problem = target_problem(u);
    if (!problem && curl_url_get(u, CURLUPART_URL, &url, 0)) problem = "is no URL";
    if (!problem) buf_add_str(out, url);
    curl_free(url);
    curl_url_cleanup(u);
    buf_deinit(&text);
    if (!problem) return buf_ok(out) ? MLXE_OK : err_memory(err, "URL", target.n);
    return err_set(err, MLXE_E_CORRUPT, "the target %s", problem);
}

int url_same_origin(const char *a, const char *b)
{
    parts x, y;
    int same = parse(a, &x), parsed = parse(b, &y);
    same = same && parsed && same_text(x.scheme, y.scheme) && same_text(x.host, y.host) &&
           same_text(x.port, y.port);
    parts_deinit(&x);
    parts_deinit(&y);
    return same;
}

int url_is_https(const char *url)
{
    return strlen(url) > 8 && (url[0] | 32) == 'h' && (url[4] | 32) == 's' && url[5] == ':';
}

int url_is_loopback(const char *url)
{
    parts p;
    int loopback = parse(url, &p) && (same_text(p.host, "localhost") ||
                                      !strncmp(p.host, "127.", 4) || !strcmp(p.host, "[::1]"));
    /* A name that begins with "127." but is no address. */
    if (loopback && p.host[0] == '1' && strspn(p.host, "0123456789.") != strlen(p.host))
        loopback = 0;
    parts_deinit(&p);
    return loopback;
}

const char *url_shown(const char *url, buf *out)
{
    size_t n = strcspn(url, "?#");
    const char *user = memchr(url, '@', n);
    buf_clear(out);
    if (user) /* such a URL is refused; its user may be a secret */
        buf_add_str(out, "the URL");
    else
        buf_add(out, url, n);
    if (url[n]) buf_add_str(out, "?...");
    return buf_str(out);
}
