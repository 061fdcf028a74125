/* test_glob.c: patterns of files against Python's answers, which glob.golden holds.
 *
 * Ten thousand pairs of a pattern and a text that both sides make by the same generator, and the
 * patterns of other programs over listings as repositories have them. tools/hub/glob_golden.py
 * writes the file. */
#include "base/fs.h"
#include "hub/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MAX_FILES = 64, MAX_PATTERNS = 16, ROOM = 16 };

static buf golden;

static int read_golden(void **state)
{
    (void)state;
    return fs_read(MLXE_SOURCE_DIR "/tests/hub/glob.golden", 0, &golden, NULL);
}

static int drop_golden(void **state)
{
    (void)state;
    buf_deinit(&golden);
    return 0;
}

/* The line after p, or the end. */
static char *next_line(char *p)
{
    p += strcspn(p, "\n");
    return p + (*p == '\n');
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static uint32_t next_number(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static strv make_text(uint64_t *state, uint32_t most, const char *letters, char out[ROOM])
{
    size_t kinds = strlen(letters), n = next_number(state) % most;
    for (size_t i = 0; i < n; i++)
        out[i] = letters[next_number(state) % kinds];
    out[n] = 0;
    return strv_from(out, n);
}

static void pairs(void **state_)
{
    (void)state_;
    char *p = strstr(golden.p, "\npairs ");
    uint64_t state = 1;
    size_t n, matching = 0;
    assert_non_null(p);
    n = strtoul(p + 7, NULL, 10);
    assert_int_equal(n, 10000);
    p = next_line(p + 1);
    for (size_t i = 0; i < n; i++) {
        char pattern[ROOM], text[ROOM];
        if (i && i % 4 == 0) p++;
        if (*p == '\n') p++;
        int digit = *p <= '9' ? *p - '0' : *p - 'a' + 10, want = digit >> (i % 4) & 1;
        strv made = make_text(&state, 9, "abc/**?[[]]!--", pattern);
        int got = glob_match(made, make_text(&state, 4, "abc/-]!", text));
        if (got != want)
            print_error("pair %zu: %s on %s: %d, want %d\n", i, pattern, text, got, want);
        assert_int_equal(got, want);
        matching += (size_t)got;
    }
    assert_in_range(matching, 500, 5000); /* the generator makes both kinds */
}

/* ---- listings -------------------------------------------------------------------------------- */

/* Cuts "+a +b -c" at its blanks. */
static void patterns_of(char *line, hub_globs *globs, const char *include[MAX_PATTERNS],
                        const char *exclude[MAX_PATTERNS])
{
    *globs = (hub_globs){.include = include, .exclude = exclude};
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
        if (*word == '+')
            include[globs->n_include++] = word + 1;
        else
            exclude[globs->n_exclude++] = word + 1;
        assert_true(globs->n_include < MAX_PATTERNS && globs->n_exclude < MAX_PATTERNS);
    }
}

static void listings(void **state)
{
    (void)state;
    const char *files[MAX_FILES], *include[MAX_PATTERNS], *exclude[MAX_PATTERNS];
    size_t n = 0, at = 0, seen = 0;
    hub_globs globs = {0};
    char *next;
    char *p = strstr(golden.p, "\nlisting ");
    assert_non_null(p);
    for (p++; *p; p = next) {
        next = next_line(p);
        if (next > p && next[-1] == '\n') next[-1] = 0;
        if (!strncmp(p, "listing ", 8)) {
            n = 0;
        } else if (!strncmp(p, "file ", 5)) {
            assert_true(n < MAX_FILES);
            files[n++] = p + 5;
        } else if (!strncmp(p, "want ", 5)) {
            patterns_of(p + 5, &globs, include, exclude);
            at = 0;
            seen++;
        } else {
            const char *kept = strncmp(p, "kept ", 5) ? NULL : p + 5;
            while (at < n && !globs_want(&globs, strv_of(files[at])))
                at++;
            if (kept ? at == n || strcmp(kept, files[at]) != 0 : at < n)
                fail_msg("%s: got %s, want %s", include[0], at < n ? files[at] : "no more",
                         kept ? kept : "no more");
            at += kept != NULL;
        }
    }
    assert_int_equal(seen, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pairs), cmocka_unit_test(listings)};
    return cmocka_run_group_tests(tests, read_golden, drop_golden);
}
