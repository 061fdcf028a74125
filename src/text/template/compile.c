/* compile.c: a template from its source; positions and messages of errors.
 *
 * Owns: what a template may be at most (bytes), the normalising of newlines, the arena that holds
 * the tree, and how an error is worded: "where: line 3, column 7: what, in `expression`". */
#include "text/template/text.h"
#include "text/template/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_SOURCE_BYTES = 4 << 20, MAX_TREE_BYTES = 1 << 30, QUOTED_BYTES = 100 };

void jj_position(strv source, size_t at, size_t *line, size_t *column)
{
    size_t begin = 0;
    if (at > source.n) at = source.n;
    *line = 1;
    for (size_t i = 0; i < at; i++)
        if (source.p[i] == '\n') {
            ++*line;
            begin = i + 1;
        }
    *column = jj_count((strv){source.p + begin, at - begin}) + 1;
}

void jj_syntax(jj_compiler *c, size_t at, const char *fmt, ...)
{
    char message[400];
    size_t line, column;
    va_list args;
    if (!jj_fine(c)) return;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    jj_position(c->t->source, at, &line, &column);
    c->status = err_set(c->err, MLXE_E_INPUT, "%s: line %zu, column %zu: %s", c->t->where, line,
                        column, message);
}

void jj_compile_limit(jj_compiler *c, size_t at, const char *what)
{
    size_t line, column;
    if (!jj_fine(c)) return;
    jj_position(c->t->source, at, &line, &column);
    c->status = err_set(c->err, MLXE_E_LIMIT, "%s: line %zu, column %zu: %s", c->t->where, line,
                        column, what);
}

static void *compile_alloc(jj_compiler *c, arena *mem, size_t n, size_t size)
{
    void *p;
    if (!jj_fine(c)) return NULL;
    p = arena_array(mem, n ? n : 1, size);
    if (p) return p;
    if (mem->used_bytes > MAX_TREE_BYTES / 2)
        jj_compile_limit(c, 0, "the template is too large");
    else
        c->status = err_memory(c->err, c->t->where, n * size);
    return NULL;
}

void *jj_keep(jj_compiler *c, size_t bytes) { return compile_alloc(c, &c->t->mem, bytes, 1); }

void *jj_scratch(jj_compiler *c, size_t n, size_t size)
{
    return compile_alloc(c, &c->scratch, n, size);
}

/* The source with \n for every newline and without the last one. */
static int take_source(jj_compiler *c, strv source)
{
    char *p = jj_keep(c, source.n + 1);
    size_t n = 0;
    if (!p) return 0;
    for (size_t i = 0; i < source.n; i++) {
        if (source.p[i] == '\r') {
            p[n++] = '\n';
            if (i + 1 < source.n && source.p[i + 1] == '\n') i++;
        } else
            p[n++] = source.p[i];
    }
    if (n && p[n - 1] == '\n') n--;
    p[n] = 0;
    c->t->source = (strv){p, n};
    return 1;
}

/* Tokens, then the tree. What is wrong with the tree before the place where no more tokens could
 * be made is told first: a quote that is missing makes the text behind it strange. */
static void lex_and_parse(jj_compiler *c)
{
    mlxe_error ignored, lexed, *err = c->err;
    mlxe_status status;
    jj_lex(c);
    status = c->status;
    if (status == MLXE_E_INPUT && c->n_tokens && c->tokens[c->n_tokens - 1].type == TK_EOF) {
        if (err) lexed = *err;
        c->err = &ignored;
        c->status = MLXE_OK;
        jj_parse(c);
        c->err = err;
        if (!jj_fine(c) && !c->at_end) {
            if (err) *err = ignored;
            return;
        }
        if (err) *err = lexed;
        c->status = status;
    }
    if (jj_fine(c)) jj_parse(c);
}

mlxe_status jj_compile(const char *where, strv source, jj_template **out, mlxe_error *err)
{
    jj_compiler c = {.err = err};
    size_t bad = 0;
    *out = NULL;
    if (source.n > MAX_SOURCE_BYTES)
        return err_set(err, MLXE_E_LIMIT, "%s: a template of %zu bytes, want at most %d", where,
                       source.n, MAX_SOURCE_BYTES);
    if (!jj_utf8_ok(source, &bad))
        return err_set(err, MLXE_E_INPUT, "%s: byte %zu is no UTF-8", where, bad);
    c.t = calloc(1, sizeof *c.t);
    if (!c.t) return err_memory(err, where, sizeof *c.t);
    c.t->mem.limit_bytes = c.scratch.limit_bytes = MAX_TREE_BYTES;
    c.t->where = arena_copy(&c.t->mem, strv_of(where));
    if (!c.t->where)
        c.status = err_memory(err, where, strlen(where));
    else if (take_source(&c, source)) {
        lex_and_parse(&c);
        if (jj_fine(&c)) jj_resolve(&c);
    }
    arena_deinit(&c.scratch);
    if (jj_fine(&c))
        *out = c.t;
    else
        jj_template_close(c.t);
    return c.status;
}

void jj_template_close(jj_template *t)
{
    if (!t) return;
    arena_deinit(&t->mem);
    free(t);
}

void jj_rt_init(jj_rt *rt, const jj_template *t, const jj_limits *limits, buf *out)
{
    *rt = (jj_rt){.t = t, .out = out};
    rt->steps_left = limits->steps;
    rt->output_left = limits->output_bytes;
    rt->depth_limit = limits->depth;
    rt->mem.limit_bytes = limits->memory_bytes;
    rt->vars = jj_dict_new(rt);
}

void jj_rt_deinit(jj_rt *rt) { arena_deinit(&rt->mem); }

mlxe_status jj_rt_error(const jj_rt *rt, mlxe_error *err)
{
    size_t line, column, n;
    const char *quoted, *newline;
    if (!rt->failed) return MLXE_OK;
    if (!rt->where) return err_set(err, rt->code, "%s: %s", rt->t->where, rt->message);
    jj_position(rt->t->source, rt->where->pos, &line, &column);
    quoted = rt->t->source.p + rt->where->pos;
    n = rt->where->end - rt->where->pos;
    newline = memchr(quoted, '\n', n);
    if (newline) n = (size_t)(newline - quoted);
    if (n > QUOTED_BYTES)
        for (n = QUOTED_BYTES; n > 0 && ((unsigned char)quoted[n] & 0xC0) == 0x80; n--)
            ;
    return err_set(err, rt->code, "%s: line %zu, column %zu: %s, in `%.*s%s`", rt->t->where, line,
                   column, rt->message, (int)n, quoted,
                   n < rt->where->end - rt->where->pos ? " ..." : "");
}
