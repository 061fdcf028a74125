/* url.h: URLs: origins compared, targets of redirects resolved and refused, secrets left out. */
#ifndef HUB_URL_H
#define HUB_URL_H

#include "base/buf.h"

enum { URL_MAX_BYTES = 8 << 10 };

/* Resolves target (absolute or relative, its query kept) against base, after clearing out.
 * Fails  CORRUPT: no URL, not http or https, user in it, no host, too long */
mlxe_status url_resolve(const char *base, strv target, buf *out, mlxe_error *err);

/* 1: same scheme, host and effective port. */
int url_same_origin(const char *a, const char *b);
int url_is_https(const char *url);
/* 1: the host is localhost, 127.0.0.0/8 or ::1. */
int url_is_loopback(const char *url);

/* "https://host/path?..." without the query, for messages and logs, after clearing out. */
const char *url_shown(const char *url, buf *out);

#endif
