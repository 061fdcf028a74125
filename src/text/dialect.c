/* dialect.c: the streaming reader of answers, the same for every dialect.
 *
 *   pieces -> in -> TEXT ----open----> a block's body --end--> calls, or text with a reason
 *                   REASONING <-open-- TEXT            --close-> TEXT
 *
 * Owns: where text ends and a block begins, what is held back until that is sure, and that every
 * byte is told exactly once. What the bytes of a body mean is the dialect's (dialects/NAME.c).
 *
 * Invariants: the events' raw texts, in order, are the answer. What is told does not depend on how
 * the answer was cut. Held back are only: the begin of a marker, the white space before it (at most
 * HELD_SPACE bytes), and a block that is open.
 *
 * Traps: white space between text and a call is markup, but when the call turns out to be none it
 * is text again, in its place. White space behind a call is text where it parts two texts. Models
 * write openings when they talk of them. A special token that the dialect does not know is
 * invisible. */
#include "text/dialect.h"

#include "text/dialects/parts.h"

#include <stdio.h>
#include <stdlib.h>

extern const struct dialect *const dialects_table[]; /* generated */

enum { HELD_SPACE = 64, MAX_AGAIN = 16, TEXT_STATE = -1 };

/* What becomes of white space where text begins. */
enum {
    SPACE_TEXT,
    SPACE_MARKUP,
    SPACE_BETWEEN, /* markup, and so is the dialect's `between` */
    SPACE_PARTS    /* text, if text follows: it parts that from the text before the call */
};

struct dialect_parser {
    const dialect *d;
    const char *begin, *end; /* of the reasoning that counts */
    dialect_fn fn;
    void *user;
    uint32_t active; /* blocks, as bits */
    int state;       /* TEXT_STATE or a block */
    int at_start;    /* nothing but white space and calls since the begin (or since reasoning) */
    int space;       /* what white space that comes now is: SPACE_.. */
    int told_text;   /* more than white space */
    buf in;          /* what is not decided */
    size_t done;     /* bytes of `in` that were told */
    buf opened;      /* white space and opening of the block that is open */
    buf body;        /* a CALL's or HEADER's */
    block_scan scan;
    call_list calls;
    size_t n_calls;
    int n_again; /* openings inside of bodies that were no call */
    int failed;
};

/* ---- choosing -------------------------------------------------------------------------------- */

const dialect *dialect_find(strv name)
{
    for (size_t i = 0; dialects_table[i]; i++)
        if (strv_is(name, dialects_table[i]->name)) return dialects_table[i];
    return NULL;
}

void dialect_names(buf *out)
{
    for (size_t i = 0; dialects_table[i]; i++) {
        if (i) buf_add_str(out, ", ");
        buf_add_str(out, dialects_table[i]->name);
    }
}

const char *dialect_name(const dialect *d) { return d->name; }

static int has(strv source, strv tokens, const char *marker)
{
    if (*marker == '!') return !has(source, tokens, marker + 1);
    if (*marker == '@')
        return has(source, tokens, marker + 1) || text_find(tokens, marker + 1, 0) != SIZE_MAX;
    return text_find(source, marker, 0) != SIZE_MAX;
}

/* The first set of markers that is there whole, or NULL. */
static const dialect_marker *matching(const dialect *d, strv source, strv tokens)
{
    for (int i = 0; i < DIALECT_SETS && d->sets[i].all[0]; i++) {
        const dialect_marker *m = &d->sets[i];
        int all = 1;
        for (int k = 0; k < DIALECT_MARKERS && m->all[k]; k++)
            all &= has(source, tokens, m->all[k]);
        if (all) return m;
    }
    return NULL;
}

/* The reasoning markers of a dialect; only those that are there, where there is a template. */
static void choose_reasoning(const dialect *d, const strv *source, dialect_choice *out)
{
    for (int i = 0; i < DIALECT_BLOCKS && d->blocks[i].kind; i++) {
        const dialect_block *b = &d->blocks[i];
        if (b->kind != BLOCK_REASONING || !b->close) continue;
        if (source && (b->flags & BLOCK_IF_SEEN) && text_find(*source, b->open, 0) == SIZE_MAX &&
            text_find(*source, b->close, 0) == SIZE_MAX)
            continue;
        out->begin = b->open;
        out->end = b->close;
        return;
    }
}

