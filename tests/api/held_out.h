/* held_out.h: how many of pocket-llm's held-out items a test asks. */
#ifndef TESTS_API_HELD_OUT_H
#define TESTS_API_HELD_OUT_H

#include <stdlib.h>

/* Of a category, at most. MLXE_TEST_ITEMS asks for fewer: under Valgrind one takes a minute. */
static inline int items_wanted(int most)
{
    const char *text = getenv("MLXE_TEST_ITEMS");
    int n = text ? atoi(text) : most;
    return n >= 1 && n <= most ? n : most;
}

#endif
