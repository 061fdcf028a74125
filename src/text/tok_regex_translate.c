/* tok_regex_translate.c: a pattern of Oniguruma (Ruby syntax) written again for PCRE2.
 *
 *   Oniguruma text --> one pass, recursive over groups and classes --> PCRE2 text
 *
 * Compiled with PCRE2_UTF | UCP | MULTILINE, newline LF. What differs and is settled here:
 *   (?m) is dotall; ^ and $ are always line anchors; \h is a hex digit, \v one character
 *   \s \w \d \b and \p{..} mean Oniguruma's sets, of its Unicode version (tok_regex_class.c)
 *   (?i) in the middle of a group holds for all alternatives that follow: (?i:...|...)
 *   with (?i) "ss" is one letter too (tok_regex_fold.c)
 *   {n,m}+ is a repeat of a repeat, not possessive; {n}? is optional, not lazy; {,n} starts at 0
 *   classes nest and intersect: [a-z&&[^aeiou]]
 *   (?(p)a|b) with a pattern p matches p first, and goes on behind it
 *   \X \y \Y: a callout asks uni_segment_break, which looks as far back as it has to
 *   (?~a) is what a can be found in nowhere: characters one by one at which a does not begin
 *   {n,m} of what may be empty ends otherwise (tok_regex_empty.c)
 * Anything else that PCRE2 would read in another way is refused by name.
 *
 * Source: Oniguruma doc/RE, doc/SYNTAX.md (Ruby syntax). */
#include "text/tok_regex_translate.h"

/* ---- atoms ----------------------------------------------------------------------------------- */

/* What a callout asks (tok_regex.c): whether a text segment begins here, or none. */
#define REGEX_BREAK    "(?C1)"
#define REGEX_NO_BREAK "(?C2)"

static int read_alternatives(translate *t);
static int read_branch(translate *t);

/* \k<..> and \g<..>, behind the letter. */
static int read_reference(translate *t, int is_call)
{
    strv name;
    if (!regex_names_read(&t->p, t->end, &name))
        return regex_refuse(t, "a reference without its name");
    if (t->fold && !is_call) return regex_refuse(t, "a back-reference with case ignored");
    int group = regex_names_group(&t->names, name, t->opened, is_call);
    if (group < 0) return regex_refuse(t, "a reference to no group");
    if (is_call && t->absent) return regex_refuse(t, "a subexpression call in an absent function");
    if (is_call && t->names.references) /* what a call matched is seen from outside, there alone */
        return regex_refuse(t, "a subexpression call beside back-references");
    buf_addf(t->out, is_call ? "(?%d)" : "\\g{%d}", group);
    t->facts = REGEX_MAY_BE_EMPTY | (is_call ? REGEX_EFFECTS : REGEX_ONE_WAY);
    if (is_call && group > 0 && group <= REGEX_NAMES && t->group_facts[group - 1] & REGEX_CLOSED)
        t->facts = t->group_facts[group - 1] & ~(unsigned)REGEX_CLOSED;
    return 0;
}

