/* top_k.c: the greatest of many numbers, as samplers ask for them.
 *
 * The best k so far lie in a heap whose top is the worst of them. Nearly all of a vocabulary is
 * below it, so the scan (first_above) is what takes the time; the heap changes some k ln(n / k)
 * times. Ids come in ascending order: an equal number that comes later never gets in. */
#include "kernels/internal.h"

#include <stdlib.h>

typedef struct top {
    float value;
    int32_t id;
} top;

static int before(const top *a, const top *b)
{
    return a->value > b->value || (a->value == b->value && a->id < b->id);
}

static int by_value(const void *a, const void *b) { return before(a, b) ? -1 : before(b, a); }

/* Puts `item` into the heap of n in place of its top. */
static void replace_top(top *heap, int n, top item)
{
    int i = 0;
    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(&heap[child], &heap[child + 1])) child++;
        if (!before(&item, &heap[child])) break;
        heap[i] = heap[child];
    }
    heap[i] = item;
}

int kn_top_k(const float *x, int64_t n, int k, int32_t *ids)
{
    const kn_ops *ops = kn_table();
    top heap[KN_TOP_K];
    int have = 0;
    int64_t i = 0;
    kn_count_add(KN_COUNT_TOP_K);
    for (; i < n && have < k; i++)
        if (x[i] == x[i]) heap[have++] = (top){x[i], (int32_t)i};
    qsort(heap, (size_t)have, sizeof *heap, by_value);
    for (int a = 0, b = have - 1; a < b; a++, b--) { /* ascending order is a heap */
        top swap = heap[a];
        heap[a] = heap[b];
        heap[b] = swap;
    }
    while (have && (i += ops->first_above(x + i, n - i, heap[0].value)) < n) {
        replace_top(heap, have, (top){x[i], (int32_t)i});
        i++;
    }
    qsort(heap, (size_t)have, sizeof *heap, by_value);
    for (int j = 0; j < have; j++)
        ids[j] = heap[j].id;
    return have;
}
