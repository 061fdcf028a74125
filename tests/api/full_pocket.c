/* full_pocket.c: test_pocket.c on all 100 items of each category. */
#define POCKET_ITEMS 100
#include "test_pocket.c"