/* Behind a backslash, outside of a class. */
static int read_escape(translate *t)
{
    uint32_t cp;
    if (t->p >= t->end) return regex_refuse(t, "a backslash at the end");
    char c = *t->p;
    if ((unsigned char)c >= 0x80) {
        regex_put_literal(t->out, regex_take(t));
        return 0;
    }
    t->p++;
    int rc = regex_read_set(t, c);
    if (rc <= 0) return rc;
    switch (c) {
    case 'A':
    case 'Z':
    case 'z':
    case 'G':
    case 'K':
        t->facts = c == 'K' ? REGEX_ANCHOR | REGEX_EFFECTS : REGEX_ANCHOR;
        buf_addf(t->out, "\\%c", c);
        return 0;
    case 'b':
    case 'B':
        t->facts = REGEX_ANCHOR;
        buf_add_str(t->out, "(?-i:");
        regex_put_boundary(t->out, c == 'B');
        buf_add_char(t->out, ')');
        return 0;
    case 'N':
        buf_add_str(t->out, "[^\\n]");
        return 0;
    case 'O':
        buf_add_str(t->out, "(?s:.)");
        return 0;
    case 'R':
        buf_add_str(t->out, "(?>\\r\\n|[\\n-\\r\\x85\\x{2028}\\x{2029}])");
        return 0;
    case 'X': /* PCRE2's own does not look behind its begin, and joins emoji otherwise */
        buf_add_str(t->out, "(?>(?s:.)(?:" REGEX_NO_BREAK "(?s:.))*)");
        return 0;
    case 'y':
    case 'Y':
        t->facts = REGEX_ANCHOR;
        buf_addf(t->out, "(?:%s)", c == 'y' ? REGEX_BREAK : REGEX_NO_BREAK);
        return 0;
    case 'M':
    case 'C':
        return regex_refuse(t, "\\M and \\C escapes");
    case 'g':
    case 'k':
        return read_reference(t, c == 'g');
    default:
        break;
    }
    if (c >= '1' && c <= '9') {
        if (t->p < t->end && *t->p >= '0' && *t->p <= '9')
            return regex_refuse(t, "a back-reference of two digits");
        if (t->names.named) return regex_refuse(t, "a numbered back-reference beside named groups");
        if (t->fold) return regex_refuse(t, "a back-reference with case ignored");
        if (c - '0' > t->names.groups) return regex_refuse(t, "a back-reference to no group");
        buf_addf(t->out, "\\g{%c}", c);
        t->facts = REGEX_MAY_BE_EMPTY | REGEX_ONE_WAY;
        return 0;
    }
    if (regex_read_code(t, c, 0, &cp) == 0) {
        regex_put_literal(t->out, cp);
        return 0;
    }
    if (t->problem) return -1;
    regex_put_literal(t->out, (uint32_t)c);
    return 0;
}

/* Options up to ':' or ')': -> the character that ended them, or 0 (refused). */
static char read_options(translate *t, buf *text, int *fold, int *extended)
{
    int off = 0, on_s = -1;
    *fold = t->fold;
    *extended = t->extended;
    while (t->p < t->end) {
        char c = *t->p++;
        switch (c) {
        case '-':
            off = 1;
            break;
        case 'i':
            *fold = !off;
            break;
        case 'm':
            on_s = !off;
            break;
        case 'x':
            *extended = !off;
            break;
        case 'y': /* the kind of segments that \X has anyway */
            if (off || t->end - t->p < 3 || memcmp(t->p, "{g}", 3) != 0) {
                regex_refuse(t, "this group option");
                return 0;
            }
            t->p += 3;
            break;
        case ':':
        case ')':
            if (on_s >= 0) buf_add_str(text, on_s ? "s" : "");
            if (*fold && !t->fold) buf_add_char(text, 'i');
            if (on_s == 0 || (!*fold && t->fold)) {
                buf_add_char(text, '-');
                if (on_s == 0) buf_add_char(text, 's');
                if (!*fold && t->fold) buf_add_char(text, 'i');
            }
            return c;
        default:
            regex_refuse(t, "this group option");
            return 0;
        }
    }
    regex_refuse(t, "a group without its end");
    return 0;
}

static int close_group(translate *t)
{
    if (t->p >= t->end || *t->p != ')') return regex_refuse(t, "a group without its end");
    t->p++;
    buf_add_char(t->out, ')');
    return 0;
}

/* (?imx-imx) and (?imx-imx:...) */
static int read_option_group(translate *t)
{
    buf text = {0};
    int fold, extended, old_fold = t->fold, old_extended = t->extended, rc = -1;
    char c = read_options(t, &text, &fold, &extended);
    if (!c) goto out;
    buf_addf(t->out, "(?%s:", buf_str(&text));
    t->fold = fold;
    t->extended = extended;
    if (read_alternatives(t)) goto out;
    if (c == ':') {
        rc = close_group(t);
    } else { /* holds to the end of the enclosing group, alternatives included */
        buf_add_char(t->out, ')');
        rc = 0;
    }
out:
    t->fold = old_fold;
    t->extended = old_extended;
    buf_deinit(&text);
    return rc;
}

/* A group that captures, behind its head. */
static int read_capture(translate *t)
{
    int group = t->opened++;
    buf_add_char(t->out, '(');
    if (read_alternatives(t) || close_group(t)) return -1;
    if (t->names.references) t->facts |= REGEX_EFFECTS;
    if (group < REGEX_NAMES) t->group_facts[group] = (unsigned char)(t->facts | REGEX_CLOSED);
    return 0;
}

