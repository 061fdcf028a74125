/* tpl.h: what every instruction set's file includes first. */
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

#define Q_E2M1           7 /* in place of a width of bits: 4-bit codes that are e2m1 */
#define HALF_BYTES(bits) ((bits) == 4 || (bits) == Q_E2M1)

#endif
