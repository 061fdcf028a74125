/* fuzz_template_context.c: fixed templates of the well-known shapes against random requests.
 *
 * The first byte picks the template, the rest is the request's JSON. What must hold: no crash, no
 * leak, no hang; a failure is INPUT or LIMIT and leaves the output as it was; the output is
 * UTF-8. */
#include "text/template/text.h"
#include "text/tmpl_internal.h"

#include <stdint.h>
#include <stdlib.h>

static const char *const TEMPLATES[] = {
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }}{% if m.tool_calls %}"
    "{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments | tojson }}"
    "{% endfor %}{% endif %}{% endfor %}{{ bos_token }}{{ eos_token }}",
    "{%- set ns = namespace(last=messages|length - 1) %}{% for m in messages[::-1] %}"
    "{% if m.role == 'user' and not (m.content.startswith('<') and m.content.endswith('>')) %}"
    "{% set ns.last = loop.revindex0 %}{% endif %}{% endfor %}{{ ns.last }}"
    "{{ messages[0].content.split('</think>')[-1].lstrip('\\n') }}",
    "{{ messages }}{{ tools }}{{ messages | tojson(indent=2) }}{{ tools | tojson(sort_keys=true) "
    "}}",
    "{{ messages | groupby('role') | map('first') | list }}{{ messages | map(attribute='content') "
    "| "
    "map('string') | map('title') | join('|') }}{{ messages | sort(attribute='role') | length }}"
    "{{ x | sort }}{{ x | unique | list }}{{ x | min }}{{ x | sum }}",
    "{{ '%s|%r|%5.2s' % (a, b, c) }}{{ '{:>9}|{!r}'.format(a, b) }}{{ a ~ b ~ c }}{{ a | int }}"
    "{{ b | float }}{{ c | round(2) }}{{ a == b }}{{ a in [b, c] }}{{ a | string | urlencode }}",
    "{{ a[b] }}{{ a[b:c] }}{{ a | attr('x') }}{{ a | replace(b, c) }}{{ a | center(9) }}"
    "{{ a | truncate(5) | e }}{{ a | indent(2) | wordcount }}{{ a | batch(2) | list }}",
    "{{ strftime_now(a) }}{{ a.upper() }}{{ a.title() }}{{ a.split(b) }}{{ a.replace(b, c) }}"
    "{{ a.find(b) }}{{ a.partition(b) }}{{ a.rsplit(b, 1) }}{{ a.splitlines() }}",
    "{% for k, v in x.items() if v is not none recursive %}{{ k }}{{ v if v is not mapping else "
    "loop(v.items()) }}{{ loop.nextitem }}{{ loop.changed(v) }}{% else %}-{% endfor %}",
    "{{ a + b }}{{ a * b }}{{ a // b }}{{ a % b }}{{ a ** b }}{{ a < b }}{{ -a }}{{ a / b }}",
    "{{ messages[-1]['content'] }}{{ messages | last | items | list }}{{ a | dictsort }}",
};
enum { COUNT = sizeof TEMPLATES / sizeof *TEMPLATES };

static const jj_limits SMALL = {200000, 16 << 20, 1 << 20, 300};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static tmpl *compiled[COUNT];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    json_doc *doc = NULL;
    buf out = {0};
    mlxe_error err = {0};
    mlxe_status status;
    size_t which, bad;
    if (!n) return 0;
    which = data[0] % COUNT;
    if (!compiled[which] && tmpl_open("t", strv_of(TEMPLATES[which]), compiled + which, &err))
        abort();
    if (json_parse("request", (const char *)data + 1, n - 1, &doc, &err)) return 0;
    status = tmpl_render_limited(compiled[which], json_root(doc), &SMALL, &out, NULL, &err);
    if (status && ((status != MLXE_E_INPUT && status != MLXE_E_LIMIT) || out.n)) abort();
    if (!jj_utf8_ok(buf_view(&out), &bad)) abort();
    buf_deinit(&out);
    json_close(doc);
    return 0;
}