/* (?<name>..): names.c knows the name, PCRE2 the number. */
static int read_named_group(translate *t)
{
    strv name;
    if (!regex_names_read(&t->p, t->end, &name))
        return regex_refuse(t, "a group's name without its end");
    if ((name.p[0] >= '0' && name.p[0] <= '9') || name.p[0] == '-' || name.p[0] == '+')
        return regex_refuse(t, "a group's name that begins with a digit or a sign");
    return read_capture(t);
}

/* "(2)", "(-1)", "(<n>)" or "('n')" at p: a condition that asks whether a group matched.
 * -> 1 written, 0: it is another one, -1 refused */
static int read_asked_group(translate *t)
{
    const char *p = t->p + 1, *from = p;
    strv name;
    if (p < t->end && (*p == '<' || *p == '\'')) {
        if (!regex_names_read(&p, t->end, &name))
            return regex_refuse(t, "a condition without its name");
    } else {
        while (p < t->end && *p != ')' && (*p == '-' || *p == '+' || (*p >= '0' && *p <= '9')))
            p++;
        name = strv_from(from, (size_t)(p - from));
    }
    if (!name.n || p >= t->end || *p != ')') return 0;
    int group = regex_names_group(&t->names, name, t->opened, 0);
    if (group < 0) return regex_refuse(t, "a condition on no group");
    buf_addf(t->out, "(?(%d)", group);
    t->p = p + 1;
    return 1;
}

/* A condition that is a pattern: matched first, and given back never. */
static int read_asked_pattern(translate *t)
{
    int opened = t->opened;
    buf *out = t->out, inner = {0};
    t->p++;
    t->out = &inner;
    int rc = read_alternatives(t) ? -1 : close_group(t); /* with the parenthesis */
    t->out = out;
    if (rc == 0 && t->opened > opened) rc = regex_refuse(t, "a group that captures in a condition");
    if (inner.failed) rc = regex_refuse(t, "no memory");
    if (rc == 0) {
        buf_add_str(out, "(?(?=");
        buf_add_strv(out, buf_view(&inner));
        buf_add_str(out, "(?>");
        buf_add_strv(out, buf_view(&inner));
    }
    buf_deinit(&inner);
    return rc;
}

/* (?(..)then|else); what follows the first bar is the else. Without both, the group has to have
 * matched. With a then alone, Oniguruma 6.9 fails on what follows the group when it has matched. */
static int read_condition(translate *t)
{
    int asked = read_asked_group(t);
    if (asked < 0 || (!asked && read_asked_pattern(t))) return -1;
    t->last = 0;
    if (t->p < t->end && *t->p == ')') {
        buf_add_str(t->out, "|(?!)");
        t->facts = REGEX_MAY_BE_EMPTY | REGEX_EFFECTS;
        return close_group(t);
    }
    buf_add_str(t->out, "(?:");
    if (read_branch(t)) return -1;
    unsigned then = t->facts;
    buf_add_char(t->out, ')');
    if (t->p >= t->end || *t->p != '|') return regex_refuse(t, "a condition without an else");
    t->p++;
    buf_add_str(t->out, "|(?:");
    if (read_alternatives(t)) return -1;
    buf_add_char(t->out, ')');
    t->last = 0;
    t->facts = regex_facts_either(then, t->facts) & (REGEX_MAY_BE_EMPTY | REGEX_EFFECTS);
    return close_group(t);
}

/* (?~absent): all characters but those at which `absent` begins. Its other forms, with a bar, end
 * what follows them, and PCRE2 cannot end a text early; so does one inside of another. */
static int read_absent(translate *t)
{
    if (++t->p < t->end && *t->p == '|') return regex_refuse(t, "an absent function with a range");
    if (t->absent) return regex_refuse(t, "an absent function in another");
    t->absent = 1;
    buf_add_str(t->out, "(?:(?:(?!");
    if (read_alternatives(t) || close_group(t)) return -1;
    t->absent = 0;
    buf_add_str(t->out, "(?s:.))*)");
    t->last = 0;
    t->facts = (t->facts & REGEX_EFFECTS) | REGEX_MAY_BE_EMPTY | REGEX_EMPTY_LAST;
    return 0;
}

