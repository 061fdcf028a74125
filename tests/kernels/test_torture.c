/* test_torture.c: 2000 random calls (see torture.h). */
#include "torture.h"

static void random_calls(void **state)
{
    (void)state;
    torture(51, rounds(2000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