static void explain(dialect_choice *out, const dialect_marker *m)
{
    size_t n = 0;
    const char *join = "the template has ";
    for (int k = 0; m && k < DIALECT_MARKERS && m->all[k]; k++) {
        const char *text = m->all[k] + (m->all[k][0] == '@');
        if (*text == '!') continue;
        n += (size_t)snprintf(out->why + n, sizeof out->why - n, "%s%s", join, text);
        if (n >= sizeof out->why) n = sizeof out->why - 1;
        join = " and ";
    }
    if (!m) n = (size_t)snprintf(out->why, sizeof out->why, "no markers of a dialect");
    if (out->begin && n < sizeof out->why)
        snprintf(out->why + n, sizeof out->why - n, "; reasoning between %s and %s", out->begin,
                 out->end);
}

void dialect_choose(strv source, strv tokens, dialect_choice *out)
{
    const dialect_marker *found = NULL;
    *out = (dialect_choice){.dialect = dialect_find(STRV("plain"))};
    for (size_t i = 0; dialects_table[i]; i++) {
        const dialect_marker *m;
        if (found && dialects_table[i]->priority <= out->dialect->priority) continue;
        m = matching(dialects_table[i], source, tokens);
        if (!m) continue;
        found = m;
        out->dialect = dialects_table[i];
    }
    choose_reasoning(out->dialect, &source, out);
    explain(out, found);
}

