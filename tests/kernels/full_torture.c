/* full_torture.c: 10000 random calls (see torture.h). */
#include "torture.h"

static void random_calls(void **state)
{
    (void)state;
    torture(52, rounds(10000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
