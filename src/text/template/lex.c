/* lex.c: splits a template into tokens.
 *
 * Owns: the source as the rest sees it (newlines as \n, the last one dropped), whitespace control
 * (-, +, trim_blocks and lstrip_blocks on), raw blocks and comments, string escapes.
 * Source: jinja2 3.1.6 lexer.py with transformers' settings.
 * Traps: a tag ends only where brackets are balanced: `}}` inside `{{ {'a': {}} }}` is two braces.
 *        `{% raw %}` keeps the newline after it, `{% endraw %}` does not. lstrip applies to blocks
 *        and comments but not to `{{`, and only where the text before starts a line. A \ before a
 *        character beyond ASCII yields the escape's own letters, as the reference's two codecs
 *        do. */
#include "text/template/text.h"
#include "text/template/tree.h"

typedef struct lexer {
    jj_compiler *c;
    strv s;
    size_t at;
    int line_starting; /* the last match ended in a newline */
} lexer;

static void append(jj_compiler *c, jj_token_type type, size_t pos, size_t end, strv text)
{
    if (c->n_tokens == c->cap_tokens) {
        size_t cap = c->cap_tokens ? c->cap_tokens * 2 : 256;
        jj_token *grown = jj_scratch(c, cap, sizeof *grown);
        if (!grown) return;
        if (c->n_tokens) memcpy(grown, c->tokens, c->n_tokens * sizeof *grown);
        c->tokens = grown;
        c->cap_tokens = cap;
    }
    c->tokens[c->n_tokens++] = (jj_token){type, (uint32_t)pos, (uint32_t)end, text};
}

static void add(lexer *x, jj_token_type type, size_t pos, size_t end, strv text)
{
    if (jj_fine(x->c)) append(x->c, type, pos, end, text);
}

static int at_text(const lexer *x, size_t at, const char *text)
{
    size_t n = strlen(text);
    return at + n <= x->s.n && !memcmp(x->s.p + at, text, n);
}

static size_t skip_space(const lexer *x, size_t at)
{
    size_t n;
    while (at < x->s.n && jj_isspace(jj_decode(x->s.p + at, x->s.p + x->s.n, &n)))
        at += n;
    return at;
}

/* End of a tag's closing at `at`, or 0. tail: "%}" or "#}"; plus: "+%}" is a closing too. */
static size_t closing(const lexer *x, size_t at, const char *tail, int plus, int trim)
{
    if (plus && at < x->s.n && x->s.p[at] == '+' && at_text(x, at + 1, tail)) return at + 3;
    if (at < x->s.n && x->s.p[at] == '-' && at_text(x, at + 1, tail)) return skip_space(x, at + 3);
    if (!at_text(x, at, tail)) return 0;
    at += 2;
    return trim && at < x->s.n && x->s.p[at] == '\n' ? at + 1 : at;
}

/* The text before a tag with its right side stripped as the tag's sign asks. */
static strv before_tag(const lexer *x, size_t from, size_t to, char sign, int lstrip)
{
    strv text = {x->s.p + from, to - from};
    size_t line;
    if (sign == '-') return jj_strip(text, NULL, 0, 1);
    if (sign == '+' || !lstrip) return text;
    line = jj_rfind(text, STRV("\n"));
    line = line == SIZE_MAX ? 0 : line + 1;
    if ((line > 0 || x->line_starting) && line < text.n &&
        !jj_strip((strv){text.p + line, text.n - line}, NULL, 1, 0).n)
        text.n = line;
    return text;
}

static void data(lexer *x, size_t pos, strv text)
{
    if (text.n) add(x, TK_DATA, pos, pos + text.n, text);
}

static void set_line_starting(lexer *x)
{
    x->line_starting = x->at > 0 && x->s.p[x->at - 1] == '\n';
}

static char sign_at(const lexer *x, size_t at)
{
    return at < x->s.n && (x->s.p[at] == '-' || x->s.p[at] == '+') ? x->s.p[at] : 0;
}

/* After "{%" or "{%-" at `at`: where a raw block's text begins, or 0. */
static size_t raw_begin(const lexer *x, size_t at)
{
    at = skip_space(x, at);
    if (!at_text(x, at, "raw")) return 0;
    return closing(x, skip_space(x, at + 3), "%}", 0, 0);
}

