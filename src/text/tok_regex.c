/* tok_regex.c: matching with PCRE2: compile once, match from any thread.
 *
 *   pattern (Oniguruma) --tok_regex_translate--> PCRE2 code, JIT --find--> matches and gaps
 *
 * Frequent patterns go to a scanner written by hand (tok_scan.c), the others to PCRE2.
 *
 * The code is immutable and shared; match data, limits and the JIT's stack belong to one encode
 * (tok_match_state). Exceeding a limit is an error that names the pattern: nothing of a text is
 * ever left out silently.
 *
 * Invariants: texts are valid UTF-8 (checked when they come in), so PCRE2 does not check again.
 * Traps: an empty match right after a match is no match; the search then goes on one character
 * later, but what counts as "right after" is the end of the last match that was accepted. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/tok_scan.h"

#include <pcre2.h>
#include <stdlib.h>

struct tok_regex {
    char *pattern; /* as the file has it, for messages */
    strv literal;  /* a pattern that is a plain string: p NULL when it is not */
    pcre2_code *code;
    tok_scanner *scanner; /* instead of code; NULL: none */
};

struct tok_match_state {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

enum {
    JIT_STACK_START = 32 * 1024,
    JIT_STACK_MAX = 64 * 1024 * 1024,
    HEAP_LIMIT_KIB = 256 * 1024,
    DEPTH_LIMIT = 10 * 1000 * 1000,
    MATCH_LIMIT = 10 * 1000 * 1000, /* and more for long texts */
    MATCH_LIMIT_PER_BYTE = 16
};

void tok_regex_close(tok_regex *re)
{
    if (!re) return;
    pcre2_code_free(re->code);
    tok_scanner_close(re->scanner);
    free(re->pattern);
    free(re);
}

/* Whether what a group matched decides: (a)*+ keeps in PCRE2's machine code what it matched on a
 * way that failed, the interpreter forgets it. */
static int asks_groups(const char *translated)
{
    const char *condition = translated;
    if (strstr(translated, "\\g{")) return 1;
    while ((condition = strstr(condition, "(?(")) != NULL) {
        condition += 3;
        if (*condition >= '0' && *condition <= '9') return 1;
    }
    return 0;
}

static mlxe_status compile(const tok_reader *r, tok_regex *re, strv pattern)
{
    buf text = {0};
    const char *problem = NULL;
    mlxe_status rc = MLXE_OK;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    int code = 0;
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    PCRE2_SIZE offset = 0;
    PCRE2_UCHAR message[160];
    if (!context) {
        rc = tok_no_memory(r);
        goto out;
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, 200);
    if (tok_regex_translate(pattern, &text, &problem)) {
        rc = err_set(r->err, MLXE_E_UNSUPPORTED, "%s: regular expression %.200s: %s", r->where,
                     re->pattern, problem);
        goto out;
    }
    if (!buf_ok(&text)) {
        rc = tok_no_memory(r);
        goto out;
    }
    if (strstr(buf_str(&text), "(?C")) options |= PCRE2_NO_AUTO_POSSESS; /* a callout can fail */
    re->code = pcre2_compile((PCRE2_SPTR)buf_str(&text), text.n, options, &code, &offset, context);
    if (!re->code) {
        pcre2_get_error_message(code, message, sizeof message);
        rc = err_set(r->err, MLXE_E_UNSUPPORTED, "%s: regular expression %.200s: %s", r->where,
                     re->pattern, (const char *)message);
        goto out;
    }
    /* Without memory for machine code the interpreter runs it: slower, same matches. */
    if (!asks_groups(buf_str(&text))) pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
out:
    pcre2_compile_context_free(context);
    buf_deinit(&text);
    return rc;
}

mlxe_status tok_regex_open(const tok_reader *r, strv pattern, int how, tok_regex **out)
{
    *out = NULL;
    tok_regex *re = calloc(1, sizeof *re);
    if (!re || !(re->pattern = malloc(pattern.n + 1))) {
        free(re);
        return tok_no_memory(r);
    }
    memcpy(re->pattern, pattern.p, pattern.n);
    re->pattern[pattern.n] = 0;
    if (how == REGEX_LITERAL) {
        re->literal = strv_from(re->pattern, pattern.n);
    } else {
        mlxe_status rc = how == REGEX_ANY ? tok_scanner_open(r, pattern, &re->scanner) : MLXE_OK;
        if (rc == MLXE_OK && !re->scanner) rc = compile(r, re, pattern);
        if (rc) {
            tok_regex_close(re);
            return rc;
        }
    }
    *out = re;
    return MLXE_OK;
}

int tok_regex_is_scanned(const tok_regex *re) { return re->scanner != NULL; }

/* What stands in a pattern for the borders of text segments: 1 there is one here, 2 there is none.
 * -> 0 it holds, 1 it does not */
static int ask_segment(pcre2_callout_block *b, void *user)
{
    strv text = {(const char *)b->subject, b->subject_length};
    (void)user;
    return uni_segment_break(text, b->current_position) != (b->callout_number == 1);
}

static tok_match_state *state_open(void)
{
    tok_match_state *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->data = pcre2_match_data_create(1, NULL);
    s->context = pcre2_match_context_create(NULL);
    s->stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MAX, NULL);
    if (!s->data || !s->context) {
        tok_match_state_close(s);
        return NULL;
    }
    if (s->stack) pcre2_jit_stack_assign(s->context, NULL, s->stack);
    pcre2_set_callout(s->context, ask_segment, NULL);
    pcre2_set_heap_limit(s->context, HEAP_LIMIT_KIB);
    pcre2_set_depth_limit(s->context, DEPTH_LIMIT);
    return s;
}

