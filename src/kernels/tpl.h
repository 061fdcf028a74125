/* tpl.h: what every instruction set's file includes first: what compilers are told, and what memory
 * is asked for. */
#ifndef KERNELS_TPL_H
#define KERNELS_TPL_H

#include "kernels/internal.h"

#include <math.h>
#include <string.h>

#if defined(__GNUC__)
#define KN_INLINE static inline __attribute__((always_inline, unused))
#else
#define KN_INLINE static inline
#endif
/* Tiles live in registers only when their loops are gone. */
#if defined(__clang__)
#define KN_UNROLL    _Pragma("unroll")
#define KN_UNROLL_16 _Pragma("unroll")
#elif defined(__GNUC__)
#define KN_UNROLL    _Pragma("GCC unroll 8")
#define KN_UNROLL_16 _Pragma("GCC unroll 16")
#else
#define KN_UNROLL
#define KN_UNROLL_16
#endif

/* The compiler forgets what a pointer was computed from: else it keeps the address of every row of
 * a tile in a register, and what finds no room on the stack. */
#if defined(__GNUC__)
#define KN_OPAQUE(p) __asm__("" : "+r"(p))
#else
#define KN_OPAQUE(p) ((void)0)
#endif

/* What will be read is asked for. An address only: it may lie beyond the matrix. */
KN_INLINE void prefetch(const void *p, int64_t ahead)
{
#if defined(__GNUC__)
    __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)ahead), 0, 2);
#else
    (void)p, (void)ahead;
#endif
}

/* Into the second-level cache. */
KN_INLINE void prefetch_l2(const uint8_t *p)
{
#if defined(__GNUC__)
    __builtin_prefetch(p, 0, 2);
#else
    (void)p;
#endif
}

/* Into the first cache: what is asked for is read a block later (t1: 66-75 % of read bandwidth
 * became 80 %). An address only: it may lie beyond the matrix. */
KN_INLINE void prefetch_near(const uint8_t *p, int64_t ahead)
{
#if defined(__GNUC__)
    __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)ahead), 0, 3);
#else
    (void)p, (void)ahead;
#endif
}

#define Q_E2M1           7 /* in place of a width of bits: 4-bit codes that are e2m1 */
#define HALF_BYTES(bits) ((bits) == 4 || (bits) == Q_E2M1)

/* Rows of bytes of a strip: of one row of x, of two, and of one row of two bytes a number. */
enum { ONE, TWO, TWICE, FEW_KINDS };

#endif