static void raw_block(lexer *x, size_t tag)
{
    size_t begin = x->at, end;
    set_line_starting(x);
    for (size_t at = begin; (at = jj_find(x->s, STRV("{%"), at)) != SIZE_MAX; at++) {
        char sign = sign_at(x, at + 2);
        size_t name = skip_space(x, at + 2 + (sign != 0));
        if (!at_text(x, name, "endraw")) continue;
        end = closing(x, skip_space(x, name + 6), "%}", 1, 1);
        if (!end) continue;
        data(x, begin, before_tag(x, begin, at, sign, 1));
        x->at = end;
        set_line_starting(x);
        return;
    }
    /* The reference misses the end only of a block that has begun. */
    if (begin < x->s.n) jj_syntax(x->c, tag, "a raw block that does not end, want {%% endraw %%}");
    x->at = x->s.n;
}

static void comment(lexer *x, size_t tag)
{
    for (size_t at = x->at; (at = jj_find(x->s, STRV("#}"), at)) != SIZE_MAX; at++) {
        size_t from = at;
        if (at > x->at && (x->s.p[at - 1] == '-' || x->s.p[at - 1] == '+')) from = at - 1;
        x->at = closing(x, from, "#}", 1, 1);
        set_line_starting(x);
        return;
    }
    if (x->at < x->s.n) jj_syntax(x->c, tag, "a comment that does not end, want #}");
    x->at = x->s.n;
}

/* ---- inside of a tag ---- */

static const struct {
    char text[3];
    jj_token_type type;
} OPERATORS[] = {
    {"//", TK_FLOORDIV}, {"**", TK_POW},   {"==", TK_EQ},      {"!=", TK_NE},      {">=", TK_GTEQ},
    {"<=", TK_LTEQ},     {"+", TK_ADD},    {"-", TK_SUB},      {"/", TK_DIV},      {"*", TK_MUL},
    {"%", TK_MOD},       {"~", TK_TILDE},  {"[", TK_LBRACKET}, {"]", TK_RBRACKET}, {"(", TK_LPAREN},
    {")", TK_RPAREN},    {"{", TK_LBRACE}, {"}", TK_RBRACE},   {">", TK_GT},       {"<", TK_LT},
    {"=", TK_ASSIGN},    {".", TK_DOT},    {":", TK_COLON},    {"|", TK_PIPE},     {",", TK_COMMA},
    {";", TK_SEMICOLON},
};

/* End of a run of digits out of set, single underscores between them (lead: before them too). */
static size_t digits(const lexer *x, size_t at, const char *set, int lead)
{
    size_t begin = at;
    for (;;) {
        size_t next = at;
        if (next < x->s.n && x->s.p[next] == '_' && (next > begin || lead)) next++;
        if (next >= x->s.n || !memchr(set, x->s.p[next], strlen(set))) return at;
        at = next + 1;
    }
}

static size_t decimals(const lexer *x, size_t at)
{
    if (at >= x->s.n || x->s.p[at] < '0' || x->s.p[at] > '9') return at;
    return digits(x, at, "0123456789", 0);
}

static size_t float_end(const lexer *x)
{
    size_t whole = decimals(x, x->at), end = whole, e;
    if (x->at > 0 && x->s.p[x->at - 1] == '.') return 0;
    if (at_text(x, whole, ".")) end = decimals(x, whole + 1);
    if (end == whole + 1) end = whole;
    if (end < x->s.n && (x->s.p[end] | 0x20) == 'e') {
        e = end + 1;
        if (e < x->s.n && (x->s.p[e] == '+' || x->s.p[e] == '-')) e++;
        if (decimals(x, e) > e) return decimals(x, e);
    }
    return end > whole ? end : 0;
}

static size_t integer_end(const lexer *x)
{
    size_t at = x->at, end;
    char base = at + 1 < x->s.n ? (char)(x->s.p[at + 1] | 0x20) : 0;
    if (x->s.p[at] == '0' && (base == 'b' || base == 'o' || base == 'x')) {
        end = digits(x, at + 2,
                     base == 'b'   ? "01"
                     : base == 'o' ? "01234567"
                                   : "0123456789abcdefABCDEF",
                     1);
        if (end > at + 2) return end;
    }
    return digits(x, at, x->s.p[at] == '0' ? "0" : "0123456789", 0);
}

