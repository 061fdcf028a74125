/* tok_decode.c: ids back to text, whole or one by one.
 *
 *   ids -> strings of tokens -> stage -> stage -> ... -> text
 *
 * A decoder is a row of stages. Each is a transducer: it is told BEGIN, TEXT (any number), END for
 * every token and FINISH at last, and tells the next stage the same; the last one's text is the
 * answer. tok_decode feeds all ids and finishes; a stream feeds one id at a time. Both are the same
 * code, so a stream's pieces always join to the whole.
 *
 * A stage passes on what no later token can change, and holds the rest: an unfinished character, a
 * run of byte tokens (one broken byte makes all of the run U+FFFD), the last token of BPEDecoder.
 *
 * Traps: Metaspace drops every replacement character of the first token, not only its first.
 * Strip works on a token; behind Fuse that is the whole text. An id without a string is skipped.
 *
 * Source: tokenizers, decoders/ (behaviour). */
#include "text/tok_parts.h"

#include <stdlib.h>

typedef enum event { BEGIN, TEXT, END, FINISH } event;

typedef struct stage {
    const struct stage_kind *kind;
    strv text, pad; /* prefix, suffix, content, word delimiter; pad: CTC's pad token */
    tok_regex *regex;
    uint32_t cp;
    int64_t start, stop;
    int cleanup, never;
} stage;

struct tok_decoder {
    stage *v;
    size_t n, cap;
};

typedef struct state {
    const stage *stage;
    struct state *next; /* NULL: text goes to out */
    struct tok_stream *stream;
    buf token;    /* the token that is being told, when the stage needs it whole */
    buf hold;     /* what is held back between tokens */
    size_t index; /* tokens ended so far */
    int64_t left, run;
    int open; /* a token was begun and told on */
    int held;
} state;

struct tok_stream {
    const tok *t;
    int skip_special;
    state *states;
    size_t n;
    buf *out;
    tok_matches matches;
    tok_match_state *match;
    mlxe_error *err;
};

typedef struct stage_kind {
    const char *name;
    mlxe_status (*read)(const tok_reader *r, const json *v, stage *s);
    mlxe_status (*run)(state *s, event e, strv text);
} stage_kind;

static mlxe_status tell(state *s, event e, strv text)
{
    if (s->next) return s->next->stage->kind->run(s->next, e, text);
    if (e == TEXT) buf_add_strv(s->stream->out, text);
    return MLXE_OK;
}

static const strv NONE = {NULL, 0};

static mlxe_status tell_token(state *s, strv text)
{
    mlxe_status rc = tell(s, BEGIN, NONE);
    if (rc == MLXE_OK) rc = tell(s, TEXT, text);
    return rc ? rc : tell(s, END, NONE);
}

static mlxe_status out_of_memory(const state *s)
{
    return err_memory(s->stream->err, "decoding", s->token.n + s->hold.n);
}

/* Collects a token; 1 when it is whole. */
static int collect(state *s, event e, strv text)
{
    if (e == BEGIN) buf_clear(&s->token);
    if (e == TEXT) buf_add_strv(&s->token, text);
    return e == END;
}

/* ---- ByteLevel: characters are bytes; all tokens become one ---------------------------------- */

/* Bytes at p that one character or one U+FFFD takes. -> 0: more bytes could follow */
static size_t lossy_step(const unsigned char *p, size_t n, int *valid)
{
    unsigned char c = p[0], min = 0x80, max = 0xBF;
    size_t want;
    *valid = 1;
    if (c < 0x80) return 1;
    want = c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    if (c == 0xE0) min = 0xA0;
    if (c == 0xED) max = 0x9F;
    if (c == 0xF0) min = 0x90;
    if (c == 0xF4) max = 0x8F;
    *valid = 0;
    if (want == 0) return 1;
    for (size_t i = 1; i < want; i++) {
        if (i == n) return 0;
        if (p[i] < min || p[i] > max) return i;
        min = 0x80;
        max = 0xBF;
    }
    *valid = 1;
    return want;
}