void tok_match_state_close(tok_match_state *s)
{
    if (!s) return;
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->context);
    pcre2_jit_stack_free(s->stack);
    free(s);
}

/* The next match at or after from. -> 1 found, 0 none, or a PCRE2 error */
static int next(const tok_regex *re, tok_match_state *s, strv text, size_t from, size_t *b,
                size_t *e)
{
    if (re->literal.p) {
        const char *hit = NULL;
        if (re->literal.n == 0) {
            hit = text.p + from;
        } else if (text.n - from >= re->literal.n) {
            const char *p = text.p + from, *last = text.p + text.n - re->literal.n;
            while (p <= last && (p = memchr(p, re->literal.p[0], (size_t)(last - p) + 1)) != NULL) {
                if (memcmp(p, re->literal.p, re->literal.n) == 0) {
                    hit = p;
                    break;
                }
                p++;
            }
        }
        if (!hit) return 0;
        *b = (size_t)(hit - text.p);
        *e = *b + re->literal.n;
        return 1;
    }
    int rc = pcre2_match(re->code, (PCRE2_SPTR)text.p, text.n, from, PCRE2_NO_UTF_CHECK, s->data,
                         s->context);
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc < 0) return rc;
    PCRE2_SIZE *v = pcre2_get_ovector_pointer(s->data);
    *b = v[0];
    *e = v[1] > v[0] ? v[1] : v[0];
    return 1;
}

mlxe_status tok_regex_find(const tok_regex *re, strv text, tok_match_state **state,
                           tok_matches *out, mlxe_error *err)
{
    size_t from = 0, done = 0, last_end = SIZE_MAX, b = 0, e = 0;
    int rc = 1;
    out->n = 0;
    if (re->scanner) {
        tok_scanner_find(re->scanner, text, out);
        return out->failed ? err_memory(err, "matches", out->n * sizeof *out->m) : MLXE_OK;
    }
    if (!*state && !re->literal.p) *state = state_open();
    if (!*state && !re->literal.p) return err_memory(err, "regular expression", 0);
    if (*state) {
        size_t limit = MATCH_LIMIT + text.n * MATCH_LIMIT_PER_BYTE;
        pcre2_set_match_limit((*state)->context, limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit);
    }
    while (from <= text.n && (rc = next(re, *state, text, from, &b, &e)) > 0) {
        if (b == e && b == last_end) {
            from += from < text.n ? utf8_width((unsigned char)text.p[from]) : 1;
            continue;
        }
        from = last_end = e;
        if (b < done) continue; /* \K in a look-behind can go back: not behind what is done */
        if (done < b) tok_matches_add(out, done, b, 0);
        tok_matches_add(out, b, e, 1);
        done = e;
    }
    if (rc < 0) {
        PCRE2_UCHAR message[120];
        pcre2_get_error_message(rc, message, sizeof message);
        return err_set(err, rc == PCRE2_ERROR_NOMEMORY ? MLXE_E_MEMORY : MLXE_E_LIMIT,
                       "regular expression %.200s on %zu bytes: %s", re->pattern, text.n,
                       (const char *)message);
    }
    if (done < text.n) tok_matches_add(out, done, text.n, 0);
    return out->failed ? err_memory(err, "matches", out->n * sizeof *out->m) : MLXE_OK;
}
