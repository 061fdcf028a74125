/* driver.c: renders templates line by line, for differential tests (fresh.py).
 *
 * A line of standard input is {"template":"...", any variable}; the answer is {"text":"..."} or
 * {"error":{"code":"...","message":"..."}}. Built from src/text/template, src/text/tmpl*.c,
 * src/base and yyjson with -Isrc -Iinclude, linked with utf8proc; `mlxengine template --lines` does
 * the same. */
#include "text/tmpl.h"

#include <stdio.h>
#include <stdlib.h>

static void answer(mlxe_status status, const buf *text, const mlxe_error *err)
{
    buf b = {0};
    if (status) {
        buf_add_str(&b, "{\"error\":{\"code\":");
        json_write_str(&b, strv_of(mlxe_status_name(status)));
        buf_add_str(&b, ",\"message\":");
        json_write_str(&b, strv_of(err->message));
        buf_add_str(&b, "}}");
    } else {
        buf_add_str(&b, "{\"text\":");
        json_write_str(&b, buf_view(text));
        buf_add_char(&b, '}');
    }
    puts(buf_str(&b));
    fflush(stdout);
    buf_deinit(&b);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        mlxe_error err = {0};
        json_doc *doc = NULL;
        tmpl *t = NULL;
        buf text = {0};
        mlxe_status status = json_parse("line", line, (size_t)n, &doc, &err);
        if (!status)
            status =
                tmpl_open("template", json_str(json_get(json_root(doc), "template")), &t, &err);
        if (!status) status = tmpl_render(t, json_root(doc), &text, &err);
        answer(status, &text, &err);
        tmpl_close(t);
        json_close(doc);
        buf_deinit(&text);
    }
    free(line);
    return 0;
}
