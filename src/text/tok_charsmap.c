/* tok_charsmap.c: normalizer Precompiled: the replacement table of SentencePiece models.
 *
 *   base64 -> [trie bytes u32][double-array trie, u32 units][texts, NUL-terminated]
 *
 * A grapheme of fewer than 6 bytes is looked up as a whole, else each of its characters. A look-up
 * takes the first key of the trie that is a prefix of what is looked up, so a short key replaces
 * the whole grapheme: strange, but it is what models were trained with.
 *
 * SentencePiece itself knows no graphemes: the longest key at a place is replaced. Its own models
 * are read that way ("longest_match", which no tokenizer.json has).
 *
 * Traps: a replacement that is empty lets the character before it swallow what vanished; with none
 * before it, the next character inherits its place.
 *
 * Source: darts-clone's unit layout; sentencepiece normalizer; tokenizers, precompiled.rs. */
#include "text/tok_parts.h"

#include <utf8proc.h>

struct tok_charsmap {
    const uint32_t *units;
    size_t n_units;
    strv texts;
    int longest; /* SentencePiece's own way */
};

mlxe_status tok_charsmap_read(const tok_reader *r, const json *v, tok_charsmap **out)
{
    strv text;
    buf bytes_of = {0};
    mlxe_status rc = tok_need_str(r, v, "precompiled_charsmap", &text);
    if (rc) return rc;
    if (tok_base64(text, &bytes_of)) {
        buf_deinit(&bytes_of);
        return tok_corrupt(r, "precompiled_charsmap is no base64");
    }
    tok_charsmap *map = arena_alloc(r->mem, sizeof *map);
    size_t n = bytes_of.n;
    const char *copy = bytes_of.failed ? NULL : arena_copy(r->mem, buf_view(&bytes_of));
    buf_deinit(&bytes_of);
    if (!map || !copy) return tok_no_memory(r);
    const unsigned char *p = (const unsigned char *)copy;
    size_t bytes = n < 4 ? 0 : p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (n < 4 || bytes % 4 || bytes > n - 4 || bytes < 4)
        return tok_corrupt(r, "precompiled_charsmap has a trie of no such size");
    uint32_t *units = arena_array(r->mem, bytes / 4, sizeof *units);
    if (!units) return tok_no_memory(r);
    for (size_t i = 0; i < bytes / 4; i++) {
        const unsigned char *u = p + 4 + 4 * i;
        units[i] = u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
    }
    *map = (tok_charsmap){units, bytes / 4, {(const char *)p + 4 + bytes, n - 4 - bytes}, 0};
    if ((rc = json_get_bool(v, r->where, "longest_match", &map->longest, r->err)) != 0) return rc;
    if (!utf8_valid(map->texts)) return tok_corrupt(r, "precompiled_charsmap: texts are no UTF-8");
    *out = map;
    return MLXE_OK;
}

enum { KEY_BYTES = 64 }; /* no key is longer: a walk in a broken trie ends */

static size_t unit_offset(uint32_t u) { return (size_t)(u >> 10) << ((u & 1u << 9) >> 6); }

/* The replacement of the first key (longest: the longest) that chunk begins with, and the key's
 * bytes. -> 0: none */
static size_t look_up(const tok_charsmap *map, strv chunk, strv *out)
{
    size_t at = unit_offset(map->units[0]), found = 0;
    for (size_t i = 0; i < chunk.n && i < KEY_BYTES && chunk.p[i]; i++) {
        unsigned char c = (unsigned char)chunk.p[i];
        at ^= c;
        if (at >= map->n_units || (map->units[at] & (1u << 31 | 0xFF)) != c) return found;
        uint32_t u = map->units[at];
        at ^= unit_offset(u);
        if (!(u >> 8 & 1)) continue;
        if (at >= map->n_units) return found;
        size_t from = map->units[at] & ~(1u << 31);
        if (from >= map->texts.n || !utf8_is_start(map->texts.p[from])) return found;
        const char *p = map->texts.p + from, *end = memchr(p, 0, map->texts.n - from);
        *out = strv_from(p, end ? (size_t)(end - p) : map->texts.n - from);
        found = i + 1;
        if (!map->longest) break;
    }
    return found;
}

static void replace(tok_work *w, strv old, strv new)
{
    long diff = (long)utf8_count(new) - (long)utf8_count(old);
    long left = (long)utf8_count(new);
    for (size_t i = 0, width; i < new.n; i += width, left--)
        if (!tok_work_point(w, utf8_at(new.p + i, &width), left <= diff)) w->text.failed = 1;
    if (diff < 0 && w->n_points > 0) w->changes[w->n_points - 1] += diff;
}

/* Bytes of the grapheme that begins at i. */
static size_t grapheme(strv text, size_t i)
{
    size_t width, next_width;
    utf8proc_int32_t state = 0;
    uint32_t cp = utf8_at(text.p + i, &width);
    size_t e = i + width;
    if (cp < 0x80 && cp != '\r' && e < text.n && (unsigned char)text.p[e] < 0x80) return width;
    while (e < text.n) {
        uint32_t next = utf8_at(text.p + e, &next_width);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)cp, (utf8proc_int32_t)next, &state))
            break;
        e += next_width;
        cp = next;
    }
    return e - i;
}

void tok_charsmap_run(const tok_charsmap *map, tok_work *w, tok_rewrite *rw)
{
    strv text = strv_from(rw->t->p + rw->at, rw->end - rw->at), new;
    int modified = 0;
    w->n_points = 0;
    for (size_t i = 0, n; i < text.n; i += n) {
        n = map->longest ? utf8_width((unsigned char)text.p[i]) : grapheme(text, i);
        if (map->longest) {
            size_t key = look_up(map, strv_from(text.p + i, text.n - i), &new);
            while (n < key) /* whole characters */
                n += utf8_width((unsigned char)text.p[i + n]);
            if (key) {
                modified = 1;
                replace(w, strv_from(text.p + i, n), new);
                continue;
            }
        }
        strv whole = strv_from(text.p + i, n);
        if (n < 6 && look_up(map, whole, &new)) {
            modified = 1;
            replace(w, whole, new);
            continue;
        }
        for (size_t k = 0, width; k < n; k += width) {
            uint32_t cp = utf8_at(whole.p + k, &width);
            strv part = strv_from(whole.p + k, width);
            if (look_up(map, part, &new)) {
                modified = 1;
                replace(w, part, new);
            } else if (!tok_work_point(w, cp, 0)) {
                w->text.failed = 1;
            }
        }
    }
    if (!modified) tt_copy(rw, text.n);
    for (size_t i = 0; i < w->n_points && modified; i++)
        tt_put(rw, w->code_points[i], w->changes[i]);
}