/* Tells what is certain of s->hold, or all of it. */
static mlxe_status tell_bytes(state *s, int all)
{
    const unsigned char *p = (const unsigned char *)buf_str(&s->hold);
    size_t n = s->hold.n, from = 0, at = 0;
    mlxe_status rc = MLXE_OK;
    while (at < n && rc == MLXE_OK) {
        int valid;
        size_t step = lossy_step(p + at, n - at, &valid);
        if (step == 0 && !all) break;
        if (step == 0) step = n - at;
        if (valid) {
            at += step;
            continue;
        }
        if (from < at) rc = tell(s, TEXT, strv_from((const char *)p + from, at - from));
        if (rc == MLXE_OK) rc = tell(s, TEXT, STRV("\xEF\xBF\xBD"));
        from = at += step;
    }
    if (from < at && rc == MLXE_OK)
        rc = tell(s, TEXT, strv_from((const char *)p + from, at - from));
    if (at) {
        memmove(s->hold.p, s->hold.p + at, n - at);
        s->hold.n = n - at;
    }
    return rc;
}

static mlxe_status begin_once(state *s)
{
    if (s->open) return MLXE_OK;
    s->open = 1;
    return tell(s, BEGIN, NONE);
}

static mlxe_status run_byte_level(state *s, event e, strv text)
{
    mlxe_status rc = begin_once(s);
    if (rc) return rc;
    if (e == FINISH) {
        rc = tell_bytes(s, 1);
        if (rc == MLXE_OK) rc = tell(s, END, NONE);
        return rc ? rc : tell(s, FINISH, NONE);
    }
    if (!collect(s, e, text)) return MLXE_OK;
    char *to = buf_reserve(&s->hold, s->token.n);
    if (!to || s->token.failed) return out_of_memory(s);
    size_t n = 0, width, i = 0;
    for (; i < s->token.n; i += width) {
        int byte = tok_char_byte(utf8_at(s->token.p + i, &width));
        if (byte < 0) break;
        to[n++] = (char)byte;
    }
    if (i < s->token.n) { /* no such character: the token stands for itself */
        memcpy(to, s->token.p, s->token.n);
        n = s->token.n;
    }
    s->hold.n += n;
    return tell_bytes(s, 0);
}