/* The parenthesis is read. isolated: 1 when it was (?i), which takes no quantifier. */
static int read_group(translate *t, int *isolated)
{
    static const char *const heads[] = {"?:", "?=", "?!", "?>", "?<=", "?<!"};
    enum { ATOMIC = 3, BEHIND }; /* heads from BEHIND on look behind */
    size_t left = (size_t)(t->end - t->p);
    *isolated = 0;
    if (left && *t->p == '*') return regex_refuse(t, "a callout");
    if (left && *t->p != '?') {
        t->last = 0;
        if (!t->names.named) {
            if (read_capture(t)) return -1;
        } else {
            buf_add_str(t->out, "(?:");
            if (read_alternatives(t) || close_group(t)) return -1;
        }
        t->last = 0;
        return 0;
    }
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t n = strlen(heads[i]);
        if (left < n || memcmp(t->p, heads[i], n)) continue;
        t->p += n;
        buf_addf(t->out, "(%s", heads[i]);
        if (i > 0) t->last = 0;
        t->edge = 1;
        t->behind += i >= BEHIND;
        int rc = read_alternatives(t) ? -1 : close_group(t);
        t->behind -= i >= BEHIND;
        if (i > 0) t->last = 0;
        if (i == ATOMIC && t->facts & REGEX_MAY_BE_EMPTY)
            t->facts = (t->facts & ~(unsigned)REGEX_EMPTY_LAST) | REGEX_ONE_WAY;
        else if (i > 0 && i != ATOMIC)
            t->facts = (t->facts & REGEX_EFFECTS) | REGEX_ANCHOR;
        t->edge = 1;
        return rc;
    }
    t->p++;
    if (t->p >= t->end) return regex_refuse(t, "a group without its end");
    t->edge = 1;
    if (*t->p != '#') t->last = 0;
    switch (*t->p) {
    case '#':
        while (t->p < t->end && *t->p != ')')
            t->p += *t->p == '\\' && t->p + 1 < t->end ? 2 : 1;
        if (t->p >= t->end) return regex_refuse(t, "a comment without its end");
        t->p++;
        *isolated = 1;
        t->facts = REGEX_NOTHING;
        return 0;
    case '<':
    case '\'':
        return read_named_group(t);
    case '~':
        return read_absent(t);
    case '{':
        return regex_refuse(t, "a callout");
    case '(':
        return read_condition(t);
    default:
        break;
    }
    const char *c = t->p;
    while (c < t->end && *c != ':' && *c != ')')
        c++;
    *isolated = c < t->end && *c == ')';
    return read_option_group(t);
}

/* ---- quantifiers ----------------------------------------------------------------------------- */

/* {n}, {n,}, {,m}, {n,m} at p. -> 1 read, 0 none (the brace is itself), -1 refused */
static int read_interval(translate *t, int *low, int *high)
{
    const char *p = t->p + 1;
    int has_low = 0, has_high = 0, v[2] = {0, -1};
    for (; p < t->end && *p >= '0' && *p <= '9'; p++, has_low = 1)
        if ((v[0] = v[0] * 10 + (*p - '0')) > 65535) return regex_refuse(t, "a repeat over 65535");
    if (p < t->end && *p == ',') {
        p++;
        for (; p < t->end && *p >= '0' && *p <= '9'; p++, has_high = 1) {
            v[1] = (v[1] < 0 ? 0 : v[1]) * 10 + (*p - '0');
            if (v[1] > 65535) return regex_refuse(t, "a repeat over 65535");
        }
        if (!has_low && !has_high) return 0;
    } else {
        if (!has_low) return 0;
        v[1] = v[0];
    }
    if (p >= t->end || *p != '}') return 0;
    if (v[1] >= 0 && v[1] < v[0]) return regex_refuse(t, "{n,m} with n > m");
    t->p = p + 1;
    *low = v[0];
    *high = v[1];
    return 1;
}

/* Puts "(?:" or "(?>" before what was written from start on, and ")" behind it. */
static void wrap(buf *out, size_t start, const char *open)
{
    if (!buf_reserve(out, 4)) return;
    memmove(out->p + start + 3, out->p + start, out->n - start);
    memcpy(out->p + start, open, 3);
    out->n += 3;
    buf_add_char(out, ')');
}