static strv without_underscores(lexer *x, strv text)
{
    char *p = jj_keep(x->c, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; p && i < text.n; i++)
        if (text.p[i] != '_') p[n++] = text.p[i];
    return (strv){p ? p : "", p ? n : 0};
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \xNN, \uNNNN, \UNNNNNNNN: the digits after the letter at text[i]. */
static size_t hex_escape(lexer *x, buf *b, strv text, size_t i, size_t pos)
{
    size_t n = text.p[i] == 'x' ? 2 : text.p[i] == 'u' ? 4 : 8;
    unsigned c = 0;
    for (size_t k = 1; k <= n; k++) {
        int digit = i + k < text.n ? hex_value(text.p[i + k]) : -1;
        if (digit < 0) {
            jj_syntax(x->c, pos, "truncated \\%c escape in a string", text.p[i]);
            return text.n;
        }
        c = c << 4 | (unsigned)digit;
    }
    if (c > 0x10FFFF) jj_syntax(x->c, pos, "\\U escape beyond U+10FFFF in a string");
    jj_add_code(b, c);
    return i + n + 1;
}

static size_t octal_escape(buf *b, strv text, size_t i)
{
    unsigned c = 0;
    size_t n = 0;
    for (; n < 3 && i + n < text.n && text.p[i + n] >= '0' && text.p[i + n] <= '7'; n++)
        c = c * 8 + (unsigned)(text.p[i + n] - '0');
    buf_add_utf8(b, c);
    return i + n;
}

static strv unescape(lexer *x, strv text, size_t pos)
{
    static const char FROM[] = "\\'\"abfnrtv", TO[] = "\\'\"\a\b\f\n\r\t\v";
    buf b = {0};
    char *kept;
    size_t n;
    if (!memchr(text.p, '\\', text.n)) return text;
    for (size_t i = 0; i < text.n && jj_fine(x->c);) {
        const char *simple;
        if (text.p[i] != '\\') {
            buf_add_char(&b, text.p[i++]);
            continue;
        }
        if (++i >= text.n) {
            jj_syntax(x->c, pos, "\\ at the end of a string");
            break;
        }
        simple = text.p[i] ? strchr(FROM, text.p[i]) : NULL;
        if (simple) {
            buf_add_char(&b, TO[simple - FROM]);
            i++;
        } else if (text.p[i] == '\n')
            i++;
        else if (text.p[i] == 'x' || text.p[i] == 'u' || text.p[i] == 'U')
            i = hex_escape(x, &b, text, i, pos);
        else if (text.p[i] >= '0' && text.p[i] <= '7')
            i = octal_escape(&b, text, i);
        else if (text.p[i] == 'N') {
            jj_syntax(x->c, pos, "\\N{name} escapes are not supported, want \\uXXXX");
        } else if ((unsigned char)text.p[i] >= 0x80) {
            unsigned c = jj_decode(text.p + i, text.p + text.n, &n);
            buf_addf(&b, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
            i += n;
        } else {
            buf_add_char(&b, '\\');
            buf_add_char(&b, text.p[i++]);
        }
    }
    kept = jj_keep(x->c, b.n + 1);
    if (kept && b.n) memcpy(kept, b.p, b.n);
    text = (strv){kept ? kept : "", kept ? b.n : 0};
    buf_deinit(&b);
    return text;
}

static void string_token(lexer *x)
{
    char quote = x->s.p[x->at];
    size_t begin = x->at + 1, at = begin;
    while (at < x->s.n && x->s.p[at] != quote)
        at += x->s.p[at] == '\\' ? 2 : 1;
    if (at >= x->s.n) {
        jj_syntax(x->c, x->at, "a string that does not end, want %c", quote);
        x->at = x->s.n;
        return;
    }
    add(x, TK_STRING, x->at, at + 1, unescape(x, (strv){x->s.p + begin, at - begin}, x->at));
    x->at = at + 1;
}

static void name_token(lexer *x)
{
    size_t at = x->at, n;
    strv name;
    for (; at < x->s.n; at += n) {
        unsigned c = jj_decode(x->s.p + at, x->s.p + x->s.n, &n);
        if (!jj_is_identifier_char(c, 0) && !jj_isalnum(c)) break;
    }
    name = (strv){x->s.p + x->at, at - x->at};
    if (!name.n) {
        jj_syntax(x->c, x->at, "unexpected character '%.*s'", (int)n, x->s.p + x->at);
        x->at = x->s.n;
        return;
    }
    if (!jj_is_identifier(name))
        jj_syntax(x->c, x->at, "invalid character in the name '%.*s'", (int)name.n, name.p);
    else if (!jj_is_nfkc(name)) /* the reference's variables of such names are those of the form */
        jj_syntax(x->c, x->at, "the name '%.*s' is not supported: it is not in its NFKC form",
                  (int)name.n, name.p);
    add(x, TK_NAME, x->at, at, name);
    x->at = at;
}

static int operator_token(lexer *x, buf *open)
{
    for (size_t i = 0; i < sizeof OPERATORS / sizeof *OPERATORS; i++) {
        const char *text = OPERATORS[i].text;
        char want;
        if (!at_text(x, x->at, text)) continue;
        if (text[0] == '(') buf_add_char(open, ')');
        if (text[0] == '[') buf_add_char(open, ']');
        if (text[0] == '{') buf_add_char(open, '}');
        if (text[0] == ')' || text[0] == ']' || text[0] == '}') {
            want = open->n ? open->p[open->n - 1] : 0;
            if (!want)
                jj_syntax(x->c, x->at, "unexpected '%c'", text[0]);
            else if (want != text[0])
                jj_syntax(x->c, x->at, "unexpected '%c', want '%c'", text[0], want);
            else
                open->n--;
        }
        add(x, OPERATORS[i].type, x->at, x->at + strlen(text),
            (strv){x->s.p + x->at, strlen(text)});
        x->at += strlen(text);
        return 1;
    }
    return 0;
}

/* The tokens of a tag up to and with its closing. */
static void tag(lexer *x, int block, size_t begin)
{
    buf open = {0};
    while (jj_fine(x->c)) {
        size_t end;
        char c;
        if (x->at >= x->s.n) {
            jj_syntax(x->c, begin, "a tag that does not end, want %s", block ? "%}" : "}}");
            break;
        }
        end = open.n ? 0 : block ? closing(x, x->at, "%}", 1, 1) : closing(x, x->at, "}}", 0, 0);
        if (end) {
            add(x, block ? TK_BLOCK_END : TK_VARIABLE_END, x->at, x->at + 2, (strv){0});
            x->at = end;
            set_line_starting(x);
            break;
        }
        end = skip_space(x, x->at);
        if (end > x->at) {
            x->at = end;
            continue;
        }
        c = x->s.p[x->at];
        if (c >= '0' && c <= '9') {
            end = float_end(x);
            if (end)
                add(x, TK_FLOAT, x->at, end,
                    without_underscores(x, (strv){x->s.p + x->at, end - x->at}));
            else {
                end = integer_end(x);
                add(x, TK_INTEGER, x->at, end,
                    without_underscores(x, (strv){x->s.p + x->at, end - x->at}));
            }
            x->at = end;
        } else if (c == '\'' || c == '"')
            string_token(x);
        else if (!operator_token(x, &open))
            name_token(x);
    }
    buf_deinit(&open);
}

void jj_lex(jj_compiler *c)
{
    lexer x = {.c = c, .s = c->t->source, .line_starting = 1};
    while (x.at < x.s.n && jj_fine(c)) {
        size_t at = x.at, begin = x.at;
        char sign, kind;
        do {
            const char *brace = memchr(x.s.p + at, '{', x.s.n - at);
            at = brace ? (size_t)(brace - x.s.p) : x.s.n;
            kind = at + 1 < x.s.n ? x.s.p[at + 1] : 0;
        } while (at < x.s.n && kind != '%' && kind != '{' && kind != '#' && ++at);
        if (at >= x.s.n) {
            data(&x, begin, (strv){x.s.p + begin, x.s.n - begin});
            break;
        }
        sign = sign_at(&x, at + 2);
        data(&x, begin, before_tag(&x, begin, at, sign, kind != '{'));
        x.at = at + 2 + (sign != 0);
        x.line_starting = 0;
        if (kind == '#')
            comment(&x, at);
        else if (kind == '%' && raw_begin(&x, x.at)) {
            x.at = raw_begin(&x, x.at);
            raw_block(&x, at);
        } else {
            add(&x, kind == '%' ? TK_BLOCK_BEGIN : TK_VARIABLE_BEGIN, at, x.at, (strv){0});
            tag(&x, kind == '%', at);
        }
    }
    append(c, TK_EOF, x.s.n, x.s.n, (strv){0});
}
