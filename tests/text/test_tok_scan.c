/* test_tok_scan.c: full_tok_scan.c on less text. */
#define CHARACTERS 100000
#define LAST       0x2FFF
#include "full_tok_scan.c"