/* A plain + at p, neither lazy nor possessive. */
static int is_repeat(const translate *t)
{
    if (t->p >= t->end || *t->p != '+') return 0;
    return t->p + 1 == t->end || (t->p[1] != '?' && t->p[1] != '+' && t->p[1] != '*');
}

/* Quantifiers of the atom that was written from start on. */
static int read_quantifiers(translate *t, size_t start)
{
    for (int count = 0; t->p < t->end; count++) {
        int low = 0, high = 0, interval = 0;
        char c = *t->p;
        if (c == '{') {
            interval = read_interval(t, &low, &high);
            if (interval <= 0) return interval;
        } else if (c == '?' || c == '*' || c == '+') {
            t->p++;
        } else {
            return 0;
        }
        if (interval && !regex_facts_repeatable(t->facts, low, high))
            return regex_refuse(t, "a bounded repeat of what may be empty");
        if (interval && low <= 1 && high != 0 &&
            is_repeat(t)) { /* {1,3}+ is +, without its many ways */
            t->p++;
            interval = 0;
            c = low ? '+' : '*';
        }
        if (count > 0) wrap(t->out, start, "(?:");
        int is_group = t->out->n > start && t->out->p[t->out->n - 1] == ')';
        t->last = 0;
        if (count > 50) return regex_refuse(t, "too many quantifiers");
        if (!interval)
            buf_add_char(t->out, c);
        else if (high < 0)
            buf_addf(t->out, "{%d,}", low);
        else
            buf_addf(t->out, "{%d,%d}", low, high);
        if (!interval) {
            low = c == '+';
            high = c == '?' ? 1 : -1;
        }
        char mode = t->p < t->end ? *t->p : 0;
        mode = (mode == '?' && !(interval && low == high)) || (mode == '+' && !interval) ? mode : 0;
        t->facts = regex_facts_repeat(t->facts, low, high, mode);
        t->p += mode != 0;
        if (mode == '?') {
            buf_add_char(t->out, '?');
        } else if (mode == '+') {
            if (c == '?' && is_group) { /* PCRE2 10.42 forgets that X?+ may be left out: (?>X|) */
                t->out->p[t->out->n - 1] = '|';
                wrap(t->out, start, "(?>");
            } else {
                buf_add_char(t->out, '+');
            }
        }
    }
    return 0;
}

/* ---- letters with case ignored --------------------------------------------------------------- */

/* The literal at p, if one stands there. -> behind it, or NULL */
static const char *peek_literal(const translate *t, const char *p, uint32_t *cp)
{
    translate look = *t;
    if (p >= t->end || strchr("[(.^$?*+|)", *p)) return NULL;
    look.p = p;
    if (*p == '\\') {
        if (++look.p >= t->end) return NULL;
        if ((unsigned char)*look.p < 0x80) {
            char c = *look.p++;
            if (c && strchr("wWdDhHsSpPAZzGKbBNORXyYMCgk123456789", c)) return NULL;
            if (regex_read_code(&look, c, 0, cp) && !look.problem) *cp = (uint32_t)c;
            return look.problem ? NULL : look.p;
        }
    }
    *cp = regex_take(&look);
    return look.p;
}

/* White space and comments of an extended pattern. */
static const char *skip_extended(const translate *t, const char *p)
{
    while (t->extended && p < t->end) {
        if (*p == '#')
            while (p < t->end && *p != '\n')
                p++;
        else if (strchr(" \t\n\r\f\v", *p) && *p)
            p++;
        else
            break;
    }
    return p;
}

static int is_quantified(const translate *t, const char *p)
{
    translate look = *t;
    int low, high;
    look.p = p;
    if (p >= t->end) return 0;
    return *p == '?' || *p == '*' || *p == '+' || (*p == '{' && read_interval(&look, &low, &high));
}

/* Literals at p, of which several may be one character or one may be several. A quantifier holds
 * for the last, so that one stands alone. -> 1 written (or *rc set), 0: none is there */
