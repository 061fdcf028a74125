/* fuzz_hub_answer.c: headers of an answer, and what the client makes of them: faults, waits, links,
 * targets of redirects, ids, patterns.
 *
 *   first line: status   then header lines, an empty line, the body */
#include "hub/glob.h"
#include "hub/hub_state.h"
#include "hub/link.h"
#include "hub/request_fault.h"
#include "hub/url.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static hub *h;
    hub_settings settings = {.endpoint = "http://127.0.0.1:1", .cache = "."};
    const char *p = (const char *)data, *end = p + size;
    http_answer a = {.status = size ? 300 + data[0] % 300 : 400};
    hub_fault fault;
    mlxe_error err;
    buf target = {0};
    strv location, link = {0};
    if (!h && hub_open(&settings, &h, &err)) abort();
    while (p < end) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        size_t n = line_end ? (size_t)(line_end - p) + 1 : (size_t)(end - p);
        if (n <= 2) {
            buf_add(&a.body, p, (size_t)(end - p));
            break;
        }
        http_answer_line(&a, p, n);
        p += n;
    }
    answer_fault(h, &a, (request_from)(a.status % 3), "fuzz", &fault, &err);
    warnings_show(h, &a);
    location = http_header(&a, "location");
    while ((link = http_header_next(&a, "link", link)).p) {
        strv next = link_next(link);
        if (next.p && (next.p < link.p || next.p + next.n > link.p + link.n)) abort();
    }
    if (!url_resolve("http://127.0.0.1:1/a/b?c", location, &target, &err) &&
        strncmp(buf_str(&target), "http", 4) != 0)
        abort();
    (void)url_same_origin(buf_str(&target), settings.endpoint);
    (void)hub_etag_usable(hub_etag_plain(http_header(&a, "etag")));
    (void)hub_id_check(location, NULL);
    (void)hub_revision_check(location, NULL);
    (void)glob_match(http_header(&a, "etag"), location);
    if (h->warned.n > 1 << 20) buf_clear(&h->warned);
    buf_deinit(&target);
    http_answer_deinit(&a);
    return 0;
}
