/* card.h: the front matter of a README.md: what a model's card says of itself, best effort. */
#ifndef HUB_MIRROR_CARD_H
#define HUB_MIRROR_CARD_H

#include "base/arena.h"
#include "base/strv.h"

enum { CARD_MAX = 128 };

typedef struct card_value {
    strv key, value; /* a list is several values of one key */
    int in_list;
} card_value;

typedef struct card {
    card_value values[CARD_MAX];
    size_t n;
} card;

/* Reads the lines between two "---": "key: value", "key: [a, b]" and "key:" with "- value" lines.
 * Deeper structures are left out. Values are borrowed from text. */
void card_read(strv text, card *out);
/* The first value of a key, or {NULL,0}. */
strv card_get(const card *c, const char *key);

#endif