mlxe_status dialect_choose_named(strv name, dialect_choice *out, mlxe_error *err)
{
    buf names = {0};
    *out = (dialect_choice){.dialect = dialect_find(name)};
    if (!out->dialect) {
        dialect_names(&names);
        err_set(err, MLXE_E_ARG, "dialect: %.*s is unknown, want one of %s",
                (int)(name.n < 60 ? name.n : 60), name.p, buf_str(&names));
        buf_deinit(&names);
        return MLXE_E_ARG;
    }
    choose_reasoning(out->dialect, NULL, out);
    snprintf(out->why, sizeof out->why, "it was asked for");
    return MLXE_OK;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void tell(dialect_parser *p, dialect_kind kind, strv raw, const char *reason)
{
    dialect_event e = {.kind = kind, .raw = raw, .reason = reason};
    if (raw.n) p->fn(p->user, &e);
}

static strv rest(const dialect_parser *p)
{
    return (strv){buf_str(&p->in) + p->done, p->in.n - p->done};
}

/* Tells the next n bytes of `in`. */
static void pass(dialect_parser *p, dialect_kind kind, size_t n)
{
    strv s = {rest(p).p, n};
    int more = text_trim(s).n > 0; /* than white space */
    if (kind == DIALECT_TEXT && p->space == SPACE_PARTS && !more) kind = DIALECT_MARKUP;
    tell(p, kind, s, NULL);
    p->done += n;
    if (kind != DIALECT_TEXT || !more) return;
    p->at_start = 0;
    p->told_text = 1;
    p->space = SPACE_TEXT;
}

/* ---- inside text and reasoning --------------------------------------------------------------- */

static int is_active(const dialect_parser *p, int block) { return p->active >> block & 1; }

/* Whether a block is looked for in text. */
static int opens(const dialect_parser *p, int block)
{
    return is_active(p, block) && !(p->d->blocks[block].flags & BLOCK_HIDDEN);
}

/* Length of the longest end of s that begins `marker` without being all of it. */
static size_t partial(strv s, const char *marker)
{
    size_t n = strlen(marker), most = s.n < n - 1 ? s.n : n - 1;
    for (; most; most--)
        if (!memcmp(s.p + s.n - most, marker, most)) return most;
    return 0;
}

/* White space at the end, as much as is held back. */
static size_t trailing_space(strv s)
{
    size_t n = 0;
    while (n < s.n && n < HELD_SPACE && text_space(s.p[s.n - 1 - n]))
        n++;
    return n;
}

static size_t leading_space(strv s, const char *between)
{
    size_t n = 0;
    while (n < s.n && (text_space(s.p[n]) || (between && s.p[n] && strchr(between, s.p[n]))))
        n++;
    return n;
}

static int is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/* The first opening in s: its block and place. An opening of AT_START stands after white space. */
static int find_open(const dialect_parser *p, strv s, size_t *place)
{
    int best = TEXT_STATE;
    size_t first = leading_space(s, NULL), longest = 0;
    *place = SIZE_MAX;
    for (int i = 0; i < DIALECT_BLOCKS && p->d->blocks[i].kind; i++) {
        const dialect_block *b = &p->d->blocks[i];
        size_t at;
        if (!opens(p, i)) continue;
        if (b->flags & BLOCK_AT_START) {
            strv tail = {s.p + first, s.n - first};
            if (!p->at_start || !tail.n) continue;
            if (*b->open ? !strv_starts(tail, strv_of(b->open)) : !is_word(*tail.p)) continue;
            at = first;
        } else
            at = text_find(s, b->open, 0);
        if (at == SIZE_MAX || at > *place) continue;
        if (at == *place && strlen(b->open) <= longest) continue; /* the longer marker wins */
        *place = at;
        best = i;
        longest = strlen(b->open);
    }
    return best;
}

/* Length of the end of s that may be the begin of an opening. */
static size_t held_open(const dialect_parser *p, strv s)
{
    size_t most = 0;
    for (int i = 0; i < DIALECT_BLOCKS && p->d->blocks[i].kind; i++) {
        const dialect_block *b = &p->d->blocks[i];
        size_t n = opens(p, i) && *b->open ? partial(s, b->open) : 0;
        if (n > most) most = n;
    }
    return most;
}

static void enter_text(dialect_parser *p, int space)
{
    p->state = TEXT_STATE;
    p->space = space;
    p->at_start = 1;
}

static void enter_block(dialect_parser *p, int block)
{
    p->state = block;
    p->scan = (block_scan){0};
    buf_clear(&p->body);
    p->space = p->d->blocks[block].kind == BLOCK_REASONING ? SPACE_MARKUP : SPACE_TEXT;
}

/* A block whose opening lies `place` bytes ahead. */
static void open_block(dialect_parser *p, int block, size_t place)
{
    const dialect_block *b = &p->d->blocks[block];
    strv s = {rest(p).p, place};
    int whole = (b->flags & BLOCK_AT_START) && b->kind != BLOCK_REASONING; /* it is of the body */
    int keeps = b->kind == BLOCK_DROP || (b->kind == BLOCK_HEADER && !whole); /* the text's end */
    size_t space = keeps ? 0 : trailing_space(s);
    size_t opening = whole ? 0 : strlen(b->open);
    pass(p, DIALECT_TEXT, place - space);
    if (b->kind == BLOCK_DROP || b->kind == BLOCK_REASONING) {
        pass(p, DIALECT_MARKUP, space + opening);
        if (b->kind == BLOCK_REASONING) enter_block(p, block);
        return;
    }
    buf_clear(&p->opened);
    buf_add(&p->opened, rest(p).p, space + opening);
    p->done += space + opening;
    enter_block(p, block);
}

/* White space that is markup; 1: something else follows or nothing is left to skip. */
static int skip_space(dialect_parser *p)
{
    size_t n = leading_space(rest(p), p->space == SPACE_BETWEEN ? p->d->between : NULL);
    if (p->space == SPACE_PARTS) { /* what is not known to be text is held back */
        if (n > HELD_SPACE) pass(p, DIALECT_MARKUP, n - HELD_SPACE);
        return 1;
    }
    pass(p, DIALECT_MARKUP, n);
    if (!rest(p).n) return 0;
    p->space = SPACE_TEXT;
    return 1;
}

/* -> 1: something was decided and there may be more */
static int step_text(dialect_parser *p, int last)
{
    strv s;
    size_t place, held, space;
    int block;
    if (p->space && !skip_space(p)) return 0;
    s = rest(p);
    if (!s.n) return 0;
    block = find_open(p, s, &place);
    held = last ? 0 : held_open(p, s); /* a longer marker may begin at the same place or before */
    if (block >= 0 && !(held && s.n - held <= place)) {
        open_block(p, block, place);
        return 1;
    }
    if (last) {
        pass(p, DIALECT_TEXT, s.n);
        return 0;
    }
    space = trailing_space((strv){s.p, s.n - held});
    pass(p, DIALECT_TEXT, s.n - held - space);
    return 0;
}

static int step_reasoning(dialect_parser *p, int last)
{
    const char *close = p->d->blocks[p->state].close;
    strv s;
    size_t at, held, space;
    if (p->space && !skip_space(p)) return 0;
    s = rest(p);
    at = text_find(s, close, 0);
    if (at != SIZE_MAX) {
        space = trailing_space((strv){s.p, at});
        pass(p, DIALECT_REASONING, at - space);
        pass(p, DIALECT_MARKUP, space + strlen(close));
        enter_text(p, SPACE_MARKUP);
        return 1;
    }
    if (last) {
        pass(p, DIALECT_REASONING, s.n);
        return 0;
    }
    held = partial(s, close);
    space = trailing_space((strv){s.p, s.n - held});
    pass(p, DIALECT_REASONING, s.n - held - space);
    return 0;
}

/* ---- inside a call or header ----------------------------------------------------------------- */

/* The block's bytes, opening first, of which the body goes on to `n`. */
static strv whole(dialect_parser *p, size_t n)
{
    buf_add(&p->opened, buf_str(&p->body), n);
    return buf_view(&p->opened);
}

/* The body from n on is not the block's: it is read again. */
static void give_back(dialect_parser *p, size_t n)
{
    buf left = {0};
    buf_add(&left, buf_str(&p->body) + n, p->body.n - n);
    buf_add_strv(&left, rest(p));
    if (!buf_ok(&left)) p->failed = 1;
    buf_deinit(&p->in);
    p->in = left;
    p->done = 0;
}

static void tell_call(dialect_parser *p, const call_row *row, strv raw)
{
    dialect_event e = {.kind = DIALECT_CALL,
                       .raw = raw,
                       .name = row->name,
                       .id = row->id,
                       .arguments = row->arguments};
    p->fn(p->user, &e);
    p->n_calls++;
}

/* The rows of a body; raw: that with its opening (`open` bytes) before it. A part goes to its row,
 * the opening and what is behind the last part to a call that is there, else they are markup. */
static void tell_rows(dialect_parser *p, strv raw, size_t open)
{
    const call_list *c = &p->calls;
    size_t at = 0, to;
    for (size_t i = 0; i < c->n; i++) {
        const call_row *row = &c->rows[i];
        to = row->end ? open + (size_t)(row->end - buf_str(&p->body)) : raw.n;
        if (i + 1 == c->n && !row->reason) to = raw.n;
        if (!row->reason) {
            tell_call(p, row, (strv){raw.p + at, to - at});
        } else {
            if (!i) tell(p, DIALECT_MARKUP, (strv){raw.p, at = open}, NULL);
            tell(p, DIALECT_TEXT, (strv){raw.p + at, to - at}, row->reason);
            p->told_text = 1;
        }
        at = to;
    }
    tell(p, DIALECT_MARKUP, (strv){raw.p + at, raw.n - at}, NULL);
}

/* Whether a body holds a call, or nothing at all. If not, why not is the list's reason. */
static int has_calls(call_list *c, const char *end)
{
    if (c->reason[0] && c->n_parted) calls_part(c, end);
    for (size_t i = 0; i < c->n; i++)
        if (!c->rows[i].reason) return calls_ok(c);
    if (c->n) calls_refuse(c, "%s", c->rows[0].reason);
    return calls_ok(c);
}

/* Where a body that is no call has the block's opening again; n: nowhere. After some of these it
 * is the last such place, for the time that an answer takes. */
static size_t opened_again(dialect_parser *p, const dialect_block *b, size_t n)
{
    strv body = {buf_str(&p->body), n};
    size_t at, found = n;
    if (!b->open || (b->flags & BLOCK_AT_START)) return n;
    for (at = 0; (at = text_find(body, b->open, at)) != SIZE_MAX; at++) {
        found = at;
        if (p->n_again >= MAX_AGAIN) continue;
        p->n_again++;
        break;
    }
    return found;
}

static void end_call(dialect_parser *p, size_t n)
{
    const dialect_block *b = &p->d->blocks[p->state];
    calls_clear(&p->calls);
    b->read(&p->calls, (strv){buf_str(&p->body), p->scan.body});
    p->failed |= p->calls.failed;
    if (has_calls(&p->calls, buf_str(&p->body) + p->scan.body)) {
        size_t open = p->opened.n;
        tell_rows(p, whole(p, n), open);
        give_back(p, n);
        enter_text(p, p->told_text && !p->d->between ? SPACE_PARTS : SPACE_BETWEEN);
        return;
    }
    n = opened_again(p, b, n); /* the first was talked of, that one may be meant */
    tell(p, DIALECT_TEXT, whole(p, n), p->calls.reason);
    p->told_text = 1;
    give_back(p, n);
    enter_text(p, SPACE_TEXT);
    p->at_start = 0;
}

static void end_header(dialect_parser *p, size_t n)
{
    const dialect_block *b = &p->d->blocks[p->state];
    int next;
    calls_clear(&p->calls);
    next = b->enter(&p->calls, (strv){buf_str(&p->body), p->scan.body});
    p->failed |= p->calls.failed;
    if (next >= 0 && p->d->blocks[next].kind == BLOCK_CALL) {
        /* The header belongs to the call: what is no call in the end is text with its header. */
        whole(p, n);
        give_back(p, n);
        enter_block(p, next);
        return;
    }
    tell(p, DIALECT_MARKUP, whole(p, n), NULL);
    give_back(p, n);
    if (next >= 0)
        enter_block(p, next);
    else
        enter_text(p, SPACE_TEXT);
}

/* What looked like a block is none. */
static void no_block(dialect_parser *p)
{
    int at_start = p->d->blocks[p->state].flags & BLOCK_AT_START;
    if (at_start) { /* all of it is read again, as text that may hold other blocks */
        buf all = {0};
        buf_add_strv(&all, buf_view(&p->opened));
        buf_add_strv(&all, buf_view(&p->body));
        if (!buf_ok(&all)) p->failed = 1;
        buf_deinit(&p->body);
        p->body = all;
    } else
        tell(p, DIALECT_TEXT, buf_view(&p->opened), NULL);
    give_back(p, 0);
    enter_text(p, SPACE_TEXT);
    p->at_start = 0;
}

static int step_block(dialect_parser *p, int last)
{
    const dialect_block *b = &p->d->blocks[p->state];
    ptrdiff_t n;
    buf_add_strv(&p->body, rest(p));
    p->done = p->in.n;
    if (!p->body.n && !last) return 0;
    n = b->end(b, buf_view(&p->body), last, &p->scan);
    if (n == SCAN_NO_CALL) {
        no_block(p);
        return 1;
    }
    if (n == SCAN_MORE && !last) return 0;
    if (n == SCAN_MORE) {
        char reason[80];
        snprintf(reason, sizeof reason, "a %s is not complete%s%s",
                 b->kind == BLOCK_HEADER ? "message's header" : "tool call",
                 b->close ? ", it wants " : "", b->close ? b->close : "");
        tell(p, DIALECT_TEXT, whole(p, p->body.n), reason);
        enter_text(p, SPACE_TEXT);
        return 0;
    }
    if (b->kind == BLOCK_HEADER)
        end_header(p, (size_t)n);
    else
        end_call(p, (size_t)n);
    return 1;
}

/* ---- from outside ---------------------------------------------------------------------------- */

static void steps(dialect_parser *p, int last)
{
    int more = 1;
    while (more && !p->failed) {
        if (p->state == TEXT_STATE)
            more = step_text(p, last);
        else if (p->d->blocks[p->state].kind == BLOCK_REASONING)
            more = step_reasoning(p, last);
        else
            more = step_block(p, last);
    }
    if (p->done) { /* what was told goes */
        memmove(p->in.p, p->in.p + p->done, p->in.n - p->done);
        p->in.n -= p->done;
        p->in.p[p->in.n] = 0;
        p->done = 0;
    }
}

static mlxe_status result(dialect_parser *p, mlxe_error *err)
{
    if (p->failed || !buf_ok(&p->in) || !buf_ok(&p->body) || !buf_ok(&p->opened)) {
        p->failed = 1;
        return err_memory(err, "answer", p->in.n + p->body.n);
    }
    return MLXE_OK;
}

mlxe_status dialect_open(const dialect_setup *setup, dialect_parser **out, mlxe_error *err)
{
    dialect_parser *p = calloc(1, sizeof *p);
    const dialect_choice *choice = setup->choice;
    strv prompt = text_trim(setup->prompt);
    *out = NULL;
    if (!p) return err_memory(err, "dialect parser", sizeof *p);
    p->d = choice->dialect;
    p->begin = choice->begin;
    p->end = choice->end;
    p->fn = setup->fn;
    p->user = setup->user;
    p->calls.tools = setup->tools;
    enter_text(p, SPACE_TEXT);
    for (int i = 0; i < DIALECT_BLOCKS && p->d->blocks[i].kind; i++) {
        const dialect_block *b = &p->d->blocks[i];
        int on = b->kind != BLOCK_CALL || (b->flags & BLOCK_HIDDEN) || setup->tools;
        if (b->kind == BLOCK_REASONING && !(b->flags & BLOCK_HIDDEN))
            on = p->begin && ((b->flags & BLOCK_ALSO) || !strcmp(b->open, p->begin));
        if (on) p->active |= 1u << i;
        if (on && b->kind == BLOCK_REASONING && b->open && strv_ends(prompt, strv_of(b->open)))
            enter_block(p, i); /* the template has opened it */
    }
    *out = p;
    return MLXE_OK;
}

/* Whether a special token's text is part of one of the dialect's markers. */
static int is_known(const dialect_parser *p, strv piece)
{
    for (int i = 0; i < DIALECT_BLOCKS && p->d->blocks[i].kind; i++) {
        const dialect_block *b = &p->d->blocks[i];
        const char *marks[2] = {b->open, b->close};
        for (int k = 0; k < 2 && is_active(p, i); k++) {
            strv mark = strv_of(marks[k]);
            for (size_t at = 0; at + piece.n <= mark.n; at++)
                if (!memcmp(mark.p + at, piece.p, piece.n)) return 1;
        }
    }
    return 0;
}

mlxe_status dialect_push(dialect_parser *p, strv piece, int special, mlxe_error *err)
{
    int in_body = p->state != TEXT_STATE && p->d->blocks[p->state].kind != BLOCK_REASONING;
    if (!piece.n || p->failed) return result(p, err);
    if (special && !in_body && !is_known(p, piece)) {
        if (p->in.n) {
            pass(p, p->state == TEXT_STATE ? DIALECT_TEXT : DIALECT_REASONING, p->in.n);
            buf_clear(&p->in);
            p->done = 0;
        }
        tell(p, DIALECT_MARKUP, piece, NULL);
        return result(p, err);
    }
    buf_add_strv(&p->in, piece);
    steps(p, 0);
    return result(p, err);
}

mlxe_status dialect_finish(dialect_parser *p, mlxe_error *err)
{
    if (!p->failed) steps(p, 1);
    return result(p, err);
}

void dialect_close(dialect_parser *p)
{
    if (!p) return;
    buf_deinit(&p->in);
    buf_deinit(&p->opened);
    buf_deinit(&p->body);
    calls_deinit(&p->calls);
    free(p);
}

int dialect_reasoning(const dialect_parser *p)
{
    return p->state != TEXT_STATE && p->d->blocks[p->state].kind == BLOCK_REASONING;
}

const char *dialect_reasoning_end(const dialect_parser *p)
{
    const dialect_block *b = dialect_reasoning(p) ? &p->d->blocks[p->state] : NULL;
    return !b ? NULL : b->force ? b->force : b->close;
}

int dialect_needed(const dialect_choice *choice, int has_tools)
{
    if (has_tools || choice->begin) return 1;
    for (int i = 0; i < DIALECT_BLOCKS && choice->dialect->blocks[i].kind; i++)
        if (choice->dialect->blocks[i].kind == BLOCK_HEADER ||
            choice->dialect->blocks[i].kind == BLOCK_DROP)
            return 1;
    return 0;
}

size_t dialect_calls(const dialect_parser *p) { return p->n_calls; }
