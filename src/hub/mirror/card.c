/* card.c: just enough YAML for the cards that models ship with: scalars and flat lists at the top.
 * */
#include "hub/mirror/card.h"

static strv trim(strv s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = strv_from(s.p + 1, s.n - 1);
    while (s.n && strchr(" \t\r", s.p[s.n - 1]))
        s.n--;
    if (s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0])
        s = strv_from(s.p + 1, s.n - 2);
    return s;
}

static void add(card *c, strv key, strv value, int in_list)
{
    value = trim(value);
    if (c->n < CARD_MAX && value.n) c->values[c->n++] = (card_value){key, value, in_list};
}

static void add_inline(card *c, strv key, strv list)
{
    size_t from = 0;
    for (size_t i = 0; i <= list.n; i++) {
        if (i < list.n && list.p[i] != ',') continue;
        add(c, key, strv_from(list.p + from, i - from), 1);
        from = i + 1;
    }
}

static strv take_line(strv *text)
{
    const char *end = text->n ? memchr(text->p, '\n', text->n) : NULL;
    strv line = strv_from(text->p, end ? (size_t)(end - text->p) : text->n);
    size_t used = line.n + (end != NULL);
    *text = strv_from(text->p + used, text->n - used);
    if (line.n && line.p[line.n - 1] == '\r') line.n--;
    return line;
}

void card_read(strv text, card *c)
{
    strv key = {0};
    c->n = 0;
    if (!text.n || !strv_is(take_line(&text), "---")) return;
    while (text.n) {
        strv line = take_line(&text);
        if (strv_is(line, "---")) return;
        strv inside = line;
        while (inside.n && inside.p[0] == ' ')
            inside = strv_from(inside.p + 1, inside.n - 1);
        if (inside.n >= 2 && inside.p[0] == '-' && inside.p[1] == ' ') {
            if (key.n) add(c, key, strv_from(inside.p + 2, inside.n - 2), 1);
            continue;
        }
        if (inside.n != line.n || !line.n || line.p[0] == '#') continue;
        const char *colon = memchr(line.p, ':', line.n);
        if (!colon) continue;
        key = strv_from(line.p, (size_t)(colon - line.p));
        strv value = trim(strv_from(colon + 1, line.n - key.n - 1));
        if (value.n >= 2 && value.p[0] == '[' && value.p[value.n - 1] == ']')
            add_inline(c, key, strv_from(value.p + 1, value.n - 2));
        else if (value.n)
            add(c, key, value, 0);
    }
    c->n = 0; /* the second line of dashes never came */
}

strv card_get(const card *c, const char *key)
{
    for (size_t i = 0; i < c->n; i++)
        if (strv_is(c->values[i].key, key)) return c->values[i].value;
    return (strv){0};
}
