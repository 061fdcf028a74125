/* lipsum.c: the global function lipsum: paragraphs of filler text.
 *
 * The reference draws its words at random, so there is no text to be equal to: ours has its form
 * (so many paragraphs of so many words, sentences, commas, <p> around each) and is the same
 * whenever the same template renders.
 * Source: jinja2 3.1.6 utils.py generate_lorem_ipsum (behaviour). */
#include "text/template/content.h"
#include "text/template/filters.h"

static const char *const WORDS[] = {
    "amor",  "aqua",  "arbor", "avis",   "bonus",  "caelum", "campus", "carmen", "cito",   "domus",
    "equus", "felix", "flos",  "fons",   "gratia", "herba",  "hora",   "ignis",  "insula", "lapis",
    "liber", "lumen", "luna",  "lux",    "mare",   "mensa",  "mons",   "navis",  "nox",    "omnis",
    "panis", "pax",   "pons",  "ratio",  "rosa",   "saxum",  "semper", "silva",  "stella", "tempus",
    "terra", "unda",  "urbs",  "ventus", "ver",    "via",    "vita",   "vox",
};
enum { N_WORDS = sizeof WORDS / sizeof *WORDS };

static uint64_t draw(uint64_t *state, uint64_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 33) % below;
}

static void paragraph(jj_rt *rt, buf *b, uint64_t *state, int64_t words)
{
    int64_t comma = 0, stop = 0;
    uint64_t last = N_WORDS, word;
    int capital = 1, ended = 0;
    for (int64_t i = 0; i < words && jj_step(rt, 1) && jj_room(rt, b->n, 1); i++) {
        const char *text;
        do
            word = draw(state, N_WORDS);
        while (word == last);
        last = word;
        text = WORDS[word];
        if (i) buf_add_char(b, ' ');
        buf_add_char(b, (char)(capital ? text[0] & ~0x20 : text[0]));
        buf_add_str(b, text + 1);
        capital = ended = 0;
        if (i - (int64_t)draw(state, 5) - 3 > comma && i + 1 < words) {
            comma = i;
            stop += 2;
            buf_add_char(b, ',');
        } else if (i - (int64_t)draw(state, 10) - 10 > stop) {
            comma = stop = i;
            buf_add_char(b, '.');
            capital = ended = 1;
        }
    }
    if (!ended) buf_add_char(b, '.');
}

jv jj_lipsum(jj_rt *rt, const jj_args *args)
{
    jv v[4], text;
    int64_t n = 5, least = 20, most = 100;
    uint64_t state = 1;
    buf b = {0};
    int html;
    if (!jj_bind(rt, "lipsum", "n,html,min,max", 0, args, v) || !jj_arg_int(rt, "n", v[0], &n) ||
        !jj_arg_int(rt, "min", v[2], &least) || !jj_arg_int(rt, "max", v[3], &most))
        return jj_none();
    html = v[1].type == JJ_MISSING || jj_truth(v[1]);
    if (n > 0 && most <= least) return jj_fail(rt, "lipsum() wants min below max");
    for (int64_t i = 0; i < n && jj_step(rt, 1); i++) {
        if (i) buf_add_str(&b, html ? "\n" : "\n\n");
        if (html) buf_add_str(&b, "<p>");
        paragraph(rt, &b, &state, least + (int64_t)draw(&state, (uint64_t)most - (uint64_t)least));
        if (html) buf_add_str(&b, "</p>");
    }
    text = jj_take(rt, &b);
    return html ? jj_marked(rt, text) : text;
}
