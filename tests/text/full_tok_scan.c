/* full_tok_scan.c: the hand-written scanners equal their regular expressions, match for match, on
 * random text: characters of every class, whole Unicode, and the letters that patterns ask for. */
#include "text/tok_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#ifndef CHARACTERS
#define CHARACTERS 4000000 /* for each pattern */
#define LAST       0x10FFFF
#endif

static uint64_t state = 0x9E3779B97F4A7C15u;

static uint32_t draw(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % below);
}

/* Characters that decide where a pattern cuts. */
static const uint32_t SPECIAL[] = {
    ' ',    ' ',    ' ',     '\n',    '\r',    '\t',   '\'',   '\'',   's',    'S',    't',    'r',
    'e',    'v',    'm',     'l',     'L',     'd',    '/',    '.',    '_',    '$',    '1',    '9',
    'A',    'b',    0x17F,   0x212A,  0xA0,    0x85,   0x1680, 0x2028, 0x3000, 0x180E, 0x200B, 0xE9,
    0xC9,   0x1C5,  0x2B0,   0xAA,    0x5D0,   0x4E2D, 0x301,  0x903,  0x20DD, 0x660,  0x2163, 0xBD,
    0x2014, 0x20AC, 0x1D400, 0x1F44D, 0x1F3FD, 0x200D, 0,      0x7F,   0xE000, 0xFFFD};

static uint32_t character(void)
{
    uint32_t kind = draw(20), cp;
    if (kind < 13) return SPECIAL[draw(sizeof SPECIAL / sizeof *SPECIAL)];
    if (kind < 15) return draw(0x80);
    if (kind < 18) return draw(0x3000) + (kind == 17 ? 0x1000 : 0);
    do
        cp = draw(kind == 18 ? 0x20000 : 0x110000);
    while (cp >= 0xD800 && cp < 0xE000);
    return cp;
}

static void compare(const tok_regex *scanned, const tok_regex *compiled, tok_match_state **match,
                    tok_matches out[2], strv text)
{
    mlxe_error err;
    if (tok_regex_find(scanned, text, match, &out[0], &err) ||
        tok_regex_find(compiled, text, match, &out[1], &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < out[0].n || i < out[1].n; i++) {
        const tok_match *a = &out[0].m[i], *b = &out[1].m[i];
        if (i < out[0].n && i < out[1].n && a->b == b->b && a->e == b->e && a->hit == b->hit)
            continue;
        for (size_t k = 0; k < text.n; k++)
            fprintf(stderr, "%02X ", (unsigned char)text.p[k]);
        fail_msg("match %zu: scanner %zu..%zu (%d), regex %zu..%zu (%d)", i,
                 i < out[0].n ? a->b : 0, i < out[0].n ? a->e : 0, i < out[0].n ? a->hit : -1,
                 i < out[1].n ? b->b : 0, i < out[1].n ? b->e : 0, i < out[1].n ? b->hit : -1);
    }
}

static void scanners_equal_regexes(void **unused)
{
    (void)unused;
    mlxe_error err;
    arena mem = {0};
    tok_reader r = {&mem, "pattern", &err};
    size_t patterns = 0;
    for (; tok_scanner_pattern(patterns); patterns++) {
        strv pattern = strv_of(tok_scanner_pattern(patterns));
        tok_regex *scanned, *compiled;
        tok_match_state *match = NULL;
        tok_matches out[2] = {{0}, {0}};
        buf text = {0};
        assert_int_equal(tok_regex_open(&r, pattern, REGEX_ANY, &scanned), MLXE_OK);
        assert_int_equal(tok_regex_open(&r, pattern, REGEX_COMPILED, &compiled), MLXE_OK);
        assert_true(tok_regex_is_scanned(scanned));
        assert_false(tok_regex_is_scanned(compiled));
        for (size_t done = 0; done < CHARACTERS;) {
            size_t n = 1 + draw(draw(8) ? 12 : 300);
            buf_clear(&text);
            for (size_t i = 0; i < n; i++) {
                uint32_t cp = character(), times = draw(6) ? 1 : 1 + draw(5);
                for (uint32_t k = 0; k < times; k++)
                    buf_add_utf8(&text, cp);
            }
            compare(scanned, compiled, &match, out, buf_view(&text));
            done += n;
        }
        tok_regex_close(scanned);
        tok_regex_close(compiled);
        tok_match_state_close(match);
        free(out[0].m);
        free(out[1].m);
        buf_deinit(&text);
    }
    assert_true(patterns >= 8);
    arena_deinit(&mem);
}

/* Every character alone, and before and behind a letter: the classes are the same. */
static void every_character(void **unused)
{
    (void)unused;
    mlxe_error err;
    arena mem = {0};
    tok_reader r = {&mem, "pattern", &err};
    for (size_t i = 0; tok_scanner_pattern(i); i++) {
        strv pattern = strv_of(tok_scanner_pattern(i));
        tok_regex *scanned, *compiled;
        tok_match_state *match = NULL;
        tok_matches out[2] = {{0}, {0}};
        buf text = {0};
        assert_int_equal(tok_regex_open(&r, pattern, REGEX_ANY, &scanned), MLXE_OK);
        assert_int_equal(tok_regex_open(&r, pattern, REGEX_COMPILED, &compiled), MLXE_OK);
        for (uint32_t cp = 0; cp <= LAST; cp++) {
            if (cp >= 0xD800 && cp < 0xE000) continue;
            buf_add_utf8(&text, cp);
            buf_add_str(&text, cp & 1 ? "a" : "A");
            buf_add_utf8(&text, cp);
            buf_add_str(&text, cp & 2 ? " " : "\n");
            if (cp % 4096 != 4095 && cp != LAST) continue;
            compare(scanned, compiled, &match, out, buf_view(&text));
            buf_clear(&text);
        }
        tok_regex_close(scanned);
        tok_regex_close(compiled);
        tok_match_state_close(match);
        free(out[0].m);
        free(out[1].m);
        buf_deinit(&text);
    }
    arena_deinit(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(scanners_equal_regexes),
                                       cmocka_unit_test(every_character)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