static int read_letters(translate *t, int *rc)
{
    uint32_t cp[4] = {t->last};
    const char *ends[4], *p = t->p;
    const regex_folds *folds;
    buf text = {0};
    int n = 0, used, repeats = 0;
    while (n < 3 && (p = peek_literal(t, p, &cp[n + 1])) != NULL) {
        repeats = is_quantified(t, p);
        if (repeats && n > 0) break;
        ends[n++] = p;
        if (repeats) break;
        p = skip_extended(t, p);
    }
    if (n == 0 || !(folds = regex_folding(t))) return (*rc = n ? -1 : 0) != 0;
    if (t->edge && t->last && !(repeats && n == 1) &&
        regex_folds_letters(folds, cp, n + 1, &text) > 1)
        *rc = regex_refuse(t, "letters that fold to one character, across a group");
    buf_clear(&text);
    used = regex_folds_letters(folds, cp + 1, n, &text);
    if (used) {
        buf_add_str(t->out, "(?:");
        buf_add_strv(t->out, buf_view(&text));
        buf_add_char(t->out, ')');
    } else
        regex_put_literal(t->out, cp[1]);
    t->last = used || repeats ? 0 : cp[1];
    t->edge = 0;
    t->p = ends[used ? used - 1 : 0];
    if (text.failed) *rc = regex_refuse(t, "no memory");
    buf_deinit(&text);
    return 1;
}

/* A literal that read_letters does not take. */
static int put_literal(translate *t, uint32_t cp)
{
    const regex_folds *folds = t->fold ? regex_folding(t) : NULL;
    if (t->fold && !folds) return -1;
    if (t->fold && regex_folds_recent(folds, cp))
        return regex_refuse(t, "a letter of Unicode 16 that folds, in a look-behind");
    regex_put_literal(t->out, cp);
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Leaves the facts of the atom, its quantifiers included. */
static int read_atom(translate *t)
{
    size_t start = t->out->n;
    int isolated = 0, rc = 0;
    t->facts = 0;
    if (t->fold && !t->behind && read_letters(t, &rc)) return rc ? rc : read_quantifiers(t, start);
    if (*t->p != '(') t->last = 0;
    switch (*t->p) {
    case '\\':
        t->p++;
        rc = read_escape(t);
        break;
    case '[':
        t->p++;
        rc = regex_read_class(t);
        break;
    case '(':
        t->p++;
        rc = read_group(t, &isolated);
        break;
    case '^':
    case '$':
        t->facts = REGEX_ANCHOR;
        buf_add_char(t->out, *t->p++);
        break;
    case '.':
        buf_add_char(t->out, *t->p++);
        break;
    case '?':
    case '*':
    case '+':
        return regex_refuse(t, "a quantifier without a target");
    default:
        rc = put_literal(t, regex_take(t));
        break;
    }
    if (rc || isolated) return rc;
    return read_quantifiers(t, start);
}

/* One alternative: up to a bar, or what ends the group. */
static int read_branch(translate *t)
{
    unsigned facts = REGEX_NOTHING;
    for (;;) {
        t->p = skip_extended(t, t->p);
        if (t->p >= t->end || *t->p == ')' || *t->p == '|') break;
        if (read_atom(t)) return -1;
        facts = regex_facts_join(facts, t->facts);
    }
    t->facts = facts;
    return 0;
}

static int read_alternatives(translate *t)
{
    int several = 0;
    unsigned facts = 0;
    if (++t->depth > REGEX_DEPTH_MAX) return regex_refuse(t, "nested too deeply");
    for (;;) {
        if (read_branch(t)) return -1;
        facts = several ? regex_facts_either(facts, t->facts) : t->facts;
        if (t->p >= t->end || *t->p != '|') break;
        buf_add_char(t->out, '|');
        t->p++;
        t->last = 0;
        several = 1;
    }
    if (several) t->last = 0;
    t->facts = facts;
    t->depth--;
    return 0;
}

int tok_regex_translate(strv pattern, buf *out, const char **problem)
{
    translate t = {.p = pattern.p, .end = pattern.p + pattern.n, .out = out};
    int rc = 0;
    t.problem = regex_names_scan(pattern, &t.names);
    rc = t.problem ? -1 : read_alternatives(&t);
    if (rc == 0 && t.p < t.end) rc = regex_refuse(&t, "a ) without its (");
    regex_folds_close(t.folds);
    *problem = t.problem ? t.problem : "";
    return rc;
}