/* ---- ByteFallback: <0xHH> tokens ------------------------------------------------------------- */

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of a token, or -1. A sign counts as a digit 0, as Rust parses it. */
static int byte_of(strv token)
{
    if (token.n != 6 || memcmp(token.p, "<0x", 3) != 0 || token.p[5] != '>') return -1;
    int high = token.p[3] == '+' ? 0 : hex(token.p[3]), low = hex(token.p[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static mlxe_status tell_run(state *s)
{
    mlxe_status rc = MLXE_OK;
    strv bytes = buf_view(&s->hold);
    if (bytes.n == 0) return MLXE_OK;
    if (utf8_valid(bytes)) {
        rc = tell_token(s, bytes);
    } else {
        for (size_t i = 0; i < bytes.n && rc == MLXE_OK; i++)
            rc = tell_token(s, STRV("\xEF\xBF\xBD"));
    }
    buf_clear(&s->hold);
    return rc;
}

static mlxe_status run_byte_fallback(state *s, event e, strv text)
{
    mlxe_status rc;
    if (e == FINISH) {
        rc = tell_run(s);
        return rc ? rc : tell(s, FINISH, NONE);
    }
    if (!collect(s, e, text)) return MLXE_OK;
    int byte = byte_of(buf_view(&s->token));
    if (byte >= 0) {
        buf_add_char(&s->hold, (char)byte);
        return s->hold.failed ? out_of_memory(s) : MLXE_OK;
    }
    if (s->token.failed) return out_of_memory(s);
    rc = tell_run(s);
    return rc ? rc : tell_token(s, buf_view(&s->token));
}

/* ---- Fuse: all tokens become one ------------------------------------------------------------- */

static mlxe_status run_fuse(state *s, event e, strv text)
{
    mlxe_status rc = begin_once(s);
    if (rc || e == BEGIN || e == END) return rc;
    if (e == TEXT) return tell(s, TEXT, text);
    rc = tell(s, END, NONE);
    return rc ? rc : tell(s, FINISH, NONE);
}

/* ---- Strip: a character at the ends of each token -------------------------------------------- */

static mlxe_status tell_run_of(state *s, int64_t n)
{
    char one[4];
    size_t width = utf8_put(one, s->stage->cp);
    mlxe_status rc = MLXE_OK;
    for (; n > 0 && rc == MLXE_OK; n--)
        rc = tell(s, TEXT, strv_from(one, width));
    return rc;
}

static mlxe_status run_strip(state *s, event e, strv text)
{
    mlxe_status rc = MLXE_OK;
    size_t from = 0, width;
    if (e == BEGIN) {
        s->left = s->stage->start;
        s->run = 0;
    }
    for (size_t i = 0; i < text.n && rc == MLXE_OK; i += width) {
        uint32_t cp = utf8_at(text.p + i, &width);
        if (cp == s->stage->cp) {
            if (from < i) rc = tell(s, TEXT, strv_from(text.p + from, i - from));
            from = i + width;
            if (s->left > 0)
                s->left--;
            else if (s->run < s->stage->stop)
                s->run++;
            else if (rc == MLXE_OK)
                rc = tell_run_of(s, 1);
            continue;
        }
        s->left = 0;
        if (s->run > 0 && rc == MLXE_OK) rc = tell_run_of(s, s->run);
        s->run = 0;
    }
    if (rc == MLXE_OK && from < text.n) rc = tell(s, TEXT, strv_from(text.p + from, text.n - from));
    return rc || e == TEXT ? rc : tell(s, e, NONE);
}

/* ---- Replace --------------------------------------------------------------------------------- */

static mlxe_status run_replace(state *s, event e, strv text)
{
    struct tok_stream *stream = s->stream;
    if (e == FINISH) return tell(s, FINISH, NONE);
    if (!collect(s, e, text)) return MLXE_OK;
    if (s->token.failed) return out_of_memory(s);
    strv token = buf_view(&s->token);
    if (token.n == 0) return tell_token(s, NONE);
    mlxe_status rc =
        tok_regex_find(s->stage->regex, token, &stream->match, &stream->matches, stream->err);
    if (rc) return rc;
    buf_clear(&s->hold);
    for (size_t i = 0; i < stream->matches.n; i++) {
        tok_match m = stream->matches.m[i];
        buf_add_strv(&s->hold, m.hit ? s->stage->text : strv_from(token.p + m.b, m.e - m.b));
    }
    return s->hold.failed ? out_of_memory(s) : tell_token(s, buf_view(&s->hold));
}

/* ---- Metaspace ------------------------------------------------------------------------------- */

static mlxe_status run_metaspace(state *s, event e, strv text)
{
    mlxe_status rc = MLXE_OK;
    size_t from = 0, width;
    if (e == END) s->index++;
    if (e != TEXT) return tell(s, e, NONE);
    for (size_t i = 0; i < text.n && rc == MLXE_OK; i += width) {
        if (utf8_at(text.p + i, &width) != s->stage->cp) continue;
        if (from < i) rc = tell(s, TEXT, strv_from(text.p + from, i - from));
        from = i + width;
        if (rc == MLXE_OK && (s->index > 0 || s->stage->never)) rc = tell(s, TEXT, STRV(" "));
    }
    if (rc == MLXE_OK && from < text.n) rc = tell(s, TEXT, strv_from(text.p + from, text.n - from));
    return rc;
}

/* ---- WordPiece, BPEDecoder, CTC -------------------------------------------------------------- */

/* Every old in b becomes new; an empty old stands before each character and at the end. */
static void replace_all(buf *b, strv old, strv new)
{
    buf out = {0};
    size_t i = 0;
    while (i < b->n) {
        size_t width = old.n ? 1 : utf8_width((unsigned char)b->p[i]);
        if (strv_starts(strv_from(b->p + i, b->n - i), old)) {
            buf_add_strv(&out, new);
            if (old.n) {
                i += old.n;
                continue;
            }
        }
        buf_add(&out, b->p + i, width);
        i += width;
    }
    if (old.n == 0) buf_add_strv(&out, new);
    out.failed |= b->failed;
    buf_deinit(b);
    *b = out;
}

static void clean_up(buf *b)
{
    static const char *const rows[][2] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        replace_all(b, strv_of(rows[i][0]), strv_of(rows[i][1]));
}

static mlxe_status run_wordpiece(state *s, event e, strv text)
{
    if (e == FINISH) return tell(s, FINISH, NONE);
    if (!collect(s, e, text)) return MLXE_OK;
    strv token = buf_view(&s->token), prefix = s->stage->text;
    buf_clear(&s->hold);
    if (s->index++ == 0)
        buf_add_strv(&s->hold, token);
    else if (strv_starts(token, prefix))
        buf_add(&s->hold, token.p + prefix.n, token.n - prefix.n);
    else
        buf_addf(&s->hold, " "), buf_add_strv(&s->hold, token);
    if (s->stage->cleanup) clean_up(&s->hold);
    if (s->token.failed || s->hold.failed) return out_of_memory(s);
    return tell_token(s, buf_view(&s->hold));
}

static mlxe_status tell_bpe(state *s, strv suffix_becomes)
{
    if (!s->held) return MLXE_OK;
    s->held = 0;
    replace_all(&s->hold, s->stage->text, suffix_becomes);
    return s->hold.failed ? out_of_memory(s) : tell_token(s, buf_view(&s->hold));
}

static mlxe_status run_bpe(state *s, event e, strv text)
{
    mlxe_status rc;
    if (e == FINISH) {
        rc = tell_bpe(s, NONE);
        return rc ? rc : tell(s, FINISH, NONE);
    }
    if (!collect(s, e, text)) return MLXE_OK;
    if ((rc = tell_bpe(s, STRV(" "))) != MLXE_OK) return rc;
    buf_clear(&s->hold);
    buf_add_strv(&s->hold, buf_view(&s->token));
    s->held = 1;
    return s->token.failed || s->hold.failed ? out_of_memory(s) : MLXE_OK;
}

static mlxe_status run_ctc(state *s, event e, strv text)
{
    if (e == FINISH) return tell(s, FINISH, NONE);
    if (!collect(s, e, text)) return MLXE_OK;
    if (s->held && strv_eq(buf_view(&s->token), buf_view(&s->hold))) return MLXE_OK;
    buf_clear(&s->hold);
    buf_add_strv(&s->hold, buf_view(&s->token));
    s->held = 1;
    replace_all(&s->token, s->stage->pad, NONE);
    if (s->stage->cleanup) {
        clean_up(&s->token);
        replace_all(&s->token, s->stage->text, STRV(" "));
    }
    if (s->token.failed || s->hold.failed) return out_of_memory(s);
    return s->token.n ? tell_token(s, buf_view(&s->token)) : MLXE_OK;
}

/* No decoder: tokens are joined by a space. */
static mlxe_status run_join(state *s, event e, strv text)
{
    if (e == BEGIN && s->index++ > 0) return tell(s, TEXT, STRV(" "));
    return e == TEXT ? tell(s, TEXT, text) : MLXE_OK;
}

/* ---- options --------------------------------------------------------------------------------- */

static mlxe_status read_strip(const tok_reader *r, const json *v, stage *s)
{
    mlxe_status rc = tok_need_char(r, v, "content", &s->cp);
    if (rc == MLXE_OK) rc = tok_need_int(r, v, "start", 0, INT64_MAX, &s->start);
    return rc ? rc : tok_need_int(r, v, "stop", 0, INT64_MAX, &s->stop);
}

static mlxe_status read_replace(const tok_reader *r, const json *v, stage *s)
{
    mlxe_status rc = tok_need_str(r, v, "content", &s->text);
    return rc ? rc : tok_pattern_read(r, json_get(v, "pattern"), &s->regex);
}

static mlxe_status read_metaspace(const tok_reader *r, const json *v, stage *s)
{
    strv scheme = STRV("always");
    int old = 1;
    mlxe_status rc = tok_need_char(r, v, "replacement", &s->cp);
    if (rc == MLXE_OK) rc = json_get_str(v, r->where, "prepend_scheme", &scheme, r->err);
    if (rc == MLXE_OK) rc = json_get_bool(v, r->where, "add_prefix_space", &old, r->err);
    s->never = strv_is(scheme, "never");
    if (rc == MLXE_OK && !old && !s->never)
        rc = tok_corrupt(r, "has an add_prefix_space that contradicts its prepend_scheme");
    return rc;
}

static mlxe_status read_wordpiece(const tok_reader *r, const json *v, stage *s)
{
    mlxe_status rc = tok_need_str(r, v, "prefix", &s->text);
    return rc ? rc : tok_need_bool(r, v, "cleanup", &s->cleanup);
}

static mlxe_status read_bpe(const tok_reader *r, const json *v, stage *s)
{
    return tok_need_str(r, v, "suffix", &s->text);
}

static mlxe_status read_ctc(const tok_reader *r, const json *v, stage *s)
{
    mlxe_status rc = tok_need_str(r, v, "pad_token", &s->pad);
    if (rc == MLXE_OK) rc = tok_need_str(r, v, "word_delimiter_token", &s->text);
    return rc ? rc : tok_need_bool(r, v, "cleanup", &s->cleanup);
}

static const stage_kind KINDS[] = {
    {"ByteLevel", NULL, run_byte_level},
    {"ByteFallback", NULL, run_byte_fallback},
    {"Fuse", NULL, run_fuse},
    {"Strip", read_strip, run_strip},
    {"Replace", read_replace, run_replace},
    {"Metaspace", read_metaspace, run_metaspace},
    {"WordPiece", read_wordpiece, run_wordpiece},
    {"BPEDecoder", read_bpe, run_bpe},
    {"CTC", read_ctc, run_ctc},
};
static const stage_kind JOIN_KIND = {"", NULL, run_join};
static const stage JOIN = {.kind = &JOIN_KIND};

/* Kinds that old files tell by their options alone. */
static const tok_shape SHAPES[] = {{"suffix", "BPEDecoder"}, {"pad_token", "CTC"},
                                   {"pattern", "Replace"},   {"start", "Strip"},
                                   {"prefix", "WordPiece"},  {NULL, NULL}};

static mlxe_status read_at(const tok_reader *r, const json *v, tok_decoder *d, int depth)
{
    strv type;
    if (depth > 20) return tok_corrupt(r, "nested too deeply");
    if (!json_is(v, JSON_OBJECT)) return tok_corrupt(r, "is no object");
    mlxe_status rc = tok_need_type(r, v, SHAPES, &type);
    if (rc) return rc;
    if (strv_is(type, "Sequence")) {
        const json *items = json_get(v, "decoders"), *key, *item;
        if (!json_is(items, JSON_ARRAY)) return tok_corrupt(r, "a Sequence without decoders");
        json_iter it = json_iterate(items);
        for (size_t i = 0; json_next(&it, &key, &item) && rc == MLXE_OK; i++) {
            tok_reader at = tok_reader_index(r, i);
            rc = read_at(&at, item, d, depth + 1);
        }
        return rc;
    }
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (!strv_is(type, KINDS[i].name)) continue;
        if (d->n == d->cap) {
            size_t cap = d->cap * 2 + 4;
            stage *more = arena_array(r->mem, cap, sizeof *more);
            if (!more) return tok_no_memory(r);
            if (d->n) memcpy(more, d->v, d->n * sizeof *more);
            d->v = more;
            d->cap = cap;
        }
        stage *s = &d->v[d->n++];
        s->kind = &KINDS[i];
        return s->kind->read ? s->kind->read(r, v, s) : MLXE_OK;
    }
    return err_set(r->err, MLXE_E_UNSUPPORTED, "%s: decoder %.*s is not supported", r->where,
                   (int)(type.n > 60 ? 60 : type.n), type.p);
}

mlxe_status tok_decoder_read(const tok_reader *r, const json *v, tok_decoder **out)
{
    *out = NULL;
    if (!v || json_is(v, JSON_NULL)) return MLXE_OK;
    tok_decoder *d = arena_alloc(r->mem, sizeof *d);
    if (!d) return tok_no_memory(r);
    *out = d;
    return read_at(r, v, d, 0);
}

void tok_decoder_close(tok_decoder *d)
{
    for (size_t i = 0; d && i < d->n; i++)
        tok_regex_close(d->v[i].regex);
}

/* ---- decoding -------------------------------------------------------------------------------- */

mlxe_status tok_stream_open(const tok *t, int skip_special, tok_stream **out, mlxe_error *err)
{
    size_t n = t->decoder ? t->decoder->n : 1;
    *out = NULL;
    tok_stream *s = calloc(1, sizeof *s);
    if (!s) return err_memory(err, "decoding stream", sizeof *s);
    s->t = t;
    s->skip_special = skip_special;
    s->n = n;
    s->states = calloc(n + 1, sizeof *s->states);
    if (!s->states) {
        free(s);
        return err_memory(err, "decoding stream", n * sizeof *s->states);
    }
    for (size_t i = 0; i < n; i++)
        s->states[i] = (state){.stage = t->decoder ? &t->decoder->v[i] : &JOIN,
                               .next = i + 1 < n ? &s->states[i + 1] : NULL,
                               .stream = s};
    *out = s;
    return MLXE_OK;
}

void tok_stream_close(tok_stream *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) {
        buf_deinit(&s->states[i].token);
        buf_deinit(&s->states[i].hold);
    }
    free(s->states);
    free(s->matches.m);
    tok_match_state_close(s->match);
    free(s);
}

/* What goes into the first stage; an empty row of stages joins tokens as they are. */
static mlxe_status feed(tok_stream *s, event e, strv text)
{
    if (s->n) return s->states[0].stage->kind->run(&s->states[0], e, text);
    if (e == TEXT) buf_add_strv(s->out, text);
    return MLXE_OK;
}

mlxe_status tok_stream_push(tok_stream *s, int32_t id, buf *out, mlxe_error *err)
{
    strv text = tok_string(s->t, id);
    s->out = out;
    s->err = err;
    if (!text.p || (s->skip_special && tok_added_is_special(&s->t->added, text))) return MLXE_OK;
    mlxe_status rc = feed(s, BEGIN, NONE);
    if (rc == MLXE_OK) rc = feed(s, TEXT, text);
    if (rc == MLXE_OK) rc = feed(s, END, NONE);
    return rc == MLXE_OK && out->failed ? err_memory(err, "decoded text", out->n) : rc;
}

mlxe_status tok_stream_finish(tok_stream *s, buf *out, mlxe_error *err)
{
    s->out = out;
    s->err = err;
    mlxe_status rc = feed(s, FINISH, NONE);
    return rc == MLXE_OK && out->failed ? err_memory(err, "decoded text", out->n) : rc;
}

mlxe_status tok_decode(const tok *t, const int32_t *ids, size_t n, int skip_special, buf *out,
                       mlxe_error *err)
{
    tok_stream *s;
    mlxe_status rc = tok_stream_open(t, skip_special, &s, err);
    for (size_t i = 0; i < n && rc == MLXE_OK; i++)
        rc = tok_stream_push(s, ids[i], out, err);
    if (rc == MLXE_OK) rc = tok_stream_finish(s, out, err);
    tok_stream_close(s);
    return rc;
}
