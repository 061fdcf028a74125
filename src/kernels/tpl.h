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
#define KN_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define KN_UNROLL _Pragma("GCC unroll 8")
#else
#define KN_UNROLL
#endif

#endif
